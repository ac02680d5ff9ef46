"""What looks like an image in a value that is no part of a known spelling.

Source: spec/messages.json (`looks`), spec/README.md, section "Messages".
"""

from __future__ import annotations

import re
import sys
from typing import Any

from ..images.encoded import LEAST_TEXT, is_base64_image
from ..wire._generated.messages import (
    LOOKS_HEADS,
    LOOKS_MEDIA_TYPES,
    LOOKS_SPOKEN,
    LOOKS_SUFFIXES,
    LOOKS_WORDS,
)
from ..wire._generated.modalities import MEDIA_NAMES
from .places import fields_of, items_of

_HEADS = tuple(LOOKS_HEADS)
_SUFFIXES = tuple(LOOKS_SUFFIXES)
_MEDIA = tuple(LOOKS_MEDIA_TYPES)
_QUERY = re.compile(r"[?#]")
_BLANK = re.compile(r"\s")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def is_picture(value: Any) -> bool:
    """Whether a value is a whole image: a PIL image, encoded bytes, or text of either."""
    if isinstance(value, str):
        # Prose about such URLs has blanks, and is shorter than an image.
        begins = len(value) >= LEAST_TEXT and value[:40].lower().startswith(_HEADS)
        return (begins and _BLANK.search(value, 0, LEAST_TEXT) is None) or is_base64_image(value)
    if _is_byte_array(value):
        value = bytes(value[:16])
    if isinstance(value, (bytes, bytearray)):
        return value.startswith(_MAGIC) or (value[:4] == b"RIFF" and value[8:12] == b"WEBP")
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def _is_byte_array(value: Any) -> bool:
    if isinstance(value, memoryview):
        return value.ndim == 1
    return getattr(value, "ndim", None) == 1 and str(getattr(value, "dtype", "")) == "uint8"


def looks_like_image(value: Any, *, strict: bool = False) -> str | None:
    """What in a part or message looks like an image: `type`, `key`, `media type` or `value`.

    Args:
        value: A part, a message without its parts, or anything else.
        strict: Whether only whole images count, and no words, media types or file names.
    """
    stack: list[tuple[str, Any, bool]] = [("", value, strict)]
    seen: dict[int, Any] = {}
    while stack:
        name, one, whole = stack.pop()
        reason = _reason(name, one, whole)
        if reason is not None:
            return reason
        if one is None or isinstance(one, (str, bytes, int, float)) or id(one) in seen:
            continue
        seen[id(one)] = one
        rows = items_of(one)
        if rows is not None:
            stack += [("", row, whole) for row in rows if not isinstance(row, (int, float))]
            continue
        stack += [(str(key), field, whole or key in LOOKS_SPOKEN) for key, field in fields_of(one)]
    return None


def _reason(name: str, value: Any, whole: bool) -> str | None:
    if is_picture(value):
        return "value"
    if whole or value is None or isinstance(value, (bool, int, float)):
        return None
    if name in ("type", "kind"):
        return "type" if _has_word(value) else None
    if isinstance(value, str) and value[:16].lower().startswith(_MEDIA):
        return "media type"
    if isinstance(value, str) and name in MEDIA_NAMES:
        return None
    if _has_word(name) and not _is_empty(value):
        return "key"
    if isinstance(value, str):
        # Objects of a store are named by URLs with a signature behind them.
        is_name = len(value) < 2048 and _QUERY.split(value.lower(), 1)[0].endswith(_SUFFIXES)
        return "value" if is_name or value[:40].lower().startswith(_HEADS) else None
    return "value" if getattr(value, "ndim", 0) >= 2 else None


def _has_word(value: Any) -> bool:
    return isinstance(value, str) and any(word in value.lower() for word in LOOKS_WORDS)


def _is_empty(value: Any) -> bool:
    try:
        return len(value) == 0
    except TypeError:
        return False
