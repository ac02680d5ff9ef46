"""Reports of the file commands: dry runs, annotations, files that grow, statistics."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from test_archives import REFS, lines_with_faults, report
from test_file_commands import run

from mmraw_protocol.cli import main
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lines_with_faults(tmp_path)


def test_a_dry_run_reads_the_whole_input(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = run(capsys, "convert", file, "--dry-run", code=1)
    assert (row["converted"], row["refused"], row["written"]) == (3, 2, False)
    assert [one["line"] for one in row["refusals"]] == [3, 5]
    assert row["bytes_read"] == file.stat().st_size


@pytest.mark.parametrize("command", [["validate"], ["convert", "--dry-run"], ["stats"]])
def test_a_report_file_holds_what_json_prints(
    command: list[str], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = file.with_name("report.json")
    printed = report(capsys, *command, file, "--report", to, code=1)
    assert json.loads(to.read_text()) == printed


def test_commands_of_stores_write_reports_too(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalStore(tmp_path / "store").put(samples.PNG)
    place, to = ("--store", tmp_path / "store"), tmp_path / "report.json"
    for command in (("fsck", *place), ("gc", file, *place), ("sync", place[1], tmp_path / "copy")):
        code = 1 if command[0] == "gc" else 0
        printed = report(capsys, "store", *command, "--quiet", "--report", to, code=code)
        assert json.loads(to.read_text()) == printed


def test_annotations_are_those_of_github(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = file.with_name("a,b%.jsonl")
    file.rename(named)
    assert main(["validate", str(named), "--format", "github"]) == 1
    first, second, *_ = capsys.readouterr().out.splitlines()
    where = str(named).replace("%", "%25").replace(",", "%2C")
    start = f"::error file={where},line={{}}::ref refused: unsupported_dialect at $[0]: "
    assert first.startswith(start.format(3))
    assert second.startswith(start.format(5))


def test_stats_name_what_they_refuse(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prose = json.dumps(["data:image/png is how a data: URL begins", "data:imagery"])
    (tmp_path / "b.jsonl").write_text(f'["data:image/png;base64,AAAA"]\n{prose}\n')
    found = report(capsys, "stats", tmp_path, code=1)
    places = [(Path(one["file"]).name, one["line"], one["code"]) for one in found["refusals"]]
    assert places == [
        ("b.jsonl", 1, "image_undecodable"),
        ("rollouts.jsonl", 3, "unsupported_dialect"),
        ("rollouts.jsonl", 5, "unsupported_dialect"),
    ]
    # An image that is refused is none of those that are counted.
    assert (found["images"], found["refused"]) == (3, 3)
    assert main(["stats", str(file), "--quiet"]) == 1
    assert f"{file}:3:2: refused: unsupported_dialect: " in capsys.readouterr().out


def test_stats_count_an_image_in_two_forms_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = samples.data_url(samples.PNG)
    path = tmp_path / "rollouts.jsonl"
    path.write_text(json.dumps([url, samples.ref("v2", mm_hash=sha256_hex(samples.PNG)[:32])]))
    found = report(capsys, "stats", path)
    assert (found["images"], found["duplicates"]) == (2, 1)


def test_stats_find_refs_in_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "server.log"
    path.write_text(f"INFO got {REFS[0]}\nINFO got {REFS[1]} and {REFS[0]}\n")
    found = report(capsys, "stats", path, "--text")
    assert (found["images"], found["duplicates"], found["failed"]) == (3, 1, {})


def test_stats_count_images_of_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Any] = [REFS[0], REFS[0], REFS[1], samples.ref("v3"), samples.data_url(samples.PNG)]
    path = tmp_path / "rollouts.jsonl"
    path.write_text(json.dumps({"row": json.dumps(rows)}))
    found = report(capsys, "stats", path)
    assert (found["images"], found["duplicates"]) == (5, 1)
    assert found["image_bytes"] == found["distinct_bytes"] == len(samples.PNG)
    assert found["forms"] == {"ref v2": 3, "ref v3": 1, "data: URL": 1}
    assert found["families"] == {"qwen_vl": 4}
    assert found["tokens"]["qwen_vl"] > 0
    path.write_text("{}")
    found = report(capsys, "stats", path, code=1)
    assert (found["images"], found["seen"]) == (0, {str(path): "1 row, 0 images"})
    assert report(capsys, "stats", path, "--allow-empty")["images"] == 0
