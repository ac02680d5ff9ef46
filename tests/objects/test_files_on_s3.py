"""The file commands and the rows of a trainer, over files in a real object store."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from s3_server import BUCKET, S3Server
from test_archives import LINES, REFS, report
from test_compression import packed, unpacked
from test_file_commands import run

from mmraw_protocol import convert_ref
from mmraw_protocol.files.remote import open_remote, upload
from mmraw_protocol.integrations.indexed_rows import indexed_rows

arrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")
ROWS = [json.loads(line) for line in LINES.splitlines()]


@pytest.fixture
def folder(server: S3Server, tmp_path: Path) -> str:
    """The URL of a folder: 300 refs each as JSON lines with Zstandard and as Parquet, and a log."""
    table = tmp_path / "table"
    parquet.write_table(arrow.Table.from_pylist(ROWS), table, row_group_size=100)
    url = f"s3://{BUCKET}/files"
    upload(f"{url}/lines.jsonl.zst", io.BytesIO(packed(LINES, "zstd")))
    upload(f"{url}/more/table.parquet", io.BytesIO(table.read_bytes()))
    upload(f"{url}/server.log", io.BytesIO(f"INFO read {REFS[0]} at once".encode()))
    return url


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("lines.jsonl.zst", 300),
        ("*.jsonl.zst", 300),
        ("more/table.parquet", 300),
        ("**/*.parquet", 300),
        ("server.log", 1),
        ("", 601),
    ],
)
@pytest.mark.parametrize("processes", ["1", "2"])
def test_validate_reads_objects_where_they_are(
    name: str, checked: int, processes: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, "validate", f"{folder}/{name}", "--processes", processes)
    assert (found["checked"], found["refused"]) == ({"ref": checked}, 0)


def test_objects_are_converted_from_url_to_url(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = f"s3://{BUCKET}/new/lines.zst"
    assert run(capsys, "convert", f"{folder}/lines.jsonl.zst", "--out", new)["converted"] == 300
    run(capsys, "convert", f"{folder}/more/table.parquet", "--out", tmp_path / "table")
    lines = unpacked(open_remote(new).read()).splitlines()
    expected = [convert_ref(one, "v3") for one in REFS]
    assert [json.loads(line)["ref"] for line in lines] == expected
    assert parquet.read_table(tmp_path / "table")["ref"].to_pylist() == expected


@pytest.mark.parametrize("name", ["lines.jsonl.zst", "*.zst", "more/table.parquet", "more/"])
def test_a_trainer_reads_rows_of_objects(name: str, folder: str) -> None:
    rows = indexed_rows(f"{folder}/{name}")
    assert [rows[n] for n in range(len(rows))] == ROWS


def test_objects_of_other_programs_may_have_any_name(
    server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, new = (f"s3://{BUCKET}/{name} names/" for name in ("odd", "new"))
    names = ["100%25.jsonl", "2026-11-30T12:00~(1)!.jsonl", "a b.jsonl", "x[1]?.jsonl", "ü.jsonl"]
    for name in names:
        upload(url + name, io.BytesIO(LINES))
        assert report(capsys, "validate", url + name)["checked"] == {"ref": 300}
    for out in (tmp_path / "out", new):
        rows = report(capsys, "convert", url, "--out", out)["files"]
        assert [row["written"] for row in rows] == [True] * len(names)
    for name in names:
        assert open_remote(new + name).read() == (tmp_path / "out" / name).read_bytes()
