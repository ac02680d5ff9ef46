"""Closed standard streams, and code that closes the descriptors of this package."""

import errno
import os
from pathlib import Path

import process_programs
import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.system.descriptors import Descriptor, lift

if not hasattr(os, "pread"):
    pytest.skip("descriptors are those of POSIX", allow_module_level=True)


@pytest.mark.parametrize("which", ["", "0", "1", "2", "01", "02", "12", "012"])
def test_closed_standard_streams_change_no_answer(which: str) -> None:
    seen = process_programs.run("machine_programs.closed", which)
    assert seen["seen"] == [64, 64, 64, True, True, True]
    assert seen["untouched"]


@pytest.mark.parametrize("which", ["", "0", "1", "12", "012"])
def test_processes_share_a_file_with_closed_standard_streams(which: str) -> None:
    seen = process_programs.run("machine_programs.closed_workers", which)
    assert seen == [{"ref": 20_000}, 20_000, True]


def test_what_is_printed_to_a_closed_stream_gets_into_no_object() -> None:
    assert process_programs.run("machine_programs.low_descriptors")


def test_a_daemon_that_closes_descriptors_loses_no_file() -> None:
    seen = process_programs.run("machine_programs.daemon")
    name, cached, width = seen["seen"]
    assert name in seen["stored"]
    assert (cached, width) == (True, 64)
    assert len(seen["stored"]) == 2
    assert (seen["kept"], seen["names"], seen["open"]) == (True, 20, True)


def test_a_store_refuses_where_its_directory_cannot_be_found_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", durable=False)
    os.close(store._root.number)
    theirs = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "store").rename(tmp_path / "old")
    (tmp_path / "store").mkdir()
    try:
        with pytest.raises(MMRawError) as caught:
            store.put(b"\x89PNG\r\n\x1a\n1")
    finally:
        os.close(theirs)
    assert caught.value.code == "store_invalid"
    assert list((tmp_path / "store").iterdir()) == []


def test_a_descriptor_knows_its_file_and_closes_no_other(tmp_path: Path) -> None:
    mine = Descriptor(os.open(tmp_path, os.O_RDONLY))
    number = mine.number
    assert number > 2
    (tmp_path / "theirs").write_text("precious")
    theirs = os.open(tmp_path / "theirs", os.O_RDONLY)
    os.dup2(theirs, number)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        _ = mine.number
    assert caught.value.errno == errno.EBADF
    mine.close()
    assert os.read(number, 8) == b"precious"
    os.close(number)
    os.close(theirs)
    assert lift(os.open(tmp_path, os.O_RDONLY)) > 2
