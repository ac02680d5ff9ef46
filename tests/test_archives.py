"""Archives: compressed files are read by what is in them, and written as they were."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from test_compression import NAMES, packed, unpacked
from test_file_commands import only, ref, run

from mmraw_protocol.cli import main, output
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire import compression

REFS = [ref(n, raw_image_id=f"{n:032x}" * 2 + ".png") for n in range(300)]
LINES = "".join(json.dumps({"id": n, "ref": one}) + "\n" for n, one in enumerate(REFS)).encode()
#: It begins as a ref.
BAD = "mmraw:v9:x"


def lines_with_faults(folder: Path) -> Path:
    """A file of five refs, a line each: the third and the last are rejected."""
    path = folder / "rollouts.jsonl"
    path.write_text("".join(json.dumps([one]) + "\n" for one in [*REFS[:2], BAD, REFS[2], BAD]))
    return path


def report(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> dict[str, Any]:
    assert main([*map(str, args), "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("processes", ["1", "2"])
def test_convert_keeps_the_compression_whatever_the_file_is_called(
    name: str, processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, file = tmp_path / "plain.jsonl", tmp_path / "rollouts.jsonl"
    plain.write_bytes(LINES)
    file.write_bytes(packed(LINES, name))
    run(capsys, "convert", plain, "--in-place")
    row = run(capsys, "convert", file, "--in-place", "--processes", processes)
    assert (row["converted"], row["bytes_read"]) == (300, len(LINES))
    written = compression.compression_of(file.read_bytes()[:4])
    assert written is not None
    assert written.name == name
    assert unpacked(file.read_bytes()) == plain.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_compressed_file_that_is_cut_off_is_refused_whole(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.jsonl"
    data = packed(LINES, name)[:-3]
    file.write_bytes(data)
    row = run(capsys, "convert", file, "--in-place", "--on-error", "keep", code=1)
    assert (row["written"], row["error"]["code"]) == (False, "source_unavailable")
    assert file.read_bytes() == data
    only(tmp_path, file.name)
    summary = report(capsys, "validate", file, code=1)
    assert summary["refused_by_code"] == {"source_unavailable": 1}


def test_validate_names_the_line_of_the_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.gz"
    file.write_bytes(packed(LINES + b'"mmraw:v9:x"\n'))
    summary = report(capsys, "validate", file, code=1)
    assert summary["checked"] == {"ref": 301}
    assert [one["line"] for one in summary["refusals"]] == [301]


FORMS = {
    "bzip2": bz2.compress(LINES),
    "xz": lzma.compress(LINES),
    "zip": b"PK\x03\x04" + LINES,
    "UTF-16": LINES.decode().encode("utf-16"),
    "UTF-32": LINES.decode().encode("utf-32"),
    "a picture": samples.PNG,
    "gzip within another": gzip.compress(gzip.compress(LINES)),
    "Parquet that is compressed": gzip.compress(b"PAR1" + LINES),
    "Arrow that is compressed": gzip.compress(b"ARROW1\0\0" + LINES),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_not_read_is_refused_once_by_its_name(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes(FORMS[form])
    (refusal,) = report(capsys, "validate", file, code=1)["refusals"]
    row = run(capsys, "convert", file, "--in-place", code=1)
    for one in (refusal, row["error"]):
        assert one["code"] == "unsupported_option"
        assert form.removesuffix("-32") in one["message"]
    assert main(["inspect", str(file)]) == 1
    assert form.removesuffix("-32") in capsys.readouterr().err


def test_fsck_reads_references_of_compressed_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(tmp_path / "store")
    name = store.put(samples.PNG)
    file = tmp_path / "rollouts.jsonl.gz"
    file.write_bytes(packed(json.dumps({"image": store.url(name)}).encode()))
    found = report(capsys, "store", "fsck", file, "--store", tmp_path / "store")
    assert found["ok"]
    (store.root / name).unlink()
    assert not report(capsys, "store", "fsck", file, "--store", tmp_path / "store", code=1)["ok"]


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes(LINES)
    assert main(["validate", str(file)]) == 0
    size = f"{len(LINES):,}"
    assert f"mmraw: validate rollouts.jsonl: {size} of {size}" in capsys.readouterr().err
    assert main(["validate", str(file), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def append(file: Path) -> None:
    with file.open("ab") as more:
        more.write(b"\n")


def replace(file: Path) -> None:
    new = file.with_name("new")
    new.write_bytes(LINES)
    new.rename(file)


@pytest.mark.parametrize("change", [append, replace])
@pytest.mark.parametrize("command", [["validate"], ["convert", "--dry-run"]])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: Callable[[Path], object],
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes(LINES)
    # Progress is shown while the file is read.
    monkeypatch.setattr(output, "_lines", lambda *_: lambda done: change(file))
    assert main([*command, str(file)]) == 1
    said = capsys.readouterr()
    assert "source_unavailable" in said.out + said.err
