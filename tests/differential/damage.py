"""Damaged images: changes of bytes, of parts, and of what parts say of their own lengths.

A file is split into its parts (chunks, segments, blocks). Many changes make lengths and checksums
right again, because a reader that stops at the first wrong one shows nothing of its other rules.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

#: Numbers that sit on the edge of some field.
_EDGES = (0, 1, 2, 3, 4, 7, 8, 13, 15, 16, 127, 128, 254, 255, 256, 0x3FFF, 0x4000, 0x7FFF, 0x8000,
          0xFFFF, 0x10000, 0xFFFFFF, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"


class _Format(NamedTuple):
    """The structure of a format's files.

    Attributes:
        split: The parts of a file; joined they are the file.
        sealed: A part whose length and checksum are made right.
        head: Bytes of a part before its content.
        names: Names that a part can have, and where in the part the name is.
    """

    split: Callable[[bytes], list[bytes]]
    sealed: Callable[[bytes], bytes]
    head: int
    names: tuple[bytes, ...]
    name_at: int


def _split_png(data: bytes) -> list[bytes]:
    parts, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at:end])
        at = end
    return parts


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _split_jpeg(data: bytes) -> list[bytes]:
    parts, at = [data[:2]], 2
    while at < len(data):
        is_last = data[at] != 0xFF or data[at + 1 : at + 2] == b"\xda"
        end = len(data) if is_last else at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append(data[at:end])
        at = end
    return parts


def jpeg_segment(code: int, body: bytes) -> bytes:
    """A marker with its length."""
    return bytes([0xFF, code]) + ((len(body) + 2) & 0xFFFF).to_bytes(2, "big") + body


def _split_gif(data: bytes) -> list[bytes]:
    at = 13 + _table_bytes(data, 10)
    parts = [data[:at]]
    while at < len(data):
        start = at
        if data[at] == 0x2C:
            at += 11 + _table_bytes(data, at + 9)
        elif data[at] == 0x21:
            at += 2
        else:
            parts.append(data[at:])
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        parts.append(data[start:at])
    return parts


def _table_bytes(data: bytes, at: int) -> int:
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _split_webp(data: bytes) -> list[bytes]:
    return [data[:12], *_split_riff(data[12:])]


def _split_riff(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        parts.append(data[at:end])
        at = end
    return parts


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length, and the byte that makes it even."""
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


