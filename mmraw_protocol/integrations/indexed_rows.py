"""Rows of rollout files by their number: lines, tables, folders, `datasets` objects.

Lines of a local file and Arrow batches that are not compressed are read where they are. All else
(arrays, compressed files, MessagePack, Parquet, objects in a store) is copied once, as lines or
Arrow batches, into a temporary file of this process: none of it can be read from the middle of a
file without what stands before.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import IO, Any, Protocol, cast

import msgspec

from ..files.checking import documents_in_text, is_part_of_a_document
from ..files.lines import is_document
from ..files.names import STATE, Named, expanded, open_named
from ..files.reader import Block, LineReader
from ..files.remote import is_url
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.compression import documents_in
from ..wire.errors import MMRawError
from ..wire.json import parse_json
from ..wire.msgpack_stream import JsonText
from ..wire.rows import RowFile, is_table, library, readable

#: Bytes that are copied at once.
_CHUNK = 1 << 20


class Rows(Protocol):
    """Rows by their number, from 0: what is here, a `datasets.Dataset`, a list of objects."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def indexed_rows(source: str | PathLike[str] | Rows) -> Rows:
    """The rows of a file, of all files of a folder or pattern, or of what has rows by number.

    Args:
        source: A path, a pattern, the URL of an object or (with a slash behind it) of a folder of
            objects; or an object with rows.

    Raises:
        MMRawError: source_unavailable (nothing is there, or it cannot be read),
            invalid_json (an array of rows with a fault in it), unsupported_option (an object
            without rows by number), missing_dependency, and what an object store raises.
    """
    if not isinstance(source, (str, PathLike)):
        return _Given(source)
    files = _of_saved(expanded([os.fspath(source)]))
    if not files:
        raise MMRawError("source_unavailable", "expected a file, got a folder or pattern without")
    parts = [_rows_of(file) for file in files]
    return parts[0] if len(parts) == 1 else _Joined(parts)


def _of_saved(files: list[Named]) -> list[str]:
    """The files without those that `datasets` keeps beside a saved data set, such as its caches."""
    names = [file.path for file in files]
    kept: dict[str, list[str] | None] = {}
    for folder in {os.path.dirname(file.path) for file in files if file.within is not None}:
        kept[folder] = _saved_files(folder)
    return [
        name
        for name in names
        if (files_of := kept.get(os.path.dirname(name))) is None
        or os.path.basename(name) in files_of
    ]


def _saved_files(folder: str) -> list[str] | None:
    """The names of the files of a saved data set; None for any other folder."""
    with suppress(MMRawError, FileNotFoundError, KeyError, TypeError, ValueError):
        with open_named(f"{folder}/{STATE}") as file:
            state: Any = json.loads(file.read())
        return [one["filename"] for one in state["_data_files"]]
    return None


