"""Detection of values that look like an image but are part of no known spelling.

Source: spec/messages.json (`looks`), spec/README.md, section "Messages".
"""

from __future__ import annotations

import os
import re
import sys
from collections import UserString
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from ..images.encoded import BLANKS, HEAD_BYTES, LEAST_TEXT, begins_as_image, is_text_of_image
from ..wire._generated.messages import (
    LOOKS_HEADS,
    LOOKS_KINDS,
    LOOKS_MEDIA_TYPES,
    LOOKS_SPOKEN,
    LOOKS_SUFFIXES,
    LOOKS_WORDS,
)
from ..wire._generated.modalities import MEDIA_NAMES
from ..wire.errors import MMRawError
from ..wire.json import MAX_DEPTH
from ..wire.ref import is_ref
from .places import MAPPINGS, fields_of, is_tuple_with_names, items_of

#: A text is a data: URL rather than a word about such from this many characters on.
_LEAST_URL = 64
_LONGEST_NAME = 2048
#: A list of fewer numbers is no list of bytes.
_LEAST_NUMBERS = 26
#: Bytes that are looked at; text of an image may stand in them.
_HEAD = 4096
_HEADS = tuple(LOOKS_HEADS)
_KINDS = tuple(LOOKS_KINDS)
_SUFFIXES = tuple(LOOKS_SUFFIXES)
_MEDIA = tuple(LOOKS_MEDIA_TYPES)
_SPOKEN = frozenset(LOOKS_SPOKEN)
_QUERY = re.compile(r"[?#]")
_WORD = re.compile("|".join(LOOKS_WORDS))
_BLANK = re.compile(f"[{BLANKS}]")
#: Values that contain nothing beyond what they say.
_PLAIN = (str, bytes, bytearray, int, float, complex, Decimal, date, time, timedelta, UUID, Enum)
#: Types of numbers of arrays, of any library.
_NUMBERS = ("int", "float", "bool", "complex")
#: Attributes of classes whose objects are records: dataclasses, msgspec, pydantic, attrs.
_RECORDS = (
    "__dataclass_fields__",
    "__struct_fields__",
    "model_fields",
    "__attrs_attrs__",
    "_fields",
)
#: Values that have a length but are no lists.
_NO_LISTS = (dict, str, bytes, bytearray, memoryview, Mapping, UserString)
#: Values that hold no bytes of an image, and those that have something to read in them.
_NO_BYTES = (dict, int, float, type(None), Mapping)
_READABLE = (dict, *_PLAIN, Mapping, type)
_READ = (list, *_READABLE, *_NO_LISTS)
#: Exact types of values of JSON: none is a path, or a scalar of Arrow.
_OF_JSON = frozenset({dict, list, str, int, float, bool, type(None)})


def is_picture(value: Any) -> bool:
    """True if a value is a whole image: a PIL image, encoded bytes, or text or numbers of them."""
    if isinstance(value, dict):
        return False
    if isinstance(value, str):
        if len(value) < LEAST_TEXT:
            return False
        # Prose about such URLs has blanks, and is shorter than an image.
        start = value[:1024].lstrip(BLANKS)
        begins = len(start) >= _LEAST_URL and start[:40].lower().startswith(_HEADS)
        return (begins and _BLANK.search(start, 0, _LEAST_URL) is None) or is_text_of_image(value)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(value, pillow.Image):
        return True
    head = _head_of(value)
    return head is not None and (begins_as_image(head) or is_picture(head.decode("latin-1")))


def _head_of(value: Any) -> bytes | None:
    """The first bytes of what holds bytes: a buffer, a file in memory, a list of their numbers."""
    if isinstance(value, _NO_BYTES):
        return None
    if isinstance(value, (bytes, bytearray)):
        return bytes(value[:_HEAD])
    rows = items_of(value)
    if rows is None:
        return _head_of_buffer(value.getbuffer() if hasattr(value, "getbuffer") else value)
    return _head_of_numbers(rows) if len(rows) >= _LEAST_NUMBERS else None


def _head_of_buffer(value: Any) -> bytes | None:
    is_row = getattr(value, "ndim", None) == 1 and hasattr(value, "tolist")
    if is_row and getattr(value, "itemsize", 0) > 1:
        return _head_of_numbers(value[:HEAD_BYTES].tolist())
    try:
        return bytes(memoryview(value).cast("B")[:_HEAD])
    except (TypeError, ValueError, BufferError):
        # Tensors of torch have no buffer.
        return _head_of_numbers(value[:HEAD_BYTES].tolist()) if is_row else None


def _head_of_numbers(rows: Sequence[Any]) -> bytes | None:
    numbers = list(rows[:HEAD_BYTES])
    is_bytes = all(type(one) is int and 0 <= one < 256 for one in numbers)
    return bytes(numbers) if is_bytes and len(numbers) >= _LEAST_NUMBERS else None


def looks_like_image(value: Any, *, strict: bool = False) -> str | None:
    """Says what in a part or message looks like an image: `type`, `key`, `media type` or `value`.

    Args:
        value: A part, a message without its parts, or anything else.
        strict: Whether only whole images count, and no words, media types or file names.
    """
    for one in _walk(value, strict=strict):
        reason = _reason(*one)
        if reason is not None:
            return reason
    return None


def holds_picture(value: Any) -> bool:
    """True if a column of a row holds a whole image at any depth, or what cannot be looked into.

    Refs are none, nor are arrays of two dimensions of anything but bytes: rows have these, too. Nor
    are attributes of objects that are no records, such as clients: they lead anywhere.
    """
    for _, one, _ in _walk(value, strict=True, fields=_fields_of_record):
        if one is None or isinstance(one, (int, float)):
            continue
        if is_unread(one) or _may_be_pixels(one) or (is_picture(one) and not is_ref(one)):
            return True
    return False


