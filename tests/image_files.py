"""Encoded images that Pillow does not write: interlaced, in separate scans, with odd metadata."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip


def picture(mode: str, size: tuple[int, int], kind: str, **options: Any) -> bytes:
    """A picture of one colour, as Pillow encodes it."""
    colour: Any = 77 if mode in ("L", "P") else tuple(range(60, 60 + len(mode)))
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_png_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks in front of its picture data."""
    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def interlaced_png(width: int, height: int) -> bytes:
    """A black RGBA picture of 16 bits, interlaced."""
    packer, body = zlib.compressobj(1), b""
    for left, top, across, down in _ADAM7:
        wide, high = -(-(width - left) // across), -(-(height - top) // down)
        for _ in range(high if wide > 0 else 0):
            body += packer.compress(bytes(1 + 8 * wide))
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", body + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def jpeg_segment(code: int, body: bytes) -> bytes:
    """A marker with its length."""
    return bytes([0xFF, code]) + (len(body) + 2).to_bytes(2, "big") + body


def jpeg_in_separate_scans(width: int, height: int) -> bytes:
    """A grey baseline JPEG of three full components, each in a scan of its own.

    Every block is two codes of one bit: no difference of the first coefficient, end of the block.
    """
    code = bytes([1, *bytes(15), 0])
    components = b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
    blocks = -(-width // 8) * -(-height // 8)
    scans = [
        jpeg_segment(0xDA, bytes([1, n, 0, 0, 63, 0])) + bytes(-(-2 * blocks // 8))
        for n in (1, 2, 3)
    ]
    return b"".join([
        b"\xff\xd8",
        jpeg_segment(0xDB, bytes([0, *[1] * 64])),
        jpeg_segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + components),
        jpeg_segment(0xC4, b"\x00" + code + b"\x10" + code),
        *scans,
        b"\xff\xd9",
    ])  # fmt: skip


def with_jpeg_segments(data: bytes, segments: int) -> bytes:
    """A JPEG with so many comments of 65,000 bytes."""
    return data[:2] + segments * jpeg_segment(0xFE, bytes(65000)) + data[2:]


def with_gif_comments(data: bytes, count: int) -> bytes:
    """A GIF with so many comments of 65,280 bytes in front of its picture."""
    at = 13 + (3 << (data[10] & 7) + 1)
    comment = b"\x21\xfe" + 256 * (b"\xff" + bytes(255)) + b"\0"
    return data[:at] + count * comment + data[at:]
