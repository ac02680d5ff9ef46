"""The command line where its files, its streams or its options are not what they should be."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder

MMRAW = str(Path(sys.executable).parent / "mmraw")
JPEG = vectors_folder() / "images" / "rgb_320x200.jpg"
REF = "mmraw:v2:r:f:0123456789abcdef:image:0123456789abcdef:a.png:e30"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """A command as a shell runs it, `mmraw` being the installed one."""
    path = os.pathsep.join([str(Path(MMRAW).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The error of a command that ends with 1."""
    assert main([*arguments, "--json"]) == 1
    return json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize("command", ["schema", "inspect <&-", "layout 3x3 --json"])
def test_closed_streams_are_empty_streams(command: str) -> None:
    done = shell(f"mmraw {command} >&-")
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if "<&-" in command else 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", ["schema ref:v3", "inspect nothing --json", "layout 3x3"])
def test_output_that_cannot_be_written_is_said_and_ends_with_one(command: str) -> None:
    done = shell(f"mmraw {command} > /dev/full")
    assert done.returncode == 1
    assert (
        done.stderr == "mmraw: cannot read the input or write the output: No space left on device\n"
    )


@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-8:strict"])
def test_names_beyond_the_terminals_encoding_are_escaped(encoding: str, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xc3\xa9.jpg")
    (tmp_path / name).write_bytes(JPEG.read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for arguments in (["layout", name], ["inspect", "--help"]):
        command = [MMRAW, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_fault() -> None:
    done = shell("mmraw schema ref:v3 | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_placeholder_convention_needs_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["layout", "3x3"], ["materialize", REF]):
        error = refused(capsys, *command, "--placeholder", "expanded")
        assert error["code"] == "unsupported_option"


def test_a_list_of_conversations_is_not_one_without_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = {"type": "image", "image": str(JPEG)}
    file = tmp_path / "messages.json"
    file.write_text(json.dumps([[{"role": "user", "content": [part]}]]))
    error = refused(capsys, "pack", str(file), "--storage", "inline")
    assert (error["code"], error["path"]) == ("invalid_type", "$[0]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a ref or a document, got none in 0 characters"),
        ("[1]", "expected a ref, an envelope, a features body, content parts or mm_refs, got none"),
        (
            '{"messages": []}',
            "expected a ref, an envelope, a features body, content parts or mm_refs, got none",
        ),
    ],
)
def test_inspect_says_what_it_expects(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "document.json"
    file.write_text(text)
    assert refused(capsys, "inspect", str(file))["message"] == words


def test_validate_counts_a_file_that_cannot_be_read_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_text(REF + "\n")
    missing = tmp_path / "missing.jsonl"
    assert main(["validate", str(missing), str(tmp_path), str(file), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    # The folder holds the one file that is there.
    assert report["checked"] == {"file": 1, "ref": 2}
    assert report["refused_by_code"] == {"source_unavailable": 1}
    assert [row["file"] for row in report["refusals"]] == [str(missing)]


def test_the_demo_names_the_picture_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    error = refused(capsys, "demo", str(JPEG), str(broken), "--out", str(tmp_path / "out"))
    assert (error["code"], error["path"]) == ("image_undecodable", "$[1]")


def test_a_refused_image_is_named_by_its_place_in_the_body(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = {"type": "image", "image": str(JPEG)}
    file = tmp_path / "messages.json"
    file.write_text(json.dumps([{"role": "user", "content": [part, part]}]))
    store = tmp_path / "run_a" / "assets" / "images"
    options = ["--family", "kimi_k25", "--store", str(store)]
    assert main(["pack", str(file), *options]) == 0
    body = tmp_path / "features.json"
    body.write_text(capsys.readouterr().out)
    error = refused(capsys, "materialize", str(body), "--out", str(tmp_path / "out"))
    assert error["path"] == "$.kwargs_data.vision_chunk[0].raw_image_id"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf"])
def test_an_answer_is_waited_for_so_many_seconds(
    timeout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", "run", "--timeout", timeout, "--", "true"]) == 1
    assert "expected positive numbers in" in capsys.readouterr().err
