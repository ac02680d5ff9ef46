"""Where an image's bytes come from: bytes, a path, a file: URL, a data: URL, a PIL image."""

from __future__ import annotations

import io
import os
import stat
from functools import cached_property
from os import PathLike
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..codec import mm_hash_of, parse_data_uri, sha256_hex
from ..errors import MMRawError
from .header import ImageHeader, read_header

Kind = Literal["bytes", "path", "file", "data", "pil"]

#: What `ImageSource.open` takes.
ImageInput = Any


class ImageSource:
    """One image's encoded bytes, read once; hash and header are worked out once, when asked for.

    Attributes:
        data: The encoded bytes.
        kind: What they came from.
    """

    def __init__(
        self, data: bytes, kind: Kind = "bytes", *, limits: Limits = DEFAULT_LIMITS, path: str = "$"
    ) -> None:
        if not data:
            raise MMRawError("empty_source", "the image has no bytes", path)
        if len(data) > limits.inline_image_bytes:
            message = f"an image has at most {limits.inline_image_bytes} bytes"
            raise MMRawError("limit_exceeded", message, path)
        self.data = data
        self.kind: Kind = kind
        self._limits = limits
        self._path = path

    @classmethod
    def open(
        cls, value: ImageInput, *, limits: Limits = DEFAULT_LIMITS, path: str = "$"
    ) -> ImageSource:
        """Reads an image's bytes.

        Args:
            value: Encoded bytes; a path as str or PathLike; a local file: URL; a data: URL; a PIL
                image, which is encoded as PNG (its pixels are what counts, whatever it was loaded
                from); or an ImageSource, which is returned as it is.
            limits: Most bytes, and what the header may say.
            path: For errors.

        Raises:
            MMRawError: source_unsupported (http and other schemes: nothing is ever fetched),
                source_unavailable, empty_source, limit_exceeded, and the codes of data: URLs.
        """
        if isinstance(value, ImageSource):
            return value
        if isinstance(value, (bytes, bytearray)):
            return cls(bytes(value), "bytes", limits=limits, path=path)
        if isinstance(value, PathLike):
            text = os.fspath(cast("PathLike[str]", value))
            return cls(_read_file(text, limits, path), "path", limits=limits, path=path)
        if isinstance(value, str):
            return cls._open_text(value, limits, path)
        data = _encode_pil(value)
        if data is None:
            message = "expected bytes, a path, a file: or data: URL, or a PIL image"
            raise MMRawError("source_unsupported", message, path)
        return cls(data, "pil", limits=limits, path=path)

    @classmethod
    def _open_text(cls, text: str, limits: Limits, path: str) -> ImageSource:
        if text.startswith("data:"):
            data = parse_data_uri(text, limits=limits, path=path).data
            return cls(data, "data", limits=limits, path=path)
        if text.startswith("file:"):
            name = _path_of_file_url(text, path)
            return cls(_read_file(name, limits, path), "file", limits=limits, path=path)
        if not text:
            raise MMRawError("empty_source", "the image source is empty", path)
        if "://" in text[:32] or "\n" in text:
            message = "only data: and file: URLs are read; nothing is ever fetched"
            raise MMRawError("source_unsupported", message, path)
        return cls(_read_file(text, limits, path), "path", limits=limits, path=path)

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over the encoded bytes."""
        return sha256_hex(self.data)

    @property
    def mm_hash(self) -> str:
        """What writers put on the wire: the first 32 digits of `sha256`."""
        return mm_hash_of(self.sha256)

    @cached_property
    def header(self) -> ImageHeader:
        """Size and kind; raises what `read_header` raises."""
        return read_header(self.data, limits=self._limits, path=self._path)


def _path_of_file_url(text: str, path: str) -> str:
    """The local path of a file: URL with no host but localhost, no query and no fragment."""
    name = ""
    try:
        parts = urlsplit(text)
        if parts.netloc in ("", "localhost") and not parts.query and not parts.fragment:
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
    too_large = False
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                too_large = status.st_size > limits.inline_image_bytes
                data = b"" if too_large else file.read(limits.inline_image_bytes + 1)
    except (OSError, ValueError):
        data = None
    if too_large:
        message = f"an image has at most {limits.inline_image_bytes} bytes"
        raise MMRawError("limit_exceeded", message, path)
    if data is None:
        raise MMRawError("source_unavailable", "no readable regular file at this path", path)
    return data


def _encode_pil(value: Any) -> bytes | None:
    """A PIL image as PNG bytes; None for any other object, or one that cannot be encoded."""
    if not hasattr(value, "save") or not hasattr(value, "mode") or not hasattr(value, "size"):
        return None
    buffer = io.BytesIO()
    try:
        image = (
            value if value.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else value.convert("RGB")
        )
        # No metadata goes along: the same pixels always give the same bytes.
        image.save(buffer, format="PNG", pnginfo=None, exif=b"", icc_profile=b"")
    except Exception:  # noqa: BLE001
        return None
    return buffer.getvalue()
