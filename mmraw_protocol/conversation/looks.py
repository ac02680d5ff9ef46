"""What looks like an image in a value that is no part of a known spelling.

Source: spec/messages.json (`looks`), spec/README.md, section "Messages".
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from ..images.encoded import BLANKS, HEAD_BYTES, begins_as_image, is_text_of_image
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
from .places import fields_of, is_tuple_with_names, items_of

#: A text is a data: URL rather than a word about such from this many characters on.
_LEAST_URL = 64
_LONGEST_NAME = 2048
#: A list of fewer numbers is none of bytes.
_LEAST_NUMBERS = 26
#: Bytes that are looked at; text of an image may stand in them.
_HEAD = 4096
_HEADS = tuple(LOOKS_HEADS)
_KINDS = tuple(LOOKS_KINDS)
_SUFFIXES = tuple(LOOKS_SUFFIXES)
_MEDIA = tuple(LOOKS_MEDIA_TYPES)
_QUERY = re.compile(r"[?#]")
_BLANK = re.compile(f"[{BLANKS}]")
#: Values of which no more is to be known than they say.
_PLAIN = (str, bytes, bytearray, int, float, complex, Decimal, date, time, timedelta, UUID, Enum)


def is_picture(value: Any) -> bool:
    """Whether a value is a whole image: a PIL image, encoded bytes, or text or numbers of them."""
    if isinstance(value, str):
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
    if value is None or isinstance(value, (bool, int, float, Mapping)):
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
    """What in a part or message looks like an image: `type`, `key`, `media type` or `value`.

    Args:
        value: A part, a message without its parts, or anything else.
        strict: Whether only whole images count, and no words, media types or file names.
    """
    reasons = (_reason(*one) for one in _walk(value, strict=strict))
    return next((reason for reason in reasons if reason is not None), None)


def holds_url(value: Any) -> bool:
    """Whether a value has a URL of any kind, except in what is said or done."""
    return any(isinstance(one, str) and "://" in one for _, one, whole in _walk(value) if not whole)


def _walk(value: Any, *, strict: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """Each value at any depth, with its key and whether it is below what is said or done."""
    stack: list[tuple[str, Any, bool, int]] = [("", value, strict, 0)]
    seen: dict[int, Any] = {}
    while stack:
        name, one, whole, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise MMRawError("limit_exceeded", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(one, os.PathLike):
            one = os.fspath(cast("os.PathLike[str]", one))
        yield name, one, whole
        if one is None or isinstance(one, (str, bytes, int, float)) or id(one) in seen:
            continue
        seen[id(one)] = one
        rows = _rows_of(one)
        if rows is not None:
            stack += [("", row, whole, depth + 1) for row in rows if type(row) not in (int, float)]
            continue
        stack += [
            (str(key), field, whole or key in LOOKS_SPOKEN, depth + 1)
            for key, field in fields_of(one)
        ]


def _rows_of(value: Any) -> Collection[Any] | None:
    """The items of a list of any kind, also of a set or a view."""
    rows = items_of(value)
    is_more = rows is None and isinstance(value, Collection) and not isinstance(value, Mapping)
    if not is_more or isinstance(value, (memoryview, bytearray)) or is_tuple_with_names(value):
        return rows
    is_row: bool = getattr(cast("object", value), "ndim", 1) == 1
    return list(cast("Collection[Any]", value)) if is_row else None


def _reason(name: str, value: Any, whole: bool) -> str | None:
    if value is None or isinstance(value, (bool, int, float)):
        return None
    if is_picture(value):
        return "value"
    if isinstance(value, str):
        return None if whole else _reason_of_text(name, value)
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
    """Whether an object is of a class that is named as an image, such as `ImageUrl`."""
    is_object = not isinstance(value, (*_PLAIN, Mapping, type)) and items_of(value) is None
    return is_object and value is not None and _has_word(type(cast("object", value)).__name__)


def _is_closed(value: Any) -> bool:
    """Whether nothing can be read in an object: an open file, a scalar of Arrow, an iterator."""
    if (
        isinstance(value, (*_PLAIN, Mapping, type))
        or callable(value)
        or _rows_of(value) is not None
    ):
        return False
    return getattr(value, "ndim", None) is None and next(fields_of(value), None) is None


def _has_word(value: Any) -> bool:
    return isinstance(value, str) and any(word in value.lower() for word in LOOKS_WORDS)


def _is_empty(value: Any) -> bool:
    try:
        return len(value) == 0
    except TypeError:
        return False
