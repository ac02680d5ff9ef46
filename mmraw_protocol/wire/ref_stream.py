"""Refs that carry their image: read piece by piece, their base64 decoded and checked on the way.

An inline image makes a ref tens of megabytes long, and its text is base64 twice. The outer layer is
decoded in pieces, and the inner one with it, so that neither is held whole if it is not wanted.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ._generated.dialects import DIALECTS, WireDialect
from ._generated.limits import DEFAULT_LIMITS, Limits
from .base64 import PIECE, attempt, decode_standard, decode_url
from .data_url import HEADS
from .ref_model import RawMMRef
from .ref_read import UNDECIDED, parse_ref

Sink = Callable[[bytes], object]

#: Dialects that carry an image and a run's label, in the base64url of JSON.
_WIRES = [
    wire
    for wire in DIALECTS.values()
    if wire.encoding == "base64url-json" and {"raw_uri", "run_id"} <= wire.attributes
]
#: Characters at the beginning of a ref in which its image starts: all other fields are short.
_HEAD = 8192
#: Characters at the end of a ref that belong to no piece: what follows an image is short.
_TAIL = 1024
#: A data: URL's text before its comma is no longer.
_LONGEST = 32
#: Takes the place of a URL that was checked while it was read.
_CHECKED = "data:image/png;base64,AAAA"


def read_ref(
    text: str, sink: Sink, *, keep_uri: bool = True, limits: Limits = DEFAULT_LIMITS
) -> tuple[RawMMRef, bool]:
    """Returns what `parse_ref` returns, and whether an inline image's bytes went to `sink`.

    Where they did not, some may have gone there all the same. Without `keep_uri` the raw_uri of a
    ref whose image went to `sink` may be cut off.

    Raises:
        MMRawError: what `parse_ref` raises.
    """
    ref = None
    if isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        wire = next((wire for wire in _WIRES if text.startswith(wire.prefix)), None)
        ref = None if wire is None else read_inline(text, wire, limits, sink, keep_uri)
    return (parse_ref(text, limits=limits), False) if ref is None else (ref, True)


def read_inline(
    text: str, wire: WireDialect, limits: Limits, sink: Sink | None = None, keep_uri: bool = True
) -> RawMMRef | None:
    """The ref of a canonical text with an inline image; None means undecided, not invalid."""
    try:
        split = _split(text, len(wire.prefix), limits, sink, keep_uri)
        if split is None or wire.read is None:
            return None
        ref = wire.read(split[0], RawMMRef, limits)
    except UNDECIDED:
        return None
    # The part that was taken out must have been the source, and no other field.
    if ref is None or ref.raw_uri != _CHECKED:
        return None
    return msgspec.structs.replace(ref, raw_uri=split[1])


def _split(
    text: str, start_of_body: int, limits: Limits, sink: Sink | None, keep_uri: bool
) -> tuple[bytes, str] | None:
    """The JSON of a ref with `_CHECKED` in place of its data: URL, and that URL.

    Its bytes go to `sink`, in pieces; they may have gone there if the answer is None. Without
    `keep_uri` the URL ends where its base64 begins or soon after.
    """
    head = decode_url(text[start_of_body : start_of_body + _HEAD])
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
    at = start_of_body + begin // 3 * 4
    while size >= 0 and at + PIECE + _TAIL <= len(text):
        # Base64 characters never make a `+` or `/` of the outer layer, so that needs no look.
        piece = attempt(text[at : at + PIECE])
        if piece is None or len(piece) != PIECE // 4 * 3:
            return None
        part = _decode_into(piece, sink)
        if part < 0:
            return None
        if keep_uri:
            # CPython appends in place, as long as no other name refers to it: no copy is made.
            uri += str(piece, "latin-1")
        size += part
        at += PIECE
    tail = decode_url(text[at:])
    if tail is None or size < 0:
        return None
    end = tail.find(b'"')
    if end < 0:
        return None
    last = str(tail[:end], "latin-1")
    image = decode_standard(last)
    if image is None or not 0 < size + len(image) <= limits.inline_image_bytes:
        return None
    if sink is not None:
        sink(image)
    if keep_uri:
        uri += last
    data = head[:start] + _CHECKED.encode("ascii") + tail[end:]
    return (data, uri) if len(data) <= _HEAD else None


def _decode_into(piece: bytes, sink: Sink | None) -> int:
    """The size of base64 from the middle of an image: whole groups without padding; else -1."""
    data = attempt(piece)
    if data is None or len(data) != len(piece) // 4 * 3:
        return -1
    if sink is not None:
        sink(data)
    return len(data)
