"""What an image's header says, read without decoding a pixel."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError

if TYPE_CHECKING:
    from PIL.Image import Image

Format = Literal["png", "jpeg", "webp", "gif"]

#: Pillow's names of what is allowed. MPO, a JPEG with several pictures, arrives through JPEG.
PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_FORMATS: dict[str, Format] = {
    "PNG": "png",
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "WEBP": "webp",
    "GIF": "gif",
}
_EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif"}
#: First bytes of formats that are refused by name rather than as broken.
_OTHER_FORMATS = (
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
    b"%PDF",
    b"%!PS",
    b"icns",
    b"\x00\x00\x00\x0cjP  ",
    b"<svg",
    b"<?xml",
    b"SIMPLE  =",
)


class ImageHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Size and kind of an image.

    Attributes:
        width, height: In pixels, as stored; EXIF orientation is not applied.
        format: png, jpeg, webp or gif; an MPO is a jpeg whose first picture counts.
        mode: Pillow's name of the pixel format, for example RGB, RGBA, P, CMYK.
        frames: Number of frames; 1 for an MPO.
    """

    width: int
    height: int
    format: Format
    mode: str
    frames: int


def extension_of(format: str) -> str:
    """The file extension for a format's name: jpg, png, webp, gif, else img."""
    return _EXTENSIONS.get(format, "img")


def pillow() -> Any:
    """The module PIL.Image; the parsing modules never import it.

    Raises:
        MMRawError: missing_dependency.
    """
    with contextlib.suppress(ImportError):
        from PIL import Image

        return Image
    raise MMRawError("missing_dependency", "install mmraw-protocol[vision] to read images")


def read_header(data: bytes, *, limits: Limits = DEFAULT_LIMITS, path: str = "$") -> ImageHeader:
    """The header of an encoded image; a file cut off behind its header still has one.

    Raises:
        MMRawError: empty_source, unsupported_format, image_undecodable, limit_exceeded.
    """
    with contextlib.closing(open_image(data, limits, path)) as image:
        return header_of(image, limits, path)


def open_image(data: bytes, limits: Limits, path: str = "$") -> Image:
    """The image as Pillow opened it: header read, nothing decoded."""
    if not data:
        raise MMRawError("empty_source", "the image has no bytes", path)
    if len(data) > limits.inline_image_bytes:
        message = f"an image has at most {limits.inline_image_bytes} bytes"
        raise MMRawError("limit_exceeded", message, path)
    image: Image | None = None
    bomb = False
    module = pillow()
    try:
        image = module.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    except (module.DecompressionBombError, module.DecompressionBombWarning):
        # The warning arrives as an exception where the caller turns warnings into errors.
        bomb = True
    except Exception:  # noqa: BLE001
        # A decoder may throw anything (struct.error, SyntaxError, ValueError); all mean the same,
        # and their texts carry addresses and input.
        image = None
    if bomb:
        raise _too_many_pixels(limits, path)
    if image is None:
        raise _unreadable(data, path)
    return image


def _unreadable(data: bytes, path: str) -> MMRawError:
    if data.startswith(_OTHER_FORMATS) or data[4:12] in (b"ftypavif", b"ftypheic"):
        return MMRawError("unsupported_format", "expected PNG, JPEG, WebP or GIF", path)
    return MMRawError("image_undecodable", "the bytes have no readable image header", path)


def _too_many_pixels(limits: Limits, path: str) -> MMRawError:
    message = f"an image has at most {limits.image_pixels} pixels"
    return MMRawError("limit_exceeded", message, path)


def header_of(image: Image, limits: Limits, path: str = "$") -> ImageHeader:
    """Size, kind and frames of an opened image, held against the limits before any decoding."""
    width, height = image.size
    kind = _FORMATS.get(image.format or "")
    if kind is None:
        raise MMRawError("unsupported_format", "expected PNG, JPEG, WebP or GIF", path)
    if width < 1 or height < 1:
        raise MMRawError("image_undecodable", "the image has no pixels", path)
    if max(width, height) > limits.image_side:
        message = f"a side has at most {limits.image_side} pixels"
        raise MMRawError("limit_exceeded", message, path)
    if width * height > limits.image_pixels:
        raise _too_many_pixels(limits, path)
    frames = 1 if kind == "jpeg" else _frames_of(image)
    if frames is None:
        raise MMRawError("image_undecodable", "the image's frames cannot be counted", path)
    return ImageHeader(width=width, height=height, format=kind, mode=image.mode, frames=frames)


def _frames_of(image: Image) -> int | None:
    """The number of frames, or None where counting them fails."""
    try:
        animated = bool(getattr(image, "is_animated", False))
        return int(getattr(image, "n_frames", 1)) if animated else 1
    except Exception:  # noqa: BLE001
        return None
