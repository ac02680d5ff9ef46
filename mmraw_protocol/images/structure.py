"""The parts of an encoded image, walked before a decoder sees them.

Decoders take some files at great cost: a JPEG whose header is half a million EXIF segments, or one
of thousands of scans over nearly no bytes, keeps one busy for hours. Some damaged ones they take
without a word. The walks here are bounded by `limits.image_parts` and `limits.image_scans`, copy
nothing, and look only at how parts are strung together: what the parts mean is the decoder's.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Literal, NamedTuple

from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError

Format = Literal["png", "jpeg", "webp", "gif"]

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_WORD = struct.Struct(">I")
#: Bit depths of each colour type of a PNG.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
#: A JPEG segment after its 0xFF: marker and length.
_SEGMENT = struct.Struct(">BH").unpack_from
#: An EXIF block fits one segment; decoders join several at a cost that is quadratic.
_MOST_EXIF = 16
#: Markers without a length: TEM, RSTn, SOI, EOI.
_ALONE = frozenset([0x01, *range(0xD0, 0xDA)])
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Segments that no image uses, and whose insides decoders search byte by byte.
_SKIPPED_BYTEWISE = frozenset([0xC8, 0xCC, 0xDE, 0xDF, *range(0xF0, 0xFE)])
_SCAN = 0xDA
_END = 0xD9
#: The next marker in entropy-coded data: no stuffed zero, no restart, no fill byte.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
#: Labels of GIF extensions.
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF


class Parts(NamedTuple):
    """The results of the walk over a file's head.

    Attributes:
        size: (width, height), if the walk reads them and a decoder would allocate by them.
        frames: Number of frames, if the walk counts them.
        texts: Bytes of a GIF's comments and other extensions.
    """

    size: tuple[int, int] | None = None
    frames: int | None = None
    texts: int = 0


def format_of(data: bytes) -> Format | None:
    """The format by the first bytes; a file's name and media type are never asked."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def check_head(data: bytes, format: Format, limits: Limits, path: str = "$") -> Parts:
    """The parts up to the first picture data (of a GIF: all), counted.

    Raises:
        MMRawError: limit_exceeded, image_undecodable.
    """
    if format == "png":
        return Parts(frames=_walk_png(data, limits, path, whole=False))
    if format == "jpeg":
        if walk_jpeg_head(data, limits, path) is None:
            # Decoders differ in whether such a file has a header.
            raise _broken("there is no scan after whole segments", path)
    elif format == "gif":
        return walk_gif(data, limits, path)
    else:
        return Parts(size=webp_size(data))
    return Parts()


def check_whole(data: bytes, format: Format, limits: Limits, path: str = "$") -> None:
    """The parts of the whole file: PNG checksums and end, JPEG scans and their least length.

    Raises:
        MMRawError: limit_exceeded, image_undecodable.
    """
    if format == "png":
        _walk_png(data, limits, path, whole=True)
    elif format == "jpeg":
        _walk_jpeg(data, limits, path)


def _too_many(limits: Limits, path: str) -> MMRawError:
    message = f"expected at most {limits.image_parts} parts other than picture data, got more"
    return MMRawError("limit_exceeded", message, path)


def _broken(message: str, path: str) -> MMRawError:
    return MMRawError("image_undecodable", message, path)


def _walk_png(data: bytes, limits: Limits, path: str, *, whole: bool) -> int:
    """Chunks up to the first IDAT, or all with the checksums of the critical ones.

    Returns:
        Number of frames. Pillow's number changes with texts that are named like its own notes.
    """
    at, others, pictures = len(_PNG), 0, 0
    # Encoders write IDAT chunks of kilobytes; many small ones are as costly as other chunks.
    most_pictures = limits.image_parts + len(data) // 1024
    view = memoryview(data)
    animated = bounded = False
    frames = 1
    palette = len(data) <= 25 or data[25] != 3
    while at + 8 <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        if (kind == b"IHDR") != (at == len(_PNG)):
            # Decoders differ in which of two headers counts, and in what picture data before it is.
            raise _broken("a PNG has one header chunk, in front of all others", path)
        if kind == b"IHDR" and (len(data) < 26 or data[24] not in _DEPTHS.get(data[25], ())):
            raise _broken("the bit depth or the colour type is unknown", path)
        if kind == b"cHRM" and length != 32 and not pictures:
            raise _broken("the chromaticities are not eight numbers", path)
        if kind == b"IDAT":
            if not whole:
                # Picture data before the first frame control is a frame of its own.
                return frames + (animated and not bounded)
            if not palette:
                raise _broken("a palette image has no palette", path)
            pictures += 1
        else:
            others += 1
            palette = palette or kind == b"PLTE"
            bounded = bounded or kind == b"fcTL"
            if kind == b"acTL":
                # Decoders differ in what a second or an impossible frame count means.
                frames = int.from_bytes(data[at + 8 : at + 12], "big")
                if animated or not 0 < frames < 2**31:
                    raise _broken("the frame count is broken", path)
                animated = True
        if others > limits.image_parts or pictures > most_pictures:
            raise _too_many(limits, path)
        if whole:
            critical = not kind[0] & 0x20
            if end > len(data):
                break
            if (
                critical
                and zlib.crc32(view[at + 4 : end - 4]) != _WORD.unpack_from(data, end - 4)[0]
            ):
                raise _broken("a chunk's checksum is wrong", path)
        if kind == b"IEND":
            return frames
        at = end
    if whole:
        raise _broken("the file ends before its last chunk", path)
    return frames


