"""Sources of an image's bytes: bytes, a path, a file: URL, a data: URL, a PIL image."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import sys
from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

from ..system.descriptors import open_above
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import mm_hash_of, sha256_hex
from .encoded import BLANKS, decode_data_url, decode_text, is_base64_image, is_url
from .faults import guarded, is_images
from .header import ImageHeader, check_size, read_header
from .worker_start import reason_of

Kind = Literal["bytes", "path", "file", "data", "pil"]

#: Types that `ImageSource.open` takes.
ImageInput = Any

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROLS = re.compile(r"[\x00-\x20\x7f]")
#: Modes whose pixels PNG keeps as they are; others are converted to RGB, as a decoder would later.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


class ImageSource(Shown):
    """One image's encoded bytes, read once; hash and header are worked out once, when asked for.

    Attributes:
        data: The encoded bytes.
        kind: What they came from.
        limits: Limits of bytes and header.
    """

    def __init__(
        self, data: bytes, kind: Kind = "bytes", *, limits: Limits = DEFAULT_LIMITS, path: str = "$"
    ) -> None:
        if not data:
            raise MMRawError("empty_source", "expected an image, got no bytes", path)
        if len(data) > limits.inline_image_bytes:
            message = f"expected at most {limits.inline_image_bytes} bytes, got {len(data)}"
            raise MMRawError("limit_exceeded", message, path)
        self.data = data
        self.kind: Kind = kind
        self.limits = limits
        self._path = path

    def _shown(self) -> Mapping[str, object]:
        return {"kind": self.kind, "data": self.data}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageSource):
            return NotImplemented
        return self.data == other.data and self.limits == other.limits

    def __hash__(self) -> int:
        return hash(self.data)

    @classmethod
    def open(
        cls, value: ImageInput, *, limits: Limits = DEFAULT_LIMITS, path: str = "$"
    ) -> ImageSource:
        """Reads an image's bytes.

        Args:
            value: Encoded bytes; a path as str or PathLike; a local file: URL; a data: URL in any
                spelling; base64 of an image; a PIL image; or an ImageSource. A str that begins
                like a URL is one: a path of that form goes in as a PathLike. A PIL image is encoded
                as PNG, without metadata, independent of its origin: its pixels (of its current
                frame) are what counts, and one build of Pillow always gives the same bytes for
                them.
            limits: Most bytes, and what the header may say.
            path: For errors.

        Raises:
            MMRawError: source_unsupported (http and other schemes: nothing is ever fetched),
                source_unavailable, empty_source, limit_exceeded, image_undecodable (a PIL image
                that does not load), and the codes of data: URLs.
        """
        if isinstance(value, ImageSource):
            if value.limits is limits or value.limits == limits:
                return value
            return cls(value.data, value.kind, limits=limits, path=path)
        if isinstance(value, (bytes, bytearray, memoryview)):
            data = bytes(cast(bytes, value))
            return cls(data, "bytes", limits=limits, path=path)
        if isinstance(value, PathLike):
            text = os.fspath(cast("PathLike[str]", value))
            return cls(_read_file(text, limits, path), "path", limits=limits, path=path)
        if isinstance(value, str):
            return cls._open_text(value, limits, path)
        image_module = sys.modules.get("PIL.Image")
        if image_module is None or not isinstance(value, image_module.Image):
            message = "expected bytes, a path, a file: or data: URL, or a PIL image"
            raise MMRawError("source_unsupported", message, path)
        check_size(value.size, limits, path)
        data = guarded(lambda: _encode(value), path)
        if data is None:
            raise MMRawError("image_undecodable", "the PIL image does not load", path)
        return cls(data, "pil", limits=limits, path=path)

    @classmethod
    def _open_text(cls, text: str, limits: Limits, path: str) -> ImageSource:
        if text[:64].lstrip(BLANKS)[:5].lower() == "data:":
            data = decode_data_url(text.lstrip(BLANKS), limits, path)
            return cls(data, "data", limits=limits, path=path)
        if is_base64_image(text):
            return cls(decode_text(text, limits, path), "data", limits=limits, path=path)
        if text[:5].lower() == "file:":
            name = _path_of_file_url(text, path)
            return cls(_read_file(name, limits, path), "file", limits=limits, path=path)
        if not text:
            raise MMRawError("empty_source", "expected an image source, got an empty text", path)
        if is_url(text):
            message = "expected a data: or file: URL, got another; nothing is ever fetched"
            raise MMRawError("source_unsupported", message, path)
        return cls(_read_file(text, limits, path), "path", limits=limits, path=path)

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over the encoded bytes."""
        return sha256_hex(self.data)

    @property
    def mm_hash(self) -> str:
        """The identity that writers put on the wire: the first 32 digits of `sha256`."""
        return mm_hash_of(self.sha256)

    @cached_property
    def header(self) -> ImageHeader:
        """Size and kind; raises what `read_header` raises."""
        return read_header(self.data, limits=self.limits, path=self._path)


