"""Small images that hold every kind of part which a header is read from.

No file here can be decoded: describing an image reads its header alone.
"""

from __future__ import annotations

import struct
import zlib

from .damage import jpeg_segment, png_chunk, riff, riff_chunk

_LOSSY = b"\x30\x01\x00\x9d\x01\x2a\x14\x00\x0a\x00" + bytes(20)
_LOSSLESS = b"\x2f\x13\x40\x02\x00" + bytes(8)


def built() -> list[bytes]:
    """The images, in one order."""
    return [*_pngs(), *_jpegs(), *_gifs(), *_webps()]


def _png(header: bytes, *chunks: bytes) -> bytes:
    picture = png_chunk(b"IDAT", zlib.compress(bytes(40)))
    ends = (picture, png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join([png_chunk(b"IHDR", header), *chunks, *ends])


def _frame(number: int, width: int, height: int, left: int = 0, top: int = 0) -> bytes:
    numbers = (number, width, height, left, top, 1, 10, 0, 0)
    return png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", *numbers))


def _pngs() -> list[bytes]:
    size = struct.pack(">II", 20, 10)
    palette = png_chunk(b"PLTE", bytes(range(12)))
    colours = (
        png_chunk(b"gAMA", struct.pack(">I", 45455)),
        png_chunk(b"cHRM", struct.pack(">8I", *range(8))),
        png_chunk(b"sRGB", b"\x00"),
        png_chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
    )
    texts = (
        png_chunk(b"eXIf", b"MM\x00*" + bytes(10)),
        png_chunk(b"tEXt", b"Comment\x00some text"),
        png_chunk(b"prVt", b"private"),
    )
    one, two = (png_chunk(b"acTL", struct.pack(">II", count, 0)) for count in (1, 2))
    return [
        _png(size + b"\x08\x02\x00\x00\x00", *colours, png_chunk(b"tRNS", bytes(6)), *texts),
        _png(size + b"\x04\x03\x00\x00\x00", palette, png_chunk(b"tRNS", b"\xff\x00\x80")),
        _png(size + b"\x01\x00\x00\x00\x01", png_chunk(b"tRNS", bytes(2))),
        _png(size + b"\x10\x06\x00\x00\x00", one, _frame(0, 20, 10)),
        _png(size + b"\x08\x04\x00\x00\x00", one),
        _png(size + b"\x08\x06\x00\x00\x00", two, _frame(0, 20, 10)),
    ]


def _jpeg(*segments: bytes) -> bytes:
    scan = jpeg_segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + bytes(20)
    return b"\xff\xd8" + b"".join(segments) + scan + b"\xff\xd9"


def _start(code: int, layers: int) -> bytes:
    components = b"".join(bytes([n + 1, 0x11, 0]) for n in range(layers))
    return jpeg_segment(code, struct.pack(">BHHB", 8, 10, 20, layers) + components)


def _jpegs() -> list[bytes]:
    table = jpeg_segment(0xDB, bytes([0, *[1] * 64]))
    wide = jpeg_segment(0xDB, bytes([0x10, *[0, 1] * 64]) + bytes([1, *[1] * 64]))
    jfif = jpeg_segment(0xE0, b"JFIF\x00\x01\x01\x01\x00\x48\x00\x48\x00\x00")
    exif = jpeg_segment(0xE1, b"Exif\x00\x00MM\x00*" + bytes(10))
    others = (
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>"),
        jpeg_segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + bytes(20)),
        jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed" + bytes(2) + b"\x00\x00\x00\x10" * 5),
        jpeg_segment(0xEE, b"Adobe\x00\x64" + bytes(5)),
        jpeg_segment(0xFE, b"a comment"),
        jpeg_segment(0xDD, b"\x00\x04"),
    )
    pointers = jpeg_segment(0xE2, b"MPF\x00MM\x00*" + bytes(20))
    codes = jpeg_segment(0xC4, bytes(17))
    return [
        _jpeg(jfif, exif, table, _start(0xC0, 3), codes),
        _jpeg(*others, wide, _start(0xC2, 4), codes),
        _jpeg(exif, pointers, table, b"\xff\xd0", _start(0xC1, 1)),
    ]


def _gif_frame(flags: int, table: bytes = b"", left: int = 0) -> bytes:
    place = struct.pack("<HHHHB", left, 0, 20, 10, flags)
    return b"\x2c" + place + table + b"\x02\x03\x84\x8f\x05\x00"


def _gifs() -> list[bytes]:
    screen = struct.pack("<HH", 20, 10)
    control = b"\x21\xf9\x04\x01\x0a\x00\x03\x00"
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    comment = b"\x21\xfe\x04some\x04text\x00"
    text = b"\x21\x01\x0c" + bytes(12) + b"\x01x\x00"
    table = bytes(range(12))
    return [
        b"GIF89a" + screen + b"\x81\x00\x00" + table + control + comment + _gif_frame(0) + b";",
        b"GIF87a" + screen + b"\x00\x00\x00" + _gif_frame(0x81, table) + b";",
        b"GIF89a" + screen + bytes(3) + loop + text + control + _gif_frame(0xC2, bytes(24)) + b";",
        b"GIF89a" + screen + bytes(3) + control + _gif_frame(0) + control + _gif_frame(0, left=2),
    ]


def _canvas(flags: int) -> bytes:
    return riff_chunk(b"VP8X", bytes([flags, 0, 0, 0, 19, 0, 0, 9, 0, 0]))


def _webp_frame(*chunks: bytes) -> bytes:
    place = bytes(6) + b"\x13\x00\x00\x09\x00\x00" + b"\x64\x00\x00\x00"
    return riff_chunk(b"ANMF", place + b"".join(chunks))


def _webps() -> list[bytes]:
    lossy, lossless = riff_chunk(b"VP8 ", _LOSSY), riff_chunk(b"VP8L", _LOSSLESS)
    alpha = riff_chunk(b"ALPH", b"\x00" + bytes(200))
    profile, exif = riff_chunk(b"ICCP", bytes(21)), riff_chunk(b"EXIF", b"MM\x00*" + bytes(4))
    packet = riff_chunk(b"XMP ", b"<x/>")
    loop = riff_chunk(b"ANIM", bytes(6))
    return [
        riff(lossy),
        riff(lossless),
        riff(lossless, exif),
        riff(_canvas(0), lossless),
        riff(_canvas(0x3C), profile, alpha, lossy, exif, packet),
        riff(_canvas(0x12), loop, _webp_frame(alpha, lossy)),
        riff(_canvas(0x12), loop, _webp_frame(lossless), exif),
        riff(_canvas(0x02), loop, _webp_frame(lossy), _webp_frame(lossless)),
    ]
