"""Takes out of a large JSON text what makes a lawful one large: the base64 of images and refs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

#: What makes a lawful document large: strings that begin so and are of these characters alone.
_BULK_HEAD = '"(?=data:|mmraw:v3:)'
_BULK_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-:;,\\"
_BULK_LENGTH = 4096
_CHUNK = 1 << 16


def set_aside(text: str | bytes | memoryview) -> str | bytes:
    """The document with the text of each inline image and ref replaced by its length and checksum.

    The strict reader then works on little text. Equal strings, and so equal keys, stay equal.
    """
    if isinstance(text, str):
        return "".join(_without_bulk(text, '"', re.compile(_BULK_HEAD)))
    return b"".join(_without_bulk(bytes(text), b'"', re.compile(_BULK_HEAD.encode("ascii"))))


def _without_bulk(text: Any, quote: Any, head: re.Pattern[Any]) -> Iterator[Any]:
    kept = at = 0
    while (match := head.search(text, at)) is not None:
        at = match.end()
        end = text.find(quote, at)
        if end - at < _BULK_LENGTH or (checksum := _plain_checksum(text, at, end)) is None:
            continue
        yield text[kept:at]
        token = f"{end - at}:{checksum}"
        yield token if isinstance(text, str) else token.encode("ascii")
        kept = at = end
    yield text[kept:] if kept else text


def _plain_checksum(text: str | bytes, start: int, end: int) -> int | None:
    """A checksum of text[start:end]; None where it holds what the strict reader must see."""
    if text[end - 1 : end] in ("\\", b"\\"):
        return None
    checksum = 0
    for at in range(start, end, _CHUNK):
        # One character more, so that no escape is cut in two.
        part = text[at : min(at + _CHUNK + 1, end)]
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part
        if data.translate(None, _BULK_CHARACTERS) or (b"\\" in data and b"\\u" in data):
            return None
        checksum = zlib.crc32(data, checksum)
    return checksum