def _path_of_file_url(text: str, path: str) -> str:
    """The local path of a file: URL with no host but localhost, no query and no fragment."""
    name = ""
    try:
        # urlsplit would drop newlines and tabs, and unquote keep what is no escape.
        if _CONTROLS.search(text) or _BROKEN_ESCAPE.search(text):
            raise ValueError
        parts = urlsplit(text)
        if parts.netloc.lower() in ("", "localhost") and not parts.query and not parts.fragment:
            name = unquote(parts.path, errors="strict")
    except (ValueError, UnicodeError):
        name = ""
    if not name.startswith("/") or "?" in text or "#" in text or "\x00" in name:
        message = "expected file:///path of this machine, without query or fragment"
        raise MMRawError("source_unsupported", message, path)
    return name


def _read_file(name: str | bytes, limits: Limits, path: str) -> bytes:
    """A regular file's bytes, read through one descriptor; a FIFO never blocks."""
    data: bytes | None = None
    reason = ""
    most = limits.inline_image_bytes
    try:
        descriptor = open_above(name, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                # One byte more than there is: a file that grows meanwhile fails its hash.
                data = _read_all(file, min(status.st_size, most) + 1)
    except (OSError, ValueError) as error:
        data, reason = None, reason_of(error)
    if data is None:
        message = reason or "expected a readable regular file at this path, got none"
        raise MMRawError("source_unavailable", message, path)
    return data


def _read_all(file: io.FileIO, most: int) -> bytes:
    """Reads up to `most` bytes of a file: one read may give less than there is."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(most)):
        parts.append(part)
        most -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _encode(image: Any) -> bytes | None:
    """A PIL image as PNG; None if it does not load."""
    buffer = io.BytesIO()
    try:
        image.load()
        turn = _orientation_alone(image)
        if image.mode not in _PNG_MODES:
            # These have alpha, which packing looks at.
            image = image.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(image.mode, "RGB"))
        # Level 1: a third of the time for a tenth more bytes. No other metadata goes along.
        _own(image).save(
            buffer, format="PNG", compress_level=1, pnginfo=None, exif=turn, icc_profile=b""
        )
    except Exception as error:
        # Its file may be cut off; what the decoder throws carries addresses and paths.
        if not is_images(error):
            raise
        return None
    return buffer.getvalue()


def _orientation_alone(image: Any) -> bytes:
    """EXIF that says how a picture is turned and nothing else; empty if it is not turned.

    Packing applies or reports it, as for the file that the picture was opened from.
    """
    try:
        turn = image.getexif().get(0x0112)
    except Exception as error:
        # Damaged EXIF says nothing.
        if not is_images(error):
            raise
        turn = None
    if not isinstance(turn, int) or not 2 <= turn <= 8:
        return b""
    # A big-endian TIFF of one directory with one short.
    entry = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, turn, 0, 0)
    return b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + entry


def _own(image: Any) -> Any:
    """The same pixels for Pillow's writer with settings of our own, which decide on the bytes."""
    from .own_pillow import Image

    own = Image.Image()._new(image.im)
    own.palette, own.info = image.palette, dict(image.info)
    return own
