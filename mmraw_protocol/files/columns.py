"""The text in the columns of Arrow batches: where it stands, and a new text in its place."""

from __future__ import annotations

from array import array as ints
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, Protocol

from ..stores.maintenance.row_values import (
    arrow,
    as_bytes,
    holds_text,
    is_text,
    not_read,
    stored,
    types,
)
from ..wire.errors import MMRawError

#: The row and the path of the n-th value of an array.
Place = Callable[[int], tuple[int, str]]


class Rewrite(Protocol):
    """Gives the new bytes of texts, in their order; the same list where none changes."""

    def __call__(
        self, values: Sequence[bytes | None], column: str, key: str, place: Place
    ) -> Sequence[bytes | None]:
        """The values of one column, or of one field within it, which has the name `key`."""
        ...


def bytes_of(rows: Any) -> int:
    """Bytes of the values of a batch or table."""
    try:
        return rows.nbytes
    except TypeError:  # Old versions of pyarrow do not count views; whole buffers are about right.
        return rows.get_total_buffer_size()


def rows_in(rows: Any, size: int) -> int:
    """How many rows of a batch, table or array have so many bytes: at least one."""
    return max(1, size * len(rows) // max(bytes_of(rows), 1))


def joined_lines(array: Any, most: int) -> list[bytes]:
    """The texts of an array, each on a line, so many of them in one; a null is an empty line."""
    plain, kind = stored(array), arrow.large_binary()
    # Arrow itself looks up no views.
    is_looked_up = types.is_dictionary(plain.type)
    texts = arrow.array(as_bytes(plain), kind) if is_looked_up else plain.cast(kind)
    texts = texts.fill_null(b"")
    starts = arrow.array([*range(0, len(texts), most), len(texts)], arrow.int64())
    lists = arrow.LargeListArray.from_arrays(starts, texts)
    return _compute().binary_join(lists, arrow.scalar(b"\n", kind)).to_pylist()


def array_of_lines(data: bytes) -> Any:
    """The lines of a text as an array, without an object of Python for any of them."""
    ends = ints("i", (0, len(data)))
    buffers = [None, arrow.py_buffer(ends), arrow.py_buffer(data)]
    whole = arrow.Array.from_buffers(arrow.binary(), 1, buffers)
    return _compute().split_pattern(whole, b"\n").flatten()


def _compute() -> Any:
    return import_module("pyarrow.compute")


def text_columns(batch: Any) -> list[str]:
    """The names of the columns in which text may stand.

    Raises:
        MMRawError: unsupported_option (two of them have one name).
    """
    names = [field.name for field in batch.schema if holds_text(field.type)]
    if len(set(names)) < len(names):
        message = "expected columns of text with different names, got two with one name; rename one"
        raise MMRawError("unsupported_option", message)
    return names


def check_columns(batch: Any, keep: Collection[str], documents: Collection[str] = ()) -> None:
    """Refuses what is no batch, and names of columns that the batch does not have, or has twice.

    A batch without columns is what some engines give for no rows.

    Raises:
        MMRawError: invalid_type, unsupported_option.
    """
    if not isinstance(batch, arrow.RecordBatch):
        kind = type(batch).__name__
        message = f"expected a pyarrow.RecordBatch, got {kind}; a Table has to_batches()"
        raise MMRawError("invalid_type", message)
    if isinstance(keep, str) or isinstance(documents, str):
        message = "expected lists of columns' names in keep and documents, got a string"
        raise MMRawError("invalid_type", message)
    columns = batch.schema.names
    if columns and any(columns.count(name) != 1 for name in (*keep, *documents)):
        message = "expected one column for each name in keep and documents, got none or two for one"
        raise MMRawError("unsupported_option", message)
    kinds = [batch.schema.field(name).type for name in documents if columns]
    if not all(is_text(kind) or types.is_null(kind) for kind in kinds):
        message = "expected columns of text or bytes in documents, got other values"
        raise MMRawError("unsupported_option", message)


def rewritten(array: Any, rewrite: Rewrite, column: str) -> Any:
    """A column with new texts; the very same array where none changed.

    Raises:
        MMRawError: limit_exceeded (the texts are too long for the column's type).
    """
    return _rewritten(array, rewrite, column, column, lambda index: (index, "$"))


def _rewritten(array: Any, rewrite: Rewrite, column: str, key: str, place: Place) -> Any:
    kind = array.type
    if not holds_text(kind):
        return array
    if isinstance(kind, arrow.BaseExtensionType):
        inner = array.storage
        new = _rewritten(inner, rewrite, column, key, place)
        return array if new is inner else kind.wrap_array(new)
    if is_text(kind):
        values = as_bytes(array)
        new = rewrite(values, column, key, place)
        return array if new is values else _of_type(new, kind)
    if types.is_struct(kind):
        return _struct(array, rewrite, column, place)
    if types.is_fixed_size_list(kind):
        return _fixed_list(array, rewrite, column, key, place)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        return _list(array, rewrite, column, key, place)
    raise not_read(kind, "rewritten")


def _struct(array: Any, rewrite: Rewrite, column: str, place: Place) -> Any:
    def within(name: str) -> Place:
        def inner(index: int) -> tuple[int, str]:
            row, path = place(index)
            return row, f"{path}.{name}"

        return inner

    fields = [array.type.field(index) for index in range(array.type.num_fields)]
    old = [array.field(index) for index in range(len(fields))]
    new = [
        _rewritten(child, rewrite, column, field.name, within(field.name))
        for field, child in zip(fields, old, strict=True)
    ]
    if all(one is other for one, other in zip(old, new, strict=True)):
        return array
    return arrow.StructArray.from_arrays(new, fields=fields, mask=array.is_null())


def _list(array: Any, rewrite: Rewrite, column: str, key: str, place: Place) -> Any:
    kind, is_map = array.type, types.is_map(array.type)
    listed = array.cast(arrow.list_(kind.field(0))) if is_map else array
    starts = list(accumulate((n or 0 for n in listed.value_lengths().to_pylist()), initial=0))

    def within(index: int) -> tuple[int, str]:
        # Of lists that begin there, all but the last are empty.
        at = bisect_right(starts, index) - 1
        row, path = place(at)
        return row, f"{path}[{index - starts[at]}]{'[1]' if is_map else ''}"

    entries = listed.flatten()
    old = entries.field(1) if is_map else entries
    new = _rewritten(old, rewrite, column, key, within)
    if new is old:
        return array
    is_large = types.is_large_list(kind)
    offsets = arrow.array(starts, arrow.int64() if is_large else arrow.int32())
    mask = array.is_null()
    if is_map:
        return arrow.MapArray.from_arrays(offsets, entries.field(0), new, kind, mask=mask)
    made = arrow.LargeListArray if is_large else arrow.ListArray
    return made.from_arrays(offsets, new, type=kind, mask=mask)


def _fixed_list(array: Any, rewrite: Rewrite, column: str, key: str, place: Place) -> Any:
    size = array.type.list_size

    def within(index: int) -> tuple[int, str]:
        row, path = place(index // size)
        return row, f"{path}[{index % size}]"

    # Lists that are null have items, too: null ones.
    old = array.values.slice(array.offset * size, len(array) * size)
    new = _rewritten(old, rewrite, column, key, within)
    if new is old:
        return array
    return arrow.FixedSizeListArray.from_arrays(new, type=array.type, mask=array.is_null())


def _of_type(values: Sequence[bytes | None], kind: Any) -> Any:
    is_dictionary = types.is_dictionary(kind)
    failed = False
    array: Any = None
    try:
        array = arrow.array(values, arrow.large_binary())
        if is_dictionary:
            indices = array.dictionary_encode()
            array, indices = indices.dictionary, indices.indices.cast(kind.index_type)
            texts = array.cast(kind.value_type, safe=False)
            array = arrow.DictionaryArray.from_arrays(indices, texts, ordered=kind.ordered)
        else:
            # Text that was not UTF-8 stays as it is.
            array = array.cast(kind, safe=False)
    except (arrow.ArrowInvalid, arrow.ArrowCapacityError):
        failed = True
    if failed:
        message = "a batch's texts are longer than its column's type allows; use smaller batches"
        raise MMRawError("limit_exceeded", message)
    return array
