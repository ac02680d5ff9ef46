"""Files that are rewritten: nothing that others write is lost, and nothing is left behind."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.files import whole_output

if not hasattr(os, "mkfifo"):
    pytest.skip("FIFOs and signals are those of POSIX", allow_module_level=True)

REF = (
    "mmraw:v2:r:other:9c3fa26ef2eec6bae60e386221fd6121:image:"
    "9c3fa26ef2eec6bae60e386221fd6121:a.png:e30"
)
LINE = f'{{"n":1,"r":"{REF}"}}\n'


def temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".mmraw-")]


def rollouts(tmp_path: Path) -> Path:
    path = tmp_path / "live.jsonl"
    path.write_text(LINE * 100)
    return path


def rewritten(path: Path, meanwhile: Any) -> str:
    """The code of the refusal; `meanwhile` happens after the file was read."""

    def rewrite() -> None:
        with path.open("rb") as source, whole_output(path, source) as out:
            out.write(source.read().replace(b"other", b"CHANGED"))
            meanwhile()
            out.commit()

    with pytest.raises(MMRawError) as caught:
        rewrite()
    return caught.value.code


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write(LINE)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(LINE * 100)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def overwrite(path: Path) -> None:
    before = path.stat()
    path.write_text(LINE.upper() * 100)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [append, replace, overwrite, remove])
def test_a_file_that_changed_meanwhile_is_not_replaced(change: Any, tmp_path: Path) -> None:
    path = rollouts(tmp_path)
    assert rewritten(path, lambda: change(path)) == "source_unavailable"
    assert not path.exists() or b"CHANGED" not in path.read_bytes()
    assert temporaries(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes")
def test_a_file_that_another_writer_holds_open_is_not_replaced(tmp_path: Path) -> None:
    path = rollouts(tmp_path)
    with path.open("a") as log:
        assert rewritten(path, lambda: None) == "source_unavailable"
        log.write(LINE)
    assert path.read_text() == LINE * 101


def test_a_command_says_that_the_file_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rollouts(tmp_path)
    fsync = os.fsync

    def grow(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        append(path)

    for options in (["--in-place"], ["--out", str(path)]):
        path.write_text(LINE * 100)
        monkeypatch.setattr(os, "fsync", grow)
        assert main(["convert", str(path), *options]) == 1
        assert "changed meanwhile; nothing was written" in capsys.readouterr().err
        assert path.read_text() == LINE * 101
        assert temporaries(tmp_path) == []


def start(folder: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """A command that has written some of its output and waits for more input."""
    command = [sys.executable, "-m", "mmraw_protocol.cli", "convert", "-", "--out", "new.jsonl"]
    pipe = subprocess.PIPE
    process: Any = subprocess.Popen(command, cwd=folder, stdin=pipe, stderr=pipe, **options)
    process.stdin.write(LINE.encode() * 100)
    process.stdin.flush()
    while not temporaries(folder):
        assert process.poll() is None
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    with process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGINT", "SIGUSR1", "SIGALRM"])
def test_no_signal_that_ends_a_command_leaves_a_temporary(name: str, tmp_path: Path) -> None:
    process = start(tmp_path)
    # Once more where the first came just before the command began to wait for input: Python
    # notices it when the waiting is interrupted.
    for _ in range(30):
        process.send_signal(getattr(signal, name))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
            break
    code = process.poll()
    process.kill()
    end(process)
    assert code
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start(tmp_path, preexec_fn=ignore)
    process.send_signal(signal.SIGHUP)
    end(process)
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new.jsonl"]


def test_what_a_killed_command_left_is_named_and_removed_by_the_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(tmp_path)
    (left,) = temporaries(tmp_path)
    # A command that is at work is no leftover, and that of another file is none of ours.
    other = rollouts(tmp_path)
    assert main(["convert", str(other), "--out", str(tmp_path / "new.jsonl")]) == 0
    assert temporaries(tmp_path) == [left]
    process.kill()
    end(process)
    assert main(["convert", str(other), "--in-place"]) == 0
    assert temporaries(tmp_path) == [left]
    capfd.readouterr()
    assert main(["convert", str(other), "--out", str(tmp_path / "new.jsonl")]) == 0
    assert f"removed {left}" in capfd.readouterr().err
    assert temporaries(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="the system has no extended attributes")
def test_a_replaced_file_keeps_mode_owner_and_attributes(tmp_path: Path) -> None:
    path = rollouts(tmp_path)
    path.chmod(0o664)
    try:
        os.setxattr(path, "user.origin", b"trainer")
    except OSError:
        pytest.skip("this disk has no extended attributes")
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    assert main(["convert", str(path), "--in-place"]) == 0
    now = path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.getxattr(path, "user.origin") == b"trainer"


def test_what_cannot_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    path = rollouts(tmp_path)
    assert main(["convert", str(path), "--in-place"]) == 0
    assert "could not keep the owner of the file" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/fd/1", "/dev/null", "fifo"])
def test_what_streams_can_be_written_to(target: str, tmp_path: Path) -> None:
    path = rollouts(tmp_path)
    expected = tmp_path / "expected.jsonl"
    assert main(["convert", str(path), "--out", str(expected)]) == 0
    found: list[bytes] = []
    os.mkfifo(tmp_path / "fifo")
    reader = threading.Thread(target=lambda: found.append((tmp_path / "fifo").read_bytes()))
    if target == "fifo":
        reader.start()
    command = [sys.executable, "-m", "mmraw_protocol.cli", "convert", str(path), "--out", target]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if target == "fifo":
        reader.join()
        assert found == [expected.read_bytes()]
    elif target != "/dev/null":
        assert done.stdout == expected.read_bytes()
        assert b"100 converted" in done.stderr
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--out", "."], "the output is a folder"),
        (["--out", "/dev/fd/999"], "not open for writing"),
        (["--out", "missing/new.jsonl"], "the folder of the output does not exist"),
        (["--in-place", "/dev/null"], "only regular files"),
    ],
)
def test_what_cannot_be_written_to_is_refused_in_one_sentence(
    options: list[str],
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = rollouts(tmp_path)
    code = 1
    try:
        code = main(["convert", *([] if "--in-place" in options else [str(path)]), *options])
    except SystemExit as error:
        code = int(str(error.code))
    assert code in (1, 2)
    assert text in capsys.readouterr().err
    assert path.read_text() == LINE * 100


@pytest.mark.parametrize("command", [["demo"], ["materialize", REF]])
@pytest.mark.parametrize("out", ["-", "/dev/null", "file"])
def test_a_folder_of_pictures_is_no_stream(
    command: list[str],
    out: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("precious")
    assert main([*command, "--out", out]) == 1
    assert "expected --out to be a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("blank", [b"\n", b"  \n", b"\r\n", b"\t \t\n"])
def test_blank_lines_are_read_in_runs(blank: bytes) -> None:
    """A run of blank lines takes no step for each of them."""
    from mmraw_protocol.files import StringPrefixes
    from mmraw_protocol.files.lines import are_documents

    prefixes = StringPrefixes(["mmraw:"], bare=["mmraw:"])
    steps = []

    def count(*_: Any) -> Any:
        steps.append(1)
        return count

    for number in (10, 10_000):
        block = b'{"a":1}\n' + blank * number + b'{"a":2}\n'
        steps.append(0)
        sys.settrace(count)
        try:
            assert are_documents(block, prefixes)
        finally:
            sys.settrace(None)
        assert len(steps) < 200
    assert not are_documents(b'{"a":1}\n' + blank + b"x\n", prefixes)
    assert not are_documents(b'{"a":\n' + blank + b"1}\n", prefixes)


def test_an_over_long_string_is_not_collected(tmp_path: Path) -> None:
    """It is passed on once it is longer than any that could be taken."""
    from mmraw_protocol.files.prefixes import StringPrefixes
    from mmraw_protocol.files.scanner import CHUNK, Scanner, StringMatch

    most = 4 * CHUNK
    document = io.BytesIO(b'{"r":"mmraw:' + b"A" * 20 * CHUNK + b'"}\n')
    scanner = Scanner(document.read, StringPrefixes(["mmraw:"]), most=most)
    found = [piece for piece in scanner.pieces() if isinstance(piece, StringMatch)]
    assert [piece.text for piece in found] == [None]
    assert len(found[0].raw) <= most // 2 + 2 * CHUNK
