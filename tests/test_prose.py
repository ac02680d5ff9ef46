"""Refs in logs and other text: `--text` rewrites them where they stand, escaped as they were."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from test_archives import REFS
from test_file_commands import run

from mmraw_protocol import convert_ref
from mmraw_protocol.cli import main

OLD, NEW = REFS[7], convert_ref(REFS[7], "v3")


def log(ref: str, v1: str) -> str:
    return "\n".join(
        [
            f"12:00:01 INFO read {ref}, and é {ref}.",
            "12:00:02 INFO body " + json.dumps({"row": json.dumps([ref])}),
            f"GET /image?ref={quote(ref, safe='')}&size=1 200",
            f'12:00:03 WARN "{v1}"',
            "no ref at all",
        ]
    )


@pytest.mark.parametrize("processes", ["1", "2"])
def test_refs_in_a_log_are_converted(
    processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.log"
    file.write_text(log(OLD, OLD))
    row = run(capsys, "convert", file, "--text", "--in-place", "--processes", processes)
    assert (row["converted"], row["refused"]) == (5, 0)
    assert file.read_text() == log(NEW, NEW)


def test_a_ref_with_quotes_of_its_own_is_escaped_as_often_as_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    v1 = convert_ref(OLD, "v1")
    file = tmp_path / "server.log"
    file.write_text("sent " + json.dumps(json.dumps({"ref": v1})) + " at once\n")
    run(capsys, "convert", file, "--text", "--in-place", "--run-id", "exp42")
    assert file.read_text() == "sent " + json.dumps(json.dumps({"ref": NEW})) + " at once\n"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_refs_in_a_line_of_any_length_are_converted(
    processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in one document on a line, and wherever the parts end in which it is read."""
    file, bad = tmp_path / "server.log", "mmraw:v9:abc"

    def text(ref: str) -> str:
        rows = [f"{index} é {ref}, " for index in range(45_000)]
        return "first\n" + json.dumps({"log": "".join(rows)}) + f"\n{log(ref, ref)}\n{bad}"

    assert len(text(OLD)) > 9_000_000
    file.write_text(text(OLD))
    row = run(capsys, "convert", file, "--text", "--in-place", "--on-error", "keep",
              "--processes", processes, code=1)  # fmt: skip
    assert (row["converted"], row["refused"]) == (45_005, 1)
    assert row["refusals"][0]["line"] == 2 + len(log(OLD, OLD).split("\n")) + 1
    assert file.read_text() == text(NEW)


def test_a_refusal_in_a_long_line_has_its_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, line = tmp_path / "server.log", "é" * 4_500_000 + " mmraw:v9:abc"
    file.write_text(f"first\n{line} é\nlast\n")
    row = run(capsys, "convert", file, "--text", "--in-place", "--on-error", "keep", code=1)
    place = row["refusals"][0]
    assert (place["line"], place["byte"] - 1) == (2, line.encode().index(b"mmraw"))
    assert file.read_text() == f"first\n{line} é\nlast\n"


def test_a_refusal_has_its_line_and_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.log"
    line = f"é {OLD[:-3]}! see mmraw:v9:abc"
    file.write_text(f"first\n{line}\n")
    row = run(capsys, "convert", file, "--text", "--in-place", "--on-error", "keep", code=1)
    assert row["refused"] == 2
    places = [(one["line"], one["byte"] - 1) for one in row["refusals"]]
    assert places == [(2, 3), (2, line.encode().index(b"mmraw:v9"))]
    assert file.read_text() == f"first\n{line}\n"


def test_validate_finds_refs_within_the_text_of_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "structlog.jsonl"
    rows = [
        {"event": f"sent {NEW}, 200"},
        {"events": [f"got {NEW} and mmraw:v9:abc"], "context": json.dumps({"log": f"= {NEW}"})},
        {"messages": [{"role": "user", "content": f"What is {NEW}?"}]},
        {"event": "mmraw has no ref here", "context": "neither mmraw: nor mmraw:v3"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["validate", str(file), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["checked"] == {"ref": 5, "messages": 1}
    assert report["refused_by_code"] == {"unsupported_dialect": 1}
    refusal = report["refusals"][0]
    assert (refusal["line"], refusal["path"]) == (2, "$.*[0]")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_refs_within_the_text_of_a_table_are_converted(
    processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    file = tmp_path / "logs.parquet"

    def rows(ref: str) -> dict[str, list[object]]:
        return {
            "event": [f"sent {ref}, 200", f"{ref[:-3]}!", None],
            "row": [json.dumps({"log": [f"got {ref}"], "n": 1.50}), ref, "no ref"],
            "said": [{"text": [f"What is {ref}?"]}, None, {"text": []}],
            "image": [b"\x89PNG mmraw", f"= {ref}".encode(), b""],
        }

    old = rows(OLD)
    parquet.write_table(arrow.table(old), file)
    row = run(capsys, "convert", file, "--text", "--in-place", "--on-error", "keep",
              "--processes", processes, code=1)  # fmt: skip
    assert (row["converted"], row["refused"]) == (5, 1)
    assert (row["refusals"][0]["line"], row["refusals"][0]["column"]) == (2, "event")
    new = rows(NEW) | {"event": [f"sent {NEW}, 200", old["event"][1], None]}
    assert parquet.read_table(file).to_pydict() == new