class _Joined:
    """The rows of several files, one behind the other."""

    def __init__(self, parts: list[Rows]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Any:
        part, at = _located(index, self._ends)
        return self._parts[part][at]


class _Lines:
    """The lines of a file that are not blank; only their places are kept, 8 bytes each."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._starts = _line_starts(path)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Any:
        with open(self._path, "rb") as file:
            file.seek(self._starts[index])
            return parse_json(file.readline().strip())


def _line_starts(path: str) -> array[int]:
    starts, position = array("Q"), 0
    with open(path, "rb") as file:
        for line in file:
            if line.strip():
                starts.append(position)
            position += len(line)
    return starts


class _Mapped:
    """The rows of an Arrow file, mapped into memory in each process for itself."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._batches: list[Any] | None = None
        self._ends = list(accumulate(batch.num_rows for batch in self._opened()))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Any:
        batch, at = _located(index, self._ends)
        rows = self._opened()[batch]
        names, columns = rows.schema.names, rows.columns
        row = {name: _value_at(array, at) for name, array in zip(names, columns, strict=True)}
        return _settled(row)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_batches": None}

    def _opened(self) -> list[Any]:
        if self._batches is None:
            self._batches = list(_batches(library("pyarrow").memory_map(self._path)))
        return self._batches


def _value_at(array: Any, index: int) -> Any:
    """A value of a column; one with a time that Python cannot say has None for its times.

    Raises:
        MMRawError: invalid_encoding (text that is not UTF-8).
    """
    from ..stores.maintenance.row_values import plain_values

    is_utf8 = True
    try:
        return array[index].as_py()
    except UnicodeDecodeError:
        is_utf8 = False
    except ValueError:
        pass
    if not is_utf8:
        raise MMRawError("invalid_encoding", "expected UTF-8 in columns of text, got other bytes")
    return plain_values(array.slice(index, 1), bytes)[0]


class _Given:
    """Rows of an object of the caller's."""

    def __init__(self, rows: Any) -> None:
        if isinstance(rows, Mapping) or not (
            hasattr(rows, "__len__") and hasattr(rows, "__getitem__")
        ):
            message = "expected a path, or rows by number; of a DatasetDict, one split"
            raise MMRawError("unsupported_option", message)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        return _settled(self._rows[index])


def _settled(row: Any) -> Any:
    """A row without the nulls that Arrow has for fields of structs that are not there."""
    if not isinstance(row, Mapping):
        return row
    fields = cast("Mapping[str, Any]", row)
    return {name: _without_nulls(value) for name, value in fields.items()}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {k: _without_nulls(child) for k, child in fields.items() if child is not None}
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    # Lists of numbers are long; items of a list are of one type in Arrow.
    first = next((item for item in items if item is not None), None)
    return [_without_nulls(item) for item in items] if isinstance(first, (dict, list)) else items


def _located(index: int, ends: list[int]) -> tuple[int, int]:
    """Returns the part that has a row, and the row's number there.

    Raises:
        IndexError: there is no such row.
    """
    index = range(ends[-1] if ends else 0)[index]
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


def _rows_of(name: str) -> Rows:
    """The rows of one file or object; a copy is made where its form needs one."""
    with open_named(name) as file:
        head = file.read(4)
        file.seek(0)
        if is_table(head):
            if not is_url(name) and _is_mapped(name):
                return _Mapped(name)
            return _copied(_Mapped, lambda out: _write_batches(file, out))
        read, compression = documents_in(file.read)
        text = JsonText(read)
        reader = LineReader(text.read)
        first = reader.next_block() or Block(b"", 1, True)
        reader.unread(first.data, first.line)
        pieces = iter(lambda: reader.read(_CHUNK), b"")
        if first.data.lstrip().startswith(b"["):
            return _copied(_Lines, lambda out: out.writelines(_array_rows(b"".join(pieces))))
        if rows := _document_rows(first, reader):
            return _copied(_Lines, lambda out: out.writelines(rows))
        if compression is None and not text.was_packed and not is_url(name):
            return _Lines(name)
        return _copied(_Lines, lambda out: out.writelines(pieces))


def _array_rows(data: bytes) -> Iterator[bytes]:
    """The items of one array, a line each.

    Raises:
        MMRawError: invalid_json.
    """
    rows: list[msgspec.Raw] | None = None
    with suppress(msgspec.MsgspecError, RecursionError):
        rows = msgspec.json.decode(data, type=list[msgspec.Raw])
    if rows is None:
        message = "expected one JSON array of rows, or a row on each line, got another text"
        raise MMRawError("invalid_json", message)
    return (_on_one_line(bytes(row)) for row in rows)


def _document_rows(first: Block, reader: LineReader) -> list[bytes]:
    """The rows of documents over many lines; none, with nothing read, for any other input.

    Rows on a line each may begin like one: the first may be cut off.
    """
    if not is_part_of_a_document(first):
        return []
    parts: list[bytes] = []
    size, most = 0, DEFAULT_LIMITS.features_bytes
    while size <= most and (data := reader.read(_CHUNK)):
        parts.append(data)
        size += len(data)
    data = b"".join(parts)
    rows = [row for _, row in documents_in_text(data)] if size <= most else []
    if rows and all(map(is_document, rows)):
        return [*map(_on_one_line, rows)]
    reader.unread(data, first.line)
    return []


def _on_one_line(document: bytes) -> bytes:
    # Strings of JSON hold no line breaks.
    return document.replace(b"\n", b" ") + b"\n"


def _is_mapped(path: str) -> bool:
    """True if the values of a file are used in place: it is Arrow, not compressed."""
    arrow = library("pyarrow")
    with Path(path).open("rb") as file:
        if file.read(4) == b"PAR1":
            return False
    source = arrow.memory_map(path)
    whole = source.read_buffer()
    source.seek(0)
    end = whole.address + whole.size
    return all(
        whole.address <= buffer.address < end
        for batch in _batches(source)
        for column in batch.columns
        for buffer in column.buffers()
        if buffer is not None and buffer.size
    )


def _batches(file: Any) -> Iterator[Any]:
    """The batches of Parquet or Arrow.

    Raises:
        MMRawError: source_unavailable, missing_dependency.
    """
    with readable():
        yield from RowFile(file).batches()


def _write_batches(file: IO[bytes], out: IO[bytes]) -> None:
    schema = RowFile(file).schema
    file.seek(0)
    with library("pyarrow.ipc").new_stream(out, schema) as writer:
        for batch in _batches(file):
            writer.write_batch(batch)


def _copied(form: Callable[[str], Rows], write: Callable[[IO[bytes]], object]) -> Rows:
    """Rows in a temporary file, which is removed with them or at the end of this process."""
    descriptor, path = tempfile.mkstemp(prefix="mmraw-rows-")
    try:
        with open(descriptor, "wb") as out:
            write(out)
        rows = form(path)
    except BaseException:
        os.unlink(path)
        raise
    weakref.finalize(rows, _remove, path, os.getpid())
    return rows


def _remove(path: str, process: int) -> None:
    # A worker that was forked has this to do as well, and the file is its parent's.
    if os.getpid() == process:
        with suppress(OSError):
            os.unlink(path)
