"""Lines of text, as in logs: `validate` and `inspect` find the refs in them by themselves."""

import io
import json
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from test_archives import report
from test_compression import NAMES, packed

from mmraw_protocol.cli import main
from mmraw_protocol.files import Counts, check

REF = samples.ref()
BAD = "mmraw:v9:abc"
#: A log with six refs, the last two of which are refused.
LOG = "\n".join(
    [
        f"12:00:01 INFO read {REF}, and {REF}.",
        json.dumps({"level": "info", "ref": REF}),
        "12:00:02 INFO body " + json.dumps(json.dumps([REF])),
        f"GET /image?ref={quote(REF, safe='')}&size=1 200",
        "no ref at all",
        "",
        f"  é {BAD}!",
        f"[12:00:03] {{'ref': '{BAD}'}}",
    ]
)
CHECKED = {"ref": 7}
PLACES = [(7, 6), (8, 21)]


def checked(*lines: str, processes: int = 1) -> Counts:
    return check(io.BytesIO("\n".join(lines).encode()).read, processes=processes)


@pytest.mark.parametrize(
    "line",
    [
        "12:00:01 INFO a word",
        "[2026-11-30 12:00:01] {not: json}",
        "[1] step 3",
        "[1,0]<stdout>: rank 0",
        "[[0.1 0.2]",
        "{'a': 1}",
        "[{'a': 1}]",
        '"2026-11-30","a field, quoted"',
        '"broken',
        "1, 2",
        "nul",
        f"{REF} took 3 ms",
        '12:00:01 INFO body {"a": 1}',
        "  }]}",
        "'b': \"it's\"}",
        'INFO } "a": 1}',
        "set {1}}",
        "\ufeff12:00:01 INFO a word",
    ],
)
def test_a_line_that_does_not_begin_as_an_object_or_a_list_is_text(line: str) -> None:
    found = checked("[]", line)
    assert (found.text_lines, found.refused) == (1, {})
    assert found.counts == ({"ref": 1} if REF in line else {})
    # The same at the beginning of a file.
    assert checked(line, "[]").text_lines == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1',
        "{",
        "{broken",
        "[",
        '["a"',
        "[[",
        '[["a",',
        '[{"a": 1},',
        ' [ { "a": 1} x',
        '"{\\"a\\": 1}',
        '\ufeff{"a": 1}',
        'b": 1, "ref": "x"}',
        'ue, "a": "}"}',
        f"{REF}x",
        "a\0b",
    ],
)
def test_json_with_a_fault_is_refused_where_it_stands(line: str) -> None:
    found = checked("[]", line, "[]")
    assert (found.text_lines, len(found.refusals)) == (0, 1)
    assert found.refusals[0].line == 2


def test_a_row_whose_beginning_is_cut_off_is_refused_wherever_that_ended() -> None:
    row = {"a": {"b": 1}, "ref": REF, "s": 'a "q" \\ {', "t": [True, -1.5e-7, {"é": [None]}]}
    line = json.dumps(row, ensure_ascii=False)
    for start in range(1, len(line) - len("]}]}")):
        found = checked("[]", line[start:])
        assert (found.text_lines, [one.line for one in found.refusals]) == (0, [2])


@pytest.mark.parametrize("line", ['"text"', "1.5", "null", REF, f'"{REF}"', "[[1, 2], [3]]"])
def test_values_and_refs_on_a_line_of_their_own_are_no_text(line: str) -> None:
    assert (checked("[]", line).text_lines, checked(line).refused) == (0, {})


@pytest.mark.parametrize(
    "document",
    [[1, {"ref": BAD}], [[], {"ref": BAD}], {"a": {"ref": BAD}}, ["a", BAD], [None, BAD]],
)
@pytest.mark.parametrize("indent", [0, 2])
def test_a_document_over_many_lines_is_one(document: object, indent: int) -> None:
    found = checked(json.dumps(document, indent=indent))
    assert (found.text_lines, found.counts) == (0, {"ref": 1})
    assert found.refusals[0].path != "$"


