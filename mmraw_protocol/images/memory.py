"""Estimates from encoded bytes how much memory a decode would add to the process.

The figures are those of Pillow's decoders (docs/reliability.md has the measurements), rounded up:
an image that the estimate accepts fits, and some that would fit are rejected.
"""

from __future__ import annotations

import contextlib
import struct

from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from .structure import Jpeg, format_of, walk_gif, walk_jpeg_head, webp_size

#: The promise: resident memory grows by so much for each pixel, and so much besides.
BYTES_PER_PIXEL = 8
BYTES_BESIDES = 32 << 20
#: A decoder's tables, and what allocators round up: 3 MiB measured.
_OVERHEAD = 4 << 20
#: The converted picture in addition to the one of the file.
_RGB = 4
#: Two canvases, the copy of one of them, and the picture, at four bytes each.
_WEBP = 16
#: Most bytes that one compressed text of a PNG may unpack to, and most that zlib makes of one byte.
_TEXT, _EXPANSION = 1 << 20, 1032
#: Memory that the first such text takes once: 8 MiB measured, including a decoder's tables.
_FIRST_TEXT = 4 << 20
_SEQUENTIAL = (0xC0, 0xC1)
_CHUNK = struct.Struct(">I4s").unpack_from


def fits_bound(data: bytes, limits: Limits) -> bool:
    """True if a decode in this process stays within the memory budget.

    Also true for images that the decoder will reject.
    """
    if len(data) > limits.inline_image_bytes:
        return True
    pixels = growth = 0
    # An image with too many parts is rejected before it is opened.
    with contextlib.suppress(MMRawError):
        pixels, growth = _growth_of(data, limits)
    if pixels > limits.image_pixels:
        return True
    return growth + _OVERHEAD <= BYTES_PER_PIXEL * pixels + BYTES_BESIDES


def _growth_of(data: bytes, limits: Limits) -> tuple[int, int]:
    """Pixels, and most bytes that decoding adds.

    The pixels of PNG and GIF take 8 bytes at the most, which the estimate covers for any
    number: of these formats only the data outside of the pixels is counted.
    """
    kind = format_of(data)
    if kind == "png":
        return 0, _png_texts(data, limits)
    if kind == "gif":
        # Comments are copied; the walk costs some time, so only if it can matter.
        small = 3 * len(data) + _OVERHEAD <= BYTES_BESIDES
        return 0, 0 if small else 3 * walk_gif(data, limits).texts
    if kind == "webp":
        width, height = webp_size(data) or (0, 0)
        # The file is copied twice, and its metadata once more.
        return width * height, _WEBP * width * height + 3 * len(data)
    head = walk_jpeg_head(data, limits) if kind == "jpeg" else None
    return (0, 3 * len(data) if kind else 0) if head is None else _jpeg_growth(data, head)


def _jpeg_growth(data: bytes, head: Jpeg) -> tuple[int, int]:
    frame = head.frame
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        return 0, 3 * head.scan
    height, width = struct.unpack_from(">HH", frame, 1)
    count, pixels = frame[5], width * height
    picture = (1 if count == 1 else 4) * pixels
    # Pixels are converted when the coefficients are gone; segments are copied up to three times.
    converted = 0 if count == 3 else _RGB * pixels
    return pixels, picture + max(_coefficients(data, head), converted) + 3 * head.scan


def _coefficients(data: bytes, head: Jpeg) -> int:
    """Bytes of all coefficients, if the first scan does not give them for all components.

    Two bytes each, in whole MCUs (ITU-T T.81, A.2.4).
    """
    frame = head.frame
    in_scan = data[head.scan + 4] if len(data) > head.scan + 4 else 0
    if head.marker in _SEQUENTIAL and in_scan >= frame[5]:
        return 0
    height, width = struct.unpack_from(">HH", frame, 1)
    across = [frame[7 + 3 * n] >> 4 for n in range(frame[5])]
    down = [frame[7 + 3 * n] & 15 for n in range(frame[5])]
    wide = -(-width // (8 * max(across, default=1) or 8))
    high = -(-height // (8 * max(down, default=1) or 8))
    return 128 * wide * high * sum(a * d for a, d in zip(across, down, strict=True))


def _png_texts(data: bytes, limits: Limits) -> int:
    """The most bytes that chunks other than picture data take, unpacked, decoded and copied."""
    at, growth, first = 8, 0, 0
    for _ in range(2 * limits.image_parts + len(data) // 1024):
        if at + 8 > len(data):
            break
        length, kind = _CHUNK(data, at)
        unpacked = min(_TEXT, _EXPANSION * length)
        if kind == b"iTXt":
            # One letter outside the basic plane makes four bytes of each.
            growth += 12 * length + 5 * unpacked
            first = _FIRST_TEXT
        elif kind == b"zTXt":
            growth += 3 * length + 2 * unpacked
        elif kind != b"IDAT":
            growth += 3 * length
        at += 12 + length
    return growth + first
