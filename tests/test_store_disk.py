"""The local store on disks that fail, fill up or cannot sync."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from one_image import DATA, NAME, files
from refusals import refused_code

from mmraw_protocol.stores import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "images")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "store_full"),
        (errno.EDQUOT, "store_full"),
        (errno.EIO, "store_unavailable"),
        (errno.EACCES, "store_permission"),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod"])
def test_a_failing_disk_leaves_nothing_behind(
    call: str, number: int, code: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, "injected")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        assert refused_code(store.put, DATA) == code
    assert files(store) == []


def test_short_writes_are_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    assert store.get(store.put(DATA)) == DATA


def test_durable_writes_reach_the_disk_before_the_answer(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for call in ("write", "fsync", "rename"):
        real = getattr(os, call)

        def record(*args: Any, _real: Any = real, _call: str = call, **options: Any) -> Any:
            calls.append(_call)
            return _real(*args, **options)

        monkeypatch.setattr(os, call, record)
    store.put(DATA)
    assert calls == ["write", "fsync", "rename", "fsync"]
    calls.clear()
    store.put(DATA)
    assert calls == ["fsync", "fsync"]
    calls.clear()
    LocalStore(store.root, durable=False).put(DATA + b"x")
    assert calls == ["write", "rename"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, "source_unavailable"),
        (errno.ELOOP, "source_unavailable"),
        (errno.EACCES, "store_permission"),
        (errno.EIO, "store_unavailable"),
        (errno.EMFILE, "store_unavailable"),
    ],
)
def test_a_read_that_fails_says_why(
    number: int, code: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(DATA)
    real = os.open

    def fail(path: Any, *args: Any, **options: Any) -> int:
        if path == NAME:
            raise OSError(number, "injected", "/some/path")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", fail)
    assert refused_code(store.get, NAME) == code


def test_a_file_system_without_directory_sync_is_no_failure(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "injected")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert store.get(store.put(DATA)) == DATA


def test_a_full_disk_in_a_process_of_its_own(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from mmraw_protocol import MMRawError\n"
        "from mmraw_protocol.stores import LocalStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: LocalStore(sys.argv[1]).put(b'x' * 5000)\n"
        "except MMRawError as error: print(error.code)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "images")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "store_full"
    assert os.listdir(tmp_path / "images") == []


def test_temporary_files_are_made_exclusively(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    taken = store.root / f".mmraw-{'0' * 32}.tmp"
    taken.write_bytes(b"another writer's")
    os.link(taken, tmp_path / "witness")
    assert refused_code(store.put, DATA) == "store_invalid"
    assert (tmp_path / "witness").read_bytes() == b"another writer's"
