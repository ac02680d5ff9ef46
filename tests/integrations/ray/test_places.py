"""Where refusals are with `--engine ray`: in the files and lines that are named without it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
import zstandard

import mmraw_protocol.integrations.ray as mmraw_ray
from mmraw_protocol.cli import main
from mmraw_protocol.integrations.ray import lines as ray_lines
from mmraw_protocol.integrations.ray import tables as ray_tables

OLD, BROKEN = samples.ref("v2"), samples.ref("v2")[:-4]
PICTURE = samples.data_url(samples.PNG)
FIELDS = ("line", "code", "path", "message", "column", "byte")
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, 1),
    ".zst": zstandard.ZstdCompressor().compress,
}


def lines_with_faults(count: int) -> list[bytes]:
    """Lines among which are refused ones, empty ones, and one of more than a batch."""
    row = {"ref": OLD, "image": PICTURE}
    lines = [json.dumps({**row, "id": n}).encode() for n in range(count)]
    for number in range(1, count, count // 13):
        lines[number] = json.dumps({"ref": BROKEN, "image": PICTURE[:-9]}).encode()
    lines[0] = lines[count // 3] = lines[count // 2] = b""
    lines[count // 7] = json.dumps({**row, "pad": "x" * 1_500_000, "ref": BROKEN}).encode()
    return lines


@pytest.fixture(params=[(ending, end) for ending in COMPRESSIONS for end in (b"\n", b"\r\n")])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of several files; the last line of one has no end."""
    ending, end = request.param
    (tmp_path / "in").mkdir()
    for name, count, last in (("a", 6000, b""), ("b", 40, end)):
        data = COMPRESSIONS[ending](end.join(lines_with_faults(count)) + last)
        (tmp_path / "in" / f"{name}.jsonl{ending}").write_bytes(data)
    return tmp_path / "in"


@pytest.fixture
def many_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the long line, several have no line.
    lines_of = ray_lines.lines_of
    monkeypatch.setattr(ray_lines, "lines_of", lambda files, **how: lines_of(files, 400_000, **how))


def reported(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """The report of a command that refuses something."""
    report = tmp_path / "report.json"
    assert main([*map(str, arguments), "--quiet", "--report", str(report)]) == 1
    return json.loads(report.read_text())


def places(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    """File, line, byte and fault of each refusal."""
    found = [
        (one.get("file", row.get("file")), *(one[name] for name in FIELDS))
        for row in report.get("files", [report])
        for one in row["refusals"]
    ]
    return sorted(found)


@pytest.mark.usefixtures("many_ranges")
def test_validate_names_the_lines_that_it_names_without_ray(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.jsonl").write_text('{"id": 0}\n{"id": \n\n' + f"at {BROKEN}\n" * 3 + "{")
    call = ("validate", folder, tmp_path / "more.jsonl")
    files = reported(tmp_path, *call)
    printed = capsys.readouterr().out.splitlines()
    ray = reported(tmp_path, *call, "--engine", "ray")
    assert len(places(ray)) == ray["refused"] > 30
    assert places(ray) == places(files)
    is_told = [line for line in printed if " refused: " in line]
    told = [line for line in capsys.readouterr().out.splitlines() if " refused: " in line]
    assert sorted(told) == sorted(is_told)


@pytest.mark.usefixtures("many_ranges")
@pytest.mark.parametrize("command", ["convert", "offload", "inline"])
def test_commands_that_write_name_them_too(folder: Path, tmp_path: Path, command: str) -> None:
    store = () if command == "convert" else ("--store", tmp_path / "images")
    (tmp_path / "images").mkdir()
    call = (command, folder, *store)
    files = places(reported(tmp_path, *call, "--dry-run"))
    if command == "inline":
        # Every ref is refused, and a hundred of each file are named; with Ray a hundred in all.
        files = files[:100]
    assert len(files) > 20
    out = (tmp_path / "out", "--refused", tmp_path / "refused")
    for how in (["--dry-run"], ["--out", *out]):
        assert places(reported(tmp_path, *call, *how, "--engine", "ray")) == files


@pytest.mark.parametrize("command", [["validate"], ["convert", "--dry-run"], ["stats"]])
def test_rows_of_parquet_have_the_numbers_that_they_have_without_ray(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of = ray_tables.rows_of
    monkeypatch.setattr(ray_tables, "rows_of", lambda files, **how: rows_of(files, 20_000, **how))
    (tmp_path / "in").mkdir()
    lines = [line.decode() for line in lines_with_faults(700) if len(line) < 1_000_000]
    table = pa.table({"row": lines, "ref": [OLD, BROKEN, *[None] * (len(lines) - 2)]})
    for name, group in (("a", 50), ("b", 1000)):
        pq.write_table(table, tmp_path / "in" / f"{name}.parquet", row_group_size=group)
    files = places(reported(tmp_path, *command, tmp_path / "in"))
    assert len(files) > 20
    assert places(reported(tmp_path, *command, tmp_path / "in", "--engine", "ray")) == files


def test_fsck_names_them_too(tmp_path: Path) -> None:
    names = [f"{number:064x}.png" for number in range(5)]
    refs = [samples.ref("v3", raw_image_id=name, mm_hash=name[:32]) for name in names]
    # A batch names an image once, at the first of its rows.
    lines = [json.dumps({"ref": ref} if n == 1 else {}) for ref in refs for n in range(4096)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "images").mkdir()
    call = ("store", "fsck", tmp_path / "a.jsonl", "--store", tmp_path / "images")
    files = reported(tmp_path, *call)["missing"]
    ray = reported(tmp_path, *call, "--engine", "ray")["refusals"]
    numbers = [4096 * batch + 2 for batch in range(5)]
    assert [one["line"] for one in files] == [one["line"] for one in ray] == numbers


@pytest.mark.usefixtures("many_ranges")
def test_lines_of_an_object_store_are_named_too(tmp_path: Path) -> None:
    system, path = ray_lines.located("s3://images/places")
    lines = lines_with_faults(3000)
    for ending, pack in COMPRESSIONS.items():
        with system.open_output_stream(f"{path}/a.jsonl{ending}", compression=None) as file:
            file.write(pack(b"\n".join(lines)))
    faults = [n for n, line in enumerate(lines, 1) if line and OLD.encode() not in line]
    refusals = reported(tmp_path, "validate", "s3://images/places", "--engine", "ray")["refusals"]
    assert [(one["file"], one["line"]) for one in refusals] == [
        (f"s3://images/places/a.jsonl{ending}", number)
        for ending in COMPRESSIONS
        for number in faults
    ]


def test_a_data_set_of_results_has_no_numbers_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines_with_faults(200)))
    ds = mmraw_ray.read_lines(str(tmp_path / "a.jsonl"))
    results = mmraw_ray.validate(ds, keep=["file", "start"], documents=["line"])
    assert {row["kind"] for row in results.take_all()} == {"ref"}