#: By name.
FORMATS = {
    "png": _Format(
        _split_png,
        lambda part: png_chunk(part[4:8], part[8:-4]),
        8,
        (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"gAMA", b"cHRM",
         b"sRGB", b"pHYs", b"eXIf", b"tEXt", b"abcd", b"ABCD", b"a_1b", b"ab d"),
        4,
    ),
    "jpeg": _Format(
        _split_jpeg,
        lambda part: jpeg_segment(part[1], part[4:]) if len(part) > 3 else part,
        4,
        tuple(bytes([0xFF, code]) for code in range(256)),
        0,
    ),
    "gif": _Format(
        _split_gif,
        lambda part: part,
        0,
        (b"\x2c", b"\x21\xf9", b"\x21\xfe", b"\x21\xff", b"\x21\x01", b"\x21\x00", b";", b"\x00"),
        0,
    ),
    "webp": _Format(
        _split_webp,
        lambda part: riff_chunk(part[:4], part[8:]),
        8,
        (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ", b"abcd"),
        0,
    ),
}  # fmt: skip


def format_of(data: bytes) -> str | None:
    """The format whose parts `damaged` can change; None for any other bytes."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"GIF8") and len(data) > 13:
        return "gif"
    return "webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def damaged(rng: random.Random, data: bytes, donor: bytes) -> bytes:
    """`data` with one to four changes; parts of `donor` come in where it has the same format."""
    kind = format_of(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        if kind is None or rng.random() < 0.3:
            data = _changed_bytes(rng, data)
        else:
            data = _changed_parts(rng, data, donor, FORMATS[kind])
    if kind == "webp":
        data = _with_size(rng, data)
    return data if rng.random() < 0.85 else data[: rng.randrange(len(data) + 1)]


def _with_size(rng: random.Random, data: bytes) -> bytes:
    """A WebP whose RIFF size is right, mostly; else it lies, or covers foreign bytes."""
    data += rng.randbytes(rng.choice((0, 0, 0, 0, 1, 2, 3, 7, 8, 9)))
    size = len(data) - 8
    kind = rng.randrange(10)
    if kind == 0:
        return data
    if kind <= 2:
        size = rng.choice((size - 1, size - 2, size + 1, size + 2, size - 8, rng.choice(_EDGES)))
    return data[:4] + struct.pack("<I", size & 0xFFFFFFFF) + data[8:]


def _changed_parts(rng: random.Random, data: bytes, donor: bytes, kind: _Format) -> bytes:
    parts = kind.split(data)
    others = kind.split(donor) if FORMATS.get(format_of(donor) or "") is kind else parts
    return b"".join([parts[0], *_rearranged(rng, parts[1:], others[1:], kind)])


def _rearranged(
    rng: random.Random, parts: list[bytes], others: list[bytes], kind: _Format
) -> list[bytes]:
    """Parts dropped, doubled, moved, taken from another file, or changed inside."""
    if not parts:
        return others
    at, to = rng.randrange(len(parts)), rng.randrange(len(parts))
    choice = rng.randrange(12)
    if choice == 0:
        del parts[at]
    elif choice == 1:
        parts.insert(to, parts[at])
    elif choice == 2:
        parts[at], parts[to] = parts[to], parts[at]
    elif choice == 3 and others:
        parts.insert(at, rng.choice(others))
    elif choice == 4:
        parts.insert(at, rng.randbytes(rng.choice((1, 2, 3, 8, 20))))
    elif parts[at][:4] == b"ANMF" and len(parts[at]) > 24 and rng.random() < 0.7:
        inner = _rearranged(rng, _split_riff(parts[at][24:]), others, kind)
        parts[at] = riff_chunk(b"ANMF", parts[at][8:24] + b"".join(inner))
    else:
        changed = _changed_content(rng, parts[at], kind)
        parts[at] = kind.sealed(changed) if rng.random() < 0.85 and len(changed) > 11 else changed
    return parts


def _changed_content(rng: random.Random, part: bytes, kind: _Format) -> bytes:
    """A part of another name, shorter, longer, or with other content."""
    choice = rng.randrange(6)
    if choice == 0:
        name, at = rng.choice(kind.names), kind.name_at
        return part[:at] + name + part[at + len(name) :]
    if choice == 1:
        return part[: rng.randrange(min(kind.head, len(part)), len(part) + 1)]
    if choice == 2:
        return part + rng.randbytes(rng.choice((1, 2, 3, 4, 64, 65)))
    # The first bytes of a content hold the numbers that a header is read from.
    most = rng.choice((12, 40, len(part)))
    return part[: kind.head] + _changed_bytes(rng, part[kind.head :], most)


def _changed_bytes(rng: random.Random, data: bytes, most: int | None = None) -> bytes:
    """A bit, a byte or a number changed, or a stretch cut out or put in, before byte `most`."""
    if not data:
        return rng.randbytes(1)
    at = rng.randrange(min(len(data), most or rng.choice((40, 200, len(data)))))
    choice = rng.randrange(6)
    if choice == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if choice == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if choice == 2:
        return data[:at] + data[at + rng.choice((1, 1, 2, 4, 20)) :]
    if choice == 3:
        added = rng.choice((rng.randbytes(rng.randrange(1, 9)), bytes(rng.randrange(1, 20))))
        return data[:at] + added + data[at:]
    width, order = rng.choice((1, 2, 3, 4)), rng.choice(("big", "little"))
    old = int.from_bytes(data[at : at + width], order)
    new = rng.choice((old + 1, old - 1, old + 2, old + 256, rng.choice(_EDGES), rng.choice(_EDGES)))
    return data[:at] + (new % 256**width).to_bytes(width, order) + data[at + width :]
