"""Parquet and Arrow files as other writers make them: a rewritten file has the form of the old."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from test_archives import report
from test_file_commands import run

from mmraw_protocol import convert_ref

pa: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")
ipc: Any = pytest.importorskip("pyarrow.ipc")

OLD = samples.ref("v2")
NEW = convert_ref(OLD, "v3")
TIME = pa.array([1, 2], pa.timestamp("ns"))


def converted(file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run(capsys, "convert", file, "--out", file.with_name("new"))
    return file.with_name("new")


@pytest.mark.parametrize(
    "options",
    [
        {"use_compliant_nested_type": False, "compression": "zstd", "use_dictionary": ["x"]},
        {"use_deprecated_int96_timestamps": True, "write_statistics": ["time"]},
        {"write_page_index": True, "compression": {"x": "gzip", "time": "snappy"}},
    ],
    ids=["names of items", "old timestamps", "page index"],
)
def test_a_parquet_file_is_written_as_it_was(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    rows = pa.table({"x": [OLD, "a"], "list": [["b"], [OLD]], "time": TIME})
    parquet.write_table(rows, file, **options)
    old, new = (parquet.ParquetFile(one) for one in (file, converted(file, capsys)))
    assert new.schema.equals(old.schema)
    assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
    columns = [
        [one.metadata.row_group(0).column(index) for index in range(3)] for one in (old, new)
    ]
    for name in ("compression", "has_dictionary_page", "is_stats_set", "has_column_index"):
        kept, found = ([getattr(column, name) for column in part] for part in columns)
        assert found == kept, name


def batches_of(texts: list[list[str]]) -> list[Any]:
    """Batches of a dictionary, which is the same in all of them, beside and in a list."""
    values = pa.array(sorted({text for part in texts for text in part}))
    batches: list[Any] = []
    for part in texts:
        array = pa.DictionaryArray.from_arrays(
            pa.array([values.index(text).as_py() for text in part], pa.int8()), values
        )
        lists = pa.ListArray.from_arrays(pa.array(range(len(part) + 1), pa.int32()), array)
        batches.append(pa.record_batch({"x": array, "list": lists}))
    return batches


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_an_arrow_file_keeps_its_dictionaries_batches_and_metadata(
    compression: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    texts = [["a", OLD], ["b", "b"], [], [OLD, "c", "a"]]
    batches = batches_of(texts)
    options = ipc.IpcWriteOptions(compression=compression)
    # Old versions of pyarrow know no metadata of files.
    has_metadata = hasattr(ipc.RecordBatchFileReader, "metadata")
    more = {"metadata": {"of": "file"}} if has_metadata else {}
    with ipc.new_file(file, batches[0].schema, options=options, **more) as writer:
        for batch in batches:
            writer.write_batch(batch)
    with ipc.open_file(file) as old, ipc.open_file(converted(file, capsys)) as new:
        assert new.schema.equals(old.schema, check_metadata=True)
        if has_metadata:
            assert new.metadata == old.metadata == {b"of": b"file"}
        found = [new.get_batch(index).to_pydict() for index in range(new.num_record_batches)]
    wanted = [[NEW if text == OLD else text for text in part] for part in texts]
    assert found == [{"x": part, "list": [[text] for text in part]} for part in wanted]


@pytest.mark.parametrize("make", [ipc.new_file, ipc.new_stream])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_compression_is_seen_behind_empty_batches(
    make: Callable[..., Any],
    compression: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "rollouts"
    rows = pa.record_batch({"x": [OLD, "a" * 90_000, "b" * 90_000]})
    options = ipc.IpcWriteOptions(compression=compression)
    with make(file, rows.schema, options=options) as writer:
        writer.write_batch(rows.slice(0, 0))
        writer.write_batch(rows)
    new = converted(file, capsys).stat().st_size
    assert abs(new - file.stat().st_size) < 500


@pytest.mark.parametrize("command", [["validate"], ["convert", "--in-place"]])
def test_streams_one_behind_the_other_are_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the second would be read, and it would be lost where the file is replaced."""
    file = tmp_path / "rollouts"
    (batch,) = batches_of([[OLD]])
    with ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    data = file.read_bytes() * 2
    file.write_bytes(data)
    found = report(capsys, *command, file, code=1)
    assert "source_unavailable" in str(found)
    assert file.read_bytes() == data


def test_what_cannot_be_written_is_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    nulls: Callable[[str], Any] = lambda text: pa.DictionaryArray.from_arrays(  # noqa: E731
        pa.array([0, 1]), pa.array([text, None])
    )
    with ipc.new_file(file, pa.schema([("x", nulls("").type), ("y", pa.string())])) as writer:
        for _ in range(2):
            writer.write_batch(pa.record_batch({"x": nulls("a"), "y": [OLD, "b"]}))
    row = run(capsys, "convert", file, "--out", tmp_path / "new", code=1)
    assert row["error"]["code"] == "unsupported_option"
    assert [path.name for path in tmp_path.iterdir()] == ["rollouts"]
