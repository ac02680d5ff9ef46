"""`mmraw validate --follow`: lines are checked as they are written, until it is ended."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from test_archives import BAD, REFS, lines_with_faults

from mmraw_protocol.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lines_with_faults(tmp_path)


def following(file: Path, *options: str | Path) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "mmraw_protocol.cli", "validate", file, "--follow", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(call, stdout=pipe, stderr=pipe, text=True)


def test_following_checks_what_is_appended(file: Path) -> None:
    with following(file) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{file}:3: ref refused")
        assert process.stdout.readline().startswith(f"{file}:5: ref refused")
        with file.open("a") as more:
            more.write(json.dumps([REFS[3]]) + "\n" + json.dumps([BAD])[:5])
            more.flush()
            more.write(json.dumps([BAD])[5:] + f"\nINFO {BAD}\n")
        assert process.stdout.readline().startswith(f"{file}:7: ref refused")
        assert process.stdout.readline().startswith(f"{file}:8:6: ref refused")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "checked 8 ref; refused 4; 1 line of text\n"
        assert process.wait() == 1


def test_following_writes_a_report_in_the_end(file: Path) -> None:
    to = file.with_name("report.json")
    with following(file, "--report", to) as process:
        assert process.stdout is not None
        assert [process.stdout.readline()[:8] for _ in range(2)] == [str(file)[:8]] * 2
        process.send_signal(signal.SIGINT)
        assert process.wait() == 1
    report = json.loads(to.read_text())
    assert ([one["line"] for one in report["refusals"]], report["refused"]) == ([3, 5], 2)
    assert report["found"]["forms"] == {"ref v2": 3}


def test_following_ends_where_the_file_is_replaced(file: Path) -> None:
    with following(file) as process:
        assert process.stdout is not None
        process.stdout.readline()
        file.rename(file.with_name("old"))
        file.write_text("[]\n")
        assert process.wait(timeout=30) == 1
        assert process.stderr is not None
        assert "source_unavailable" in process.stderr.read()


@pytest.mark.parametrize(
    ("end", "summary", "said"),
    [
        (json.dumps([BAD]), "checked 6 ref; refused 3\n", ""),
        (json.dumps([BAD])[:8], "checked 5 ref; refused 2\n", "rollouts.jsonl:6: the last line"),
    ],
    ids=["whole", "half"],
)
def test_a_last_line_without_end_is_checked_if_it_is_whole(
    end: str, summary: str, said: str, file: Path
) -> None:
    with file.open("a") as more:
        more.write(end)
    with following(file) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith(summary)
        assert said in process.stderr.read()


def test_a_signal_that_ends_it_leaves_the_summary(file: Path) -> None:
    with following(file) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        process.terminate()
        assert process.stdout.read() == "checked 5 ref; refused 2\n"
        assert process.wait() == 128 + signal.SIGTERM


def test_lines_of_a_pipe_are_checked_at_once_and_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with following(pipe) as process:
        assert process.stdout is not None
        with pipe.open("w") as writer:
            writer.write(json.dumps([BAD]) + "\n")
            writer.flush()
            assert process.stdout.readline().startswith(f"{pipe}:1: ref refused")
            writer.write(json.dumps([BAD]))
        assert process.stdout.readline().startswith(f"{pipe}:2: ref refused")
        assert process.stdout.read() == "checked 2 ref; refused 2\n"


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"[]\n"), msgspec.msgpack.encode({"a": REFS[0]}), b"PAR1", b"ARROW1\0\0"],
    ids=["gzip", "MessagePack", "Parquet", "Arrow"],
)
def test_only_files_of_lines_are_followed(
    data: bytes, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(data)
    assert main(["validate", str(file), "--follow"]) == 1
    assert "unsupported_option" in capsys.readouterr().err
    assert main(["validate", "s3://bucket/rollouts.jsonl", "--follow"]) == 1
    assert "unsupported_option" in capsys.readouterr().err
