"""The same rows in every form of file that a data set of rollouts reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_compression import is_here, packed

from mmraw_protocol.wire.features import MAPS

Rows = list[dict[str, Any]]
#: The types of a column `features`, as a saved data set describes them.
INFO = {"features": {"features": {name: {"image": {"_type": "List"}} for name in MAPS}}}


def lines(rows: Rows) -> bytes:
    """JSON lines with blank lines between."""
    return b"\n\n".join(json.dumps(row).encode() for row in rows) + b"\n"


def _file(make: Callable[[Rows], bytes]) -> Callable[[Path, Rows], Path]:
    def write(folder: Path, rows: Rows) -> Path:
        (folder / "rollouts").write_bytes(make(rows))
        return folder / "rollouts"

    return write


def _zstd(rows: Rows) -> bytes:
    if not is_here("zstd"):
        pytest.skip("zstd needs Python 3.14 or zstandard")
    return packed(lines(rows), "zstd")


def _split(folder: Path, rows: Rows) -> Path:
    """A folder of two files in two forms, one of them further down."""
    (folder / "files" / "b").mkdir(parents=True)
    (folder / "files" / "a.jsonl").write_bytes(lines(rows[:1]))
    (folder / "files" / "b" / "rest.gz").write_bytes(packed(lines(rows[1:])))
    return folder / "files"


def _pattern(folder: Path, rows: Rows) -> str:
    files = _split(folder, rows)
    (files / "notes.txt").write_text("no rows")
    return f"{files}/**/[ar]*"


def _arrow(folder: Path, rows: Rows, write: Callable[[Any, Any], None]) -> Path:
    arrow: Any = pytest.importorskip("pyarrow")
    write(arrow.Table.from_pylist(rows, _schema(arrow, rows)), folder / "rollouts")
    return folder / "rollouts"


def _schema(arrow: Any, rows: Rows) -> Any:
    """Every field of any row: what a row lacks is null."""
    tables = [arrow.Table.from_pylist([row]).schema for row in rows]
    return arrow.unify_schemas(tables, promote_options="permissive")


def _write_parquet(table: Any, path: Any) -> None:
    pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=2)


def _write_feather(table: Any, path: Any) -> None:
    """An Arrow file whose batches are compressed."""
    pytest.importorskip("pyarrow.feather").write_feather(table, path, "zstd", chunksize=2)


def _write_stream(table: Any, path: Any) -> None:
    with pytest.importorskip("pyarrow.ipc").new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def _saved(folder: Path, rows: Rows) -> Path:
    """Makes a data set as `datasets` saves it: two files, their description, and a cache."""
    (folder / "first").mkdir()
    (folder / "saved").mkdir()
    first = _arrow(folder / "first", rows, _write_stream).read_bytes()
    ipc: Any = pytest.importorskip("pyarrow.ipc")
    whole = ipc.open_stream(first).read_all()
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, part in zip(names, (whole.slice(0, 2), whole.slice(2)), strict=True):
        _write_stream(part, folder / "saved" / name)
    (folder / "saved" / "cache-1.arrow").write_bytes(first)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "1"}
    (folder / "saved" / "state.json").write_text(json.dumps(state))
    (folder / "saved" / "dataset_info.json").write_text(json.dumps(INFO))
    return folder / "saved"


#: Writes rows below a folder; returns what a data set takes.
FORMS: dict[str, Callable[[Path, Rows], Any]] = {
    "lines": _file(lines),
    "array": _file(lambda rows: json.dumps(rows).encode()),
    "array over many lines": _file(lambda rows: json.dumps(rows, indent=2).encode()),
    "gzip": _file(lambda rows: packed(lines(rows))),
    "zstd": _file(_zstd),
    "MessagePack": _file(lambda rows: b"".join(map(msgspec.msgpack.encode, rows))),
    "Parquet": lambda folder, rows: _arrow(folder, rows, _write_parquet),
    "Feather": lambda folder, rows: _arrow(folder, rows, _write_feather),
    "Arrow": lambda folder, rows: _arrow(folder, rows, _write_stream),
    "saved data set": _saved,
    "folder": _split,
    "pattern": _pattern,
    "objects in memory": lambda _, rows: rows,
}
