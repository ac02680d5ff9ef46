"""The values of Arrow columns of any layout, as JSON has them."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from ...wire.errors import MMRawError
from ...wire.extras import required_module

#: pyarrow has no type stubs.
arrow: Any = required_module("pyarrow", "arrow", "for batches of Arrow")
types: Any = arrow.types

_STRINGS = ("string", "large_string", "string_view")
_BYTES = ("binary", "large_binary", "binary_view")
_NUMBERS = ("integer", "floating", "boolean")

#: What stands for bytes, and for text that is not UTF-8.
TextOf = Callable[[bytes], Any]


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type are text, or bytes that may be."""
    if isinstance(kind, arrow.BaseExtensionType):
        return is_text(kind.storage_type)
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return _is_one_of(kind, (*_STRINGS, *_BYTES))


def holds_text(kind: Any) -> bool:
    """Whether text may stand in values of an Arrow type, at any depth."""
    if isinstance(kind, arrow.BaseExtensionType):
        return holds_text(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return holds_text(kind.value_type)
    if types.is_nested(kind):
        return any(holds_text(kind.field(index).type) for index in range(kind.num_fields))
    return is_text(kind)


def stored(array: Any) -> Any:
    """An array, or the plain one within an extension array, such as Parquet's JSON."""
    return array.storage if isinstance(array, arrow.ExtensionArray) else array


def as_bytes(array: Any) -> list[bytes | None]:
    """The texts of an array."""
    array = stored(array)
    if types.is_dictionary(array.type):
        return _looked_up(as_bytes(array.dictionary), array)
    return array.cast(arrow.large_binary()).to_pylist()


def not_read(kind: Any, done: str) -> MMRawError:
    """The refusal of a layout that hardly any program writes."""
    message = (
        f"expected text in lists, maps or structs; in Arrow's {type(kind).__name__} it is not "
    )
    return MMRawError("unsupported_option", message + done)


def plain_values(array: Any, text_of: TextOf) -> list[Any]:
    """The values of an array.

    A map is a list of pairs; a struct of which two fields have one name is a list of values. What
    is neither text nor a number nor nested (dates, decimals) is None: nothing of this protocol.

    Raises:
        MMRawError: unsupported_option (unions).
    """
    array = stored(array)
    kind = array.type
    if types.is_dictionary(kind):
        return _looked_up(plain_values(array.dictionary, text_of), array)
    if types.is_run_end_encoded(kind):
        values, ends = plain_values(array.values, text_of), array.run_ends.to_pylist()
        rows = range(array.offset, array.offset + len(array))
        return [values[bisect_right(ends, row)] for row in rows]
    if types.is_struct(kind):
        return _structs(array, text_of)
    if types.is_union(kind):
        raise not_read(kind, "read")
    if types.is_nested(kind):
        return _lists(array, text_of)
    return _single(array, text_of)


def _is_one_of(kind: Any, names: tuple[str, ...]) -> bool:
    return any(getattr(types, f"is_{name}")(kind) for name in names)


def _looked_up(values: list[Any], array: Any) -> list[Any]:
    return [None if at is None else values[at] for at in array.indices.to_pylist()]


def _single(array: Any, text_of: TextOf) -> list[Any]:
    kind = array.type
    if _is_one_of(kind, _NUMBERS):
        return array.to_pylist()
    if not is_text(kind):
        return [None] * len(array)
    if _is_one_of(kind, _STRINGS):
        with contextlib.suppress(UnicodeDecodeError):
            return array.to_pylist()
    return [None if value is None else text_of(value) for value in as_bytes(array)]


def _structs(array: Any, text_of: TextOf) -> list[Any]:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    columns = [plain_values(array.field(index), text_of) for index in range(len(names))]
    rows = zip(*columns, strict=True) if columns else [()] * len(array)
    is_named = len(set(names)) == len(names)
    values = [dict(zip(names, row, strict=True)) if is_named else [*row] for row in rows]
    is_there = array.is_valid().to_pylist()
    return [value if there else None for value, there in zip(values, is_there, strict=True)]


def _lists(array: Any, text_of: TextOf) -> list[Any]:
    is_map = types.is_map(array.type)
    listed = array.cast(arrow.list_(array.type.field(0))) if is_map else array
    entries = listed.flatten()
    if is_map:
        columns = (plain_values(entries.field(index), text_of) for index in range(2))
        values = [[*pair] for pair in zip(*columns, strict=True)]
    else:
        values = plain_values(entries, text_of)
    lists: list[Any] = []
    at = 0
    for size in listed.value_lengths().to_pylist():
        lists.append(None if size is None else values[at : at + size])
        at += size or 0
    return lists
