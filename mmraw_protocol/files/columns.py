"""The text in the columns of Arrow batches: where it stands, and a new text in its place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, Protocol

from ..wire.errors import MMRawError

#: pyarrow has no type stubs.
arrow: Any = import_module("pyarrow")
types: Any = arrow.types

#: The row and the path of the n-th value of an array.
Place = Callable[[int], tuple[int, str]]


class Rewrite(Protocol):
    """Gives the new bytes of texts, in their order; the same list where none changes."""

    def __call__(
        self, values: Sequence[bytes | None], column: str, key: str, place: Place
    ) -> Sequence[bytes | None]:
        """The values of one column, or of one field within it, which has the name `key`."""
        ...


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type are text, or bytes that may be."""
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    names = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return any(getattr(types, f"is_{name}")(kind) for name in names)


def holds_text(kind: Any) -> bool:
    """Whether text may stand in values of an Arrow type, at any depth."""
    nested = types.is_nested(kind) and not types.is_union(kind)
    if nested:
        return any(holds_text(kind.field(index).type) for index in range(kind.num_fields))
    return is_text(kind)


def bytes_of(rows: Any) -> int:
    """Bytes of the values of a batch or table."""
    try:
        return rows.nbytes
    except TypeError:  # Old versions of pyarrow do not count views; whole buffers are about right.
        return rows.get_total_buffer_size()


def as_bytes(array: Any) -> list[bytes | None]:
    """The texts of an array."""
    return array.cast(arrow.large_binary()).to_pylist()


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
    if is_text(kind):
        values = as_bytes(array)
        new = rewrite(values, column, key, place)
        return array if new is values else _of_type(new, kind)
    if types.is_struct(kind):
        return _struct(array, rewrite, column, place)
    if types.is_fixed_size_list(kind):
        listed = array.cast(arrow.list_(kind.field(0)))
        new = _list(listed, rewrite, column, key, place)
        return array if new is listed else new.cast(kind)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        return _list(array, rewrite, column, key, place)
    message = f"text in columns of type {kind.id} is not rewritten; lists, maps and structs are"
    raise MMRawError("unsupported_option", message)


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
        return row, f"{path}[{index - starts[at]}]"

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


def _of_type(values: Sequence[bytes | None], kind: Any) -> Any:
    failed = False
    array: Any = None
    try:
        array = arrow.array(values, arrow.large_binary())
        if types.is_dictionary(kind):
            array = array.cast(kind.value_type).dictionary_encode()
        array = array.cast(kind)
    except (arrow.ArrowInvalid, arrow.ArrowCapacityError):
        failed = True
    if failed:
        message = "a batch's texts are longer than its column's type allows; use smaller batches"
        raise MMRawError("limit_exceeded", message)
    return array