def is_unread(value: Any) -> bool:
    """True if a value holds others that are not looked at: an iterator, a table, an open file."""
    if isinstance(value, _READ) or _is_record(value) or rows_of(value) is not None:
        return False
    is_list = hasattr(value, "__iter__") or hasattr(value, "__getitem__") or hasattr(value, "read")
    return is_list and not hasattr(value, "itemsize")


def _fields_of_record(value: Any) -> Iterator[tuple[str, Any]]:
    return fields_of(value) if _is_record(value) else iter(())


def _is_record(value: Any) -> bool:
    if isinstance(value, (*MAPPINGS, SimpleNamespace)):
        return True
    return any(hasattr(cast(Any, type(value)), name) for name in _RECORDS)


def _may_be_pixels(value: Any) -> bool:
    """True if an array or table of two or more dimensions may be pixels: no numbers in rows."""
    dimensions, kind = getattr(value, "ndim", 0), str(getattr(value, "dtype", ""))
    is_numbers = any(word in kind for word in _NUMBERS) and "uint8" not in kind
    return dimensions > 2 or (dimensions == 2 and not is_numbers)


def holds_url(value: Any) -> bool:
    """True if a value has a URL of any kind, except in what is said or done."""
    return any(isinstance(one, str) and "://" in one for _, one, whole in _walk(value) if not whole)


def _walk(
    value: Any,
    *,
    strict: bool = False,
    fields: Callable[[Any], Iterator[tuple[str, Any]]] = fields_of,
) -> Iterator[tuple[str, Any, bool]]:
    """Each value at any depth, with its key and whether it is below what is said or done."""
    stack: list[tuple[str, Any, bool, int]] = [("", value, strict, 0)]
    seen: dict[int, Any] = {}
    while stack:
        name, one, whole, depth = stack.pop()
        if depth > MAX_DEPTH:
            message = f"expected at most {MAX_DEPTH} levels of nesting, got more"
            raise MMRawError("limit_exceeded", message)
        if type(one) not in _OF_JSON:
            one = _plain(one)
        yield name, one, whole
        if one is None or isinstance(one, (str, bytes, int, float)) or id(one) in seen:
            continue
        seen[id(one)] = one
        rows = rows_of(one)
        if rows is not None:
            stack += [("", row, whole, depth + 1) for row in rows if type(row) not in (int, float)]
            continue
        stack += [
            (str(key), field, whole or key in _SPOKEN, depth + 1) for key, field in fields(one)
        ]


def _plain(value: Any) -> Any:
    """The text of a path, or the value of a scalar of Arrow; any other value as it is."""
    if isinstance(value, os.PathLike):
        return os.fspath(cast("os.PathLike[str]", value))
    return value.as_py() if hasattr(value, "as_py") else value


def rows_of(value: Any) -> Sequence[Any] | None:
    """The items of a list of any kind, also of a set, a view, a table or what else has a length."""
    rows = items_of(value)
    if rows is not None or isinstance(value, _NO_LISTS) or is_tuple_with_names(value):
        return rows
    is_list = hasattr(value, "__len__") and hasattr(value, "__iter__")
    # Numbers are looked at where they are, and so is what has two dimensions.
    if not is_list or hasattr(value, "itemsize") or getattr(value, "ndim", 1) > 1:
        return None
    return list(value)


def _reason(name: str, value: Any, whole: bool) -> str | None:
    if value is None or isinstance(value, (bool, int, float)):
        return None
    if is_picture(value):
        return "value"
    if isinstance(value, str):
        return None if whole else _reason_of_text(name, value)
    if isinstance(value, dict):
        return "key" if value and not whole and _has_word(name) else None
    if getattr(value, "ndim", 0) >= 2 or _is_closed(value):
        return "value"
    if not whole and _has_word(name) and not _is_empty(value):
        return "key"
    return "type" if not whole and is_named_as_image(value) else None


def _reason_of_text(name: str, text: str) -> str | None:
    start = text[:_LONGEST_NAME].strip(BLANKS).lower()
    if name.lower().endswith(_KINDS) and _has_word(text):
        return "type"
    if start.startswith(_MEDIA):
        return "media type"
    if name in MEDIA_NAMES:
        return None
    if _has_word(name) and text:
        return "key"
    # Objects of a store have URLs with a signature at the end.
    names = (start, _QUERY.split(start, maxsplit=1)[0]) if len(text) < _LONGEST_NAME else ()
    is_name = any(one.endswith(_SUFFIXES) for one in names)
    return "value" if is_name or start.startswith(_HEADS) else None


def is_named_as_image(value: Any) -> bool:
    """True if an object is of a class that is named as an image, such as `ImageUrl`."""
    is_object = not isinstance(value, _READABLE) and items_of(value) is None
    return is_object and value is not None and _has_word(type(cast("object", value)).__name__)


def _is_closed(value: Any) -> bool:
    """True if nothing can be read in an object: an open file, a scalar of Arrow, an iterator."""
    if isinstance(value, _READABLE) or callable(value) or rows_of(value) is not None:
        return False
    return getattr(value, "ndim", None) is None and next(fields_of(value), None) is None


def _has_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.search(value.lower()) is not None


def _is_empty(value: Any) -> bool:
    try:
        return len(value) == 0
    except TypeError:
        return False
