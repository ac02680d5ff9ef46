"""Parquet and Arrow files: rows are checked by column, and rewritten in the form that they have."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from test_archives import REFS, report
from test_file_commands import run

from mmraw_protocol import convert_ref
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.rows import RowFile

pa: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")
ipc: Any = pytest.importorskip("pyarrow.ipc")

NEW = [convert_ref(one, "v3") for one in REFS]
CODECS = {"id": "ZSTD", "ref": "GZIP", "row": "SNAPPY", "deep.list.element.x": "UNCOMPRESSED"}


def table(refs: list[str]) -> Any:
    columns = {
        "id": pa.array(range(len(refs)), pa.int16()),
        "ref": pa.array(refs, pa.large_string()),
        "row": [json.dumps({"messages": [one]}) for one in refs],
        "deep": [[{"x": one}] for one in refs],
    }
    return pa.table(columns, metadata={"note": "kept"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Parquet file, an Arrow stream as saved datasets have it, and a compressed Arrow file."""
    rows = table(REFS)
    codecs = {name: codec.replace("UNCOMPRESSED", "NONE") for name, codec in CODECS.items()}
    parquet.write_table(rows, tmp_path / "a", row_group_size=120, compression=codecs)
    with ipc.new_stream(tmp_path / "b", rows.schema) as writer:
        writer.write_table(rows, max_chunksize=120)
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_file(tmp_path / "c", rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=120)
    return tmp_path


def read(file: Path) -> Any:
    if file.name == "a":
        return parquet.read_table(file)
    return (ipc.open_stream if file.name == "b" else ipc.open_file)(file).read_all()


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_only_strings_change(
    name: str, processes: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(folder / name)
    row = run(capsys, "convert", folder / name, "--in-place", "--processes", processes)
    assert (row["converted"], row["refused"]) == (900, 0)
    after = read(folder / name)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.equals(table(NEW))
    if name != "a":
        sizes = [len(batch) for batch in after.to_batches()]
        assert sizes == [120, 120, 60]


def test_parquet_keeps_row_groups_and_the_compression_of_each_column(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "convert", folder / "a", "--in-place")
    metadata = parquet.read_metadata(folder / "a")
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [120, 120, 60]
    columns = [groups[1].column(index) for index in range(4)]
    assert {column.path_in_schema: column.compression for column in columns} == CODECS


def test_arrow_keeps_its_compression(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "convert", folder / "b", "--in-place")
    run(capsys, "convert", folder / "c", "--in-place")
    assert (folder / "b").stat().st_size > 5 * (folder / "c").stat().st_size


def test_a_refusal_names_row_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refs = list(REFS)
    refs[200] = "mmraw:v9:x"
    parquet.write_table(table(refs), tmp_path / "a", row_group_size=120)
    summary = report(capsys, "validate", tmp_path / "a", code=1)
    assert summary["checked"] == {"ref": 900}
    places = [(one["line"], one["column"], one["path"]) for one in summary["refusals"]]
    assert places == [(201, "ref", "$"), (201, "row", "$.*[0]"), (201, "deep", "$[0].*")]
    row = run(capsys, "convert", tmp_path / "a", "--in-place", "--on-error", "keep", code=1)
    assert [(one["line"], one["column"]) for one in row["refusals"]] == [
        (201, "ref"), (201, "row"), (201, "deep"),
    ]  # fmt: skip
    assert parquet.read_table(tmp_path / "a")["ref"][200].as_py() == "mmraw:v9:x"


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_file_that_is_cut_off_is_refused(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) * 2 // 3])
    assert report(capsys, "validate", folder / name, code=1)["refused_by_code"] == {
        "source_unavailable": 1
    }
    row = run(capsys, "convert", folder / name, "--in-place", code=1)
    assert (row["written"], row["error"]["code"]) == (False, "source_unavailable")


def test_a_stream_that_ends_between_two_batches_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (folder / "b").read_bytes()
    assert report(capsys, "validate", folder / "b")["refused"] == 0
    (folder / "b").write_bytes(data[: -len(b"\xff\xff\xff\xff\0\0\0\0")])
    assert len(read(folder / "b")) == 300
    (refusal,) = report(capsys, "validate", folder / "b", code=1)["refusals"]
    assert refusal["code"] == "source_unavailable"
    assert "no end mark" in refusal["message"]


def test_a_folder_goes_to_a_folder_and_a_rerun_goes_on(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "d.jsonl").write_text(json.dumps(REFS))
    (folder / "more" / "e.json").write_text('{"features": {}}')
    (folder / ".hidden").write_text("none")
    broken = folder / "broken.jsonl"
    broken.write_text('"mmraw:v9:x"')
    out = tmp_path_factory.mktemp("out") / "new"
    rows = report(capsys, "convert", folder, "--out", out, code=1)["files"]
    assert [Path(row["file"]).name for row in rows if not row["written"]] == ["broken.jsonl"]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == [
        "a", "b", "c", "more/d.jsonl", "more/e.json",
    ]  # fmt: skip
    assert read(out / "a").equals(table(NEW))
    assert json.loads((out / "more" / "d.jsonl").read_text()) == NEW
    # Finished files are not done a second time.
    broken.write_text(json.dumps(REFS[0]))
    (again,) = report(capsys, "convert", folder, "--out", out)["files"]
    assert (Path(again["file"]).name, again["written"]) == ("broken.jsonl", True)
    assert report(capsys, "convert", folder, "--out", out)["files"] == []


def test_a_pattern_names_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d.jsonl").write_text(json.dumps(REFS))
    assert report(capsys, "validate", folder / "[ab]")["checked"] == {"ref": 1800}
    assert report(capsys, "validate", folder)["checked"] == {"ref": 3000}


def test_a_folder_is_not_written_into_itself(folder: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        report(None, "convert", folder, "--out", folder / "new")  # pyright: ignore
    assert caught.value.code == 2


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_fsck_reads_what_rows_refer_to(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalStore(tmp_path / "store").put(samples.PNG)
    found = report(capsys, "store", "fsck", folder / name, "--store", tmp_path / "store", code=1)
    assert len(found["missing"]) == len(REFS)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    cut = report(capsys, "store", "fsck", folder / name, "--store", tmp_path / "store", code=1)
    assert [one["code"] for one in cut["problems"]] == ["source_unavailable"]


def test_some_row_groups_are_read_alone(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"n": [*range(30)]}), tmp_path / "n", row_group_size=10)
    for groups, rows in (([1], [*range(10, 20)]), ([0, 2], [*range(10), *range(20, 30)]), ([], [])):
        with (tmp_path / "n").open("rb") as source:
            file = RowFile(source)
            found = [n for batch in file.batches(groups) for n in batch.column("n").to_pylist()]
        assert (found, file.ends) == (rows, {10, 20, 30})
