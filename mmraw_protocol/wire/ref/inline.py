"""Inline images in v3 refs, piece by piece: two layers of base64 and no copy of the whole between.

A ref with an image of 5 MB is a text of 9 MB; memory for whole copies costs more than decoding.
Each piece is small enough for the processor's cache, and starts where both layers begin a group:
every 12 bytes of JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from .._generated.limits import Limits
from ..base64 import PIECE, attempt, decode_standard, decode_url, encode_base64, encode_base64url
from ..data_url import HEADS

Sink = Callable[[bytes], object]

PREFIX = "mmraw:v3:"
#: Characters at the beginning of a ref in which its image starts: all other fields are short.
_HEAD = 8192
#: Characters at the end of a ref that belong to no piece: what follows an image is short.
_TAIL = 1024
#: A data: URL's text before its comma is no longer.
_LONGEST = 32


def read(
    text: str, limits: Limits, sink: Sink | None = None, keep_uri: bool = True
) -> tuple[bytes, str] | None:
    """The JSON of a v3 ref with "" for its data: URL, and that URL; None where that is not plain.

    The URL's base64 is checked on the way; its bytes go to `sink`, in pieces. They may have gone
    there where the answer is None. Without `keep_uri` the URL ends where its base64 begins or
    soon behind, and no copy of the image is ever held.
    """
    head = decode_url(text[len(PREFIX) : len(PREFIX) + _HEAD])
    start = 0 if head is None else head.find(b'"data:image/') + 1
    if head is None or not start:
        return None
    comma = head.find(b",", start, start + _LONGEST) + 1
    if head[start:comma] not in HEADS:
        return None
    begin = comma + 4 * (-comma % 3)
    if begin > len(head):
        return None
    uri = str(head[start:begin], "latin-1")
    size = _decode_into(head[comma:begin], sink)
    at = len(PREFIX) + begin // 3 * 4
    while size >= 0 and at + PIECE + _TAIL <= len(text):
        # Base64 characters never make a `+` or `/` of the outer layer, so that needs no look.
        piece = attempt(text[at : at + PIECE])
        if piece is None or len(piece) != PIECE // 4 * 3:
            return None
        part = _decode_into(piece, sink)
        if part < 0:
            return None
        if keep_uri:
            # CPython appends in place, as long as no other name holds it: no second copy is made.
            uri += str(piece, "latin-1")
        size += part
        at += PIECE
    tail = decode_url(text[at:])
    end = -1 if tail is None or size < 0 else tail.find(b'"')
    if tail is None or end < 0:
        return None
    last = str(tail[:end], "latin-1")
    image = decode_standard(last)
    if image is None or not 0 < size + len(image) <= limits.inline_image_bytes:
        return None
    if sink is not None:
        sink(image)
    if keep_uri:
        uri += last
    return head[:start] + tail[end:], uri


def _decode_into(piece: bytes, sink: Sink | None) -> int:
    """Decodes base64 from the middle of an image: whole groups without padding. -1 otherwise."""
    data = attempt(piece)
    if data is None or len(data) != len(piece) // 4 * 3:
        return -1
    if sink is not None:
        sink(data)
    return len(data)


def write(data: bytes, place: int, uri: str, limits: Limits) -> str | None:
    """The v3 ref of the JSON `data` with `uri` put in at `place`; None where that is not plain."""
    comma = uri.find(",", 0, _LONGEST) + 1
    if not uri.isascii() or uri[:comma].encode("ascii") not in HEADS or len(uri) == comma:
        return None
    begin = comma + 4 * (-(place + comma) % 3)
    start = uri[:begin].encode("ascii")
    pieces = [PREFIX, encode_base64url(data[:place] + start)]
    size = _decode_into(start[comma:], None)
    at = begin
    step = PIECE // 4 * 3
    while size >= 0 and at + step < len(uri):
        piece = uri[at : at + step].encode("ascii")
        part = _decode_into(piece, None)
        if part < 0:
            return None
        # Base64 characters never make a `-` or `_` of the outer layer, and fill whole groups.
        pieces.append(encode_base64(piece))
        size += part
        at += step
    image = decode_standard(uri, at)
    if size < 0 or image is None or size + len(image) > limits.inline_image_bytes:
        return None
    pieces.append(encode_base64url(uri[at:].encode("ascii") + data[place:]))
    return "".join(pieces)
