"""The header of a common JPEG without its decoder, which takes five times as long to open a file.

This reads what the decoder reads up to the first scan, where one well-formed segment follows the
other. Any other file, and every file to reject, is left to the decoder.
"""

from __future__ import annotations

from ..wire._generated.limits import Limits

#: Segments of a common file at most, that of the first scan among them.
_MOST_PARTS = 64
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
#: Baseline, extended, progressive.
_FRAMES = (0xC0, 0xC1, 0xC2)
_TABLES = 0xDB
_SCAN = 0xDA
#: Huffman tables, restart interval, comment: what is in them does not matter to a header.
_OTHERS = (0xC4, 0xDD, 0xFE)
_FIRST_APP, _LAST_APP = 0xE0, 0xEF
#: Beginnings of application segments that the decoder reads, and the least length of each.
_APPS = {
    0xE0: (b"JFIF", 7),
    0xEE: (b"Adobe", 7),
}
_EXIF = b"Exif\x00\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"


def jpeg_header(data: bytes, limits: Limits) -> tuple[int, int, str] | None:
    """Width, height and mode of a common JPEG; None for what the decoder must see."""
    at, width, height, mode, has_exif = 2, 0, 0, "", False
    size = len(data)
    for _ in range(min(_MOST_PARTS, limits.image_parts)):
        body, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if body > end or end > size or data[at] != 0xFF:
            return None
        code = data[at + 1]
        if code == _TABLES:
            if not _are_tables(data, body, end):
                return None
        elif _FIRST_APP <= code <= _LAST_APP:
            is_exif = code == 0xE1 and data.startswith(_EXIF, body)
            if (is_exif and has_exif) or not _is_readable(data, code, body, end):
                return None
            has_exif = has_exif or is_exif
        elif code in _FRAMES:
            mode = _MODES.get(data[body + 5], "") if end >= body + 9 else ""
            if not mode or width or data[body] != 8 or (end - body) % 3:
                return None
            height = int.from_bytes(data[body + 1 : body + 3], "big")
            width = int.from_bytes(data[body + 3 : body + 5], "big")
        elif code == _SCAN:
            return (width, height, mode) if width and height else None
        elif code not in _OTHERS:
            return None
        at = end
    return None


def _are_tables(data: bytes, at: int, end: int) -> bool:
    """True if quantization tables of 64 entries, of one or two bytes each, fill a segment."""
    while at < end:
        at += 65 if data[at] < 16 else 129
    return at == end


def _is_readable(data: bytes, code: int, body: int, end: int) -> bool:
    """True if an application segment is as long as what the decoder reads of it."""
    if code == 0xED:
        return not data.startswith(_PHOTOSHOP, body)
    known = _APPS.get(code)
    return known is None or end - body >= known[1] or not data.startswith(known[0], body)