class Jpeg(NamedTuple):
    """A JPEG's head: position of the first scan's marker, and the frame's marker and segment."""

    scan: int
    marker: int
    frame: bytes


def walk_jpeg_head(data: bytes, limits: Limits, path: str = "$") -> Jpeg | None:
    """Segments up to the first scan; None if there is none."""
    at, parts, exif = 2, 0, 0
    marker, frame = 0, b""
    most, size = limits.image_parts, len(data)
    while True:
        parts += 1
        if parts > most:
            raise _too_many(limits, path)
        start = at
        if at >= size or data[at] != 0xFF:
            # Bytes between segments are skipped one by one by decoders.
            start = data.find(b"\xff", at, at + most)
            if start < 0 and at + most < size:
                raise _too_many(limits, path)
        if start < 0 or start + 4 > size:
            return None
        code, length = _SEGMENT(data, start + 1)
        if code in (0x00, 0xFF) or code in _ALONE:
            at = start + (1 if code == 0xFF else 2)
            continue
        if code == _SCAN:
            return Jpeg(start, marker, frame)
        if code in _SKIPPED_BYTEWISE:
            parts += length
        elif code in _FRAMES:
            marker, frame = code, data[start + 4 : start + 2 + length]
        elif code == 0xE1 and data[start + 4 : start + 10] == b"Exif\x00\x00":
            exif += 1
            if exif > _MOST_EXIF:
                message = f"expected at most {_MOST_EXIF} EXIF segments, got more"
                raise MMRawError("limit_exceeded", message, path)
        at = start + 2 + length


def _walk_jpeg(data: bytes, limits: Limits, path: str) -> None:
    """Walks all scans up to the end marker, and checks that they can hold the picture at all."""
    head = walk_jpeg_head(data, limits, path)
    if head is None:
        return
    at, scans, parts, end = head.scan, 0, 0, len(data)
    while True:
        found = _NEXT_MARKER.search(data, at)
        if found is None:
            break
        code, start = data[found.start() + 1], found.start()
        if code == _END:
            end = start
            break
        scans += code == _SCAN
        parts += 1
        if scans > limits.image_scans:
            message = f"expected at most {limits.image_scans} scans in a JPEG, got more"
            raise MMRawError("limit_exceeded", message, path)
        if parts > limits.image_parts:
            raise _too_many(limits, path)
        length = 0 if code in _ALONE else int.from_bytes(data[start + 2 : start + 4], "big")
        at = start + 2 + length
    if (end - head.scan) * 8 < _least_bits(head):
        raise _broken("the scans are too short for the size that the header claims", path)


def _least_bits(head: Jpeg) -> int:
    """Returns the bits that any encoder needs for the first component (Huffman, ITU-T T.81, F.1.2).

    A block of a sequential image takes at least a code for its first coefficient and one for the
    end of the block, in a progressive one at least the former; each code has at least one bit.
    """
    bits = {0xC0: 2, 0xC1: 2, 0xC2: 1}.get(head.marker, 0)
    frame = head.frame
    if not bits or len(frame) < 9 or len(frame) < 6 + 3 * frame[5]:
        return 0
    height, width = struct.unpack_from(">HH", frame, 1)
    across = [frame[7 + 3 * n] >> 4 for n in range(frame[5])]
    down = [frame[7 + 3 * n] & 15 for n in range(frame[5])]
    wide = width * across[0] // (8 * max(across) or 8)
    high = height * down[0] // (8 * max(down) or 8)
    return bits * wide * high


def walk_gif(data: bytes, limits: Limits, path: str = "$") -> Parts:
    """Walks all blocks up to the trailer and counts frames; size is the largest one claimed."""
    if len(data) < 13:
        return Parts()
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    parts = frames = sub_blocks = texts = 0
    # An encoder fills sub-blocks (255 bytes); a file of tiny ones is made to be slow.
    most_sub_blocks = limits.image_parts + len(data) // 32
    while at < len(data) and data[at] != 0x3B:
        parts += 1
        if parts > limits.image_parts:
            raise _too_many(limits, path)
        start, is_text = at, data[at] == 0x21
        if data[at] == 0x2C and at + 10 <= len(data):
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            if not frames:
                width, height = max(width, left + wide), max(height, top + high)
            frames += 1
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        elif is_text:
            if not frames and not _is_extension(data, at):
                raise _broken("an extension is too short for its kind", path)
            at += 2
        else:
            # Decoders skip what is no block, byte by byte.
            at += 1
            continue
        while at < len(data) and data[at]:
            at += 1 + data[at]
            sub_blocks += 1
            if sub_blocks > most_sub_blocks:
                raise _too_many(limits, path)
        at += 1
        texts += at - start if is_text else 0
    return Parts(size=(width, height), frames=frames, texts=texts)


def _is_extension(data: bytes, at: int) -> bool:
    """True if decoders that read an extension by its kind find its end where it is.

    They ask no comment for its length, but take the first block of any other for granted, the four
    bytes of a control block, and the count of loops after NETSCAPE2.0.
    """
    if len(data) < at + 3:
        return False
    label, end = data[at + 1], at + 3 + data[at + 2]
    first = data[at + 3 : end]
    if label == _COMMENT:
        return True
    if label == _APPLICATION and first.startswith(b"NETSCAPE2.0"):
        return data[end : end + 1] != b"\0"
    return len(first) >= (4 if label == _CONTROL else 1)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """The canvas's size (RFC 9649); the decoder allocates by it as soon as it is opened."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