lines = st.sampled_from(
    [*LOG.split("\n"), f'["{BAD}"]', '{"broken"', f"{BAD} ", REF, BAD, "1", "\tx\r", f"é{REF}é"]
)


@given(st.lists(lines, max_size=40), st.sampled_from([40, 1 << 16]))
def test_lines_of_text_and_of_json_are_checked_one_by_one(rows: list[str], block: int) -> None:
    data = "\n".join(["[]", *rows]).encode()
    found = check(io.BytesIO(data).read, block=block)
    alone = Counts()
    for number, row in enumerate(rows, start=2):
        one = checked("[]", row)
        one.refusals = [refusal.__replace__(line=number) for refusal in one.refusals]
        alone.merge(one)
    assert found == alone


@pytest.mark.parametrize("form", ["file", "folder", "pattern", "standard input", *NAMES])
def test_validate_finds_refs_in_logs_of_every_form(
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "server.log"
    file.write_bytes(packed(LOG.encode(), form) if form in NAMES else LOG.encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG.encode())))
    names = {"folder": tmp_path, "pattern": tmp_path / "*.log", "standard input": "-"}
    found = report(capsys, "validate", names.get(form, file), code=1)
    assert (found["checked"], found["text_lines"]) == (CHECKED, 6)
    assert [(one["line"], one["byte"]) for one in found["refusals"]] == PLACES


def test_a_refusal_in_text_has_file_line_and_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.log"
    file.write_text(LOG)
    assert main(["validate", str(file)]) == 1
    first, second, summary, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:7:6: ref refused: unsupported_dialect")
    assert second.startswith(f"{file}:8:21: ref refused: unsupported_dialect")
    assert summary == "checked 7 ref; refused 2; 6 lines of text"
    assert main(["validate", str(file), "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith(f"::error file={file},line=7,col=6::ref refused")


def test_a_log_without_refs_is_a_file_without_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.log"
    file.write_text("a log\nof lines\n")
    found = report(capsys, "validate", file, code=1)
    assert (found["checked"], found["refused"], found["text_lines"]) == ({}, 0, 2)
    assert found["seen"] == {str(file): "2 lines of text, 0 refs"}
    report(capsys, "validate", file, "--allow-empty")


def test_inspect_reads_lines_of_json_between_lines_of_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.log"
    rows = ["12:00:01 INFO start", json.dumps({"item": samples.envelope()}), f"12:00:02 INFO {REF}"]
    file.write_text("\n".join(rows))
    found = report(capsys, "inspect", file)
    kinds = [(one["kind"].split(",")[0], one["line"]) for one in found["things"]]
    assert kinds == [("envelope", 2), ("ref", 3)]
    file.write_text("\n".join([*rows, '{"broken']))
    found = report(capsys, "inspect", file, code=1)
    assert [one["ok"] for one in found["things"]] == [False, True]


def test_inspect_reads_documents_over_many_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several of them, as `jq` prints the rows of a file, have the verdict of `validate`."""
    file = tmp_path / "rollouts.json"
    rows = [{"item": samples.envelope()}, {"refs": [REF]}, [[REF]]]
    file.write_text("\n".join(json.dumps(row, indent=1) for row in rows))
    assert report(capsys, "validate", file)["checked"] == {"envelope": 1, "ref": 2}
    found = report(capsys, "inspect", file)["things"]
    assert [one["kind"].split(",")[0] for one in found] == ["envelope", "ref", "ref"]
    lines = file.read_text().split("\n")
    assert all(REF in lines[one["line"] - 1] for one in found[1:])


def test_a_long_line_of_many_refs_takes_no_more_time_than_short_ones() -> None:
    line = "é" * (3 << 20) + f" {BAD}" * 3000
    start = time.process_time()
    found = checked("[]", line)
    assert found.refused == {"unsupported_dialect": 3000}
    assert [one.byte for one in found.refusals[:2]] == [(6 << 20) + 2, (6 << 20) + 15]
    # It takes 12 s if the bytes before each ref are counted from the beginning of the line.
    assert time.process_time() - start < 2
