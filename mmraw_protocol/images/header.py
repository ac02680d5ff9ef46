"""Reads an image's header without decoding a pixel."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import msgspec

from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.extras import extra_module
from .faults import guarded, is_images
from .jpeg_header import jpeg_header
from .structure import Format, check_head, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

_JPEG = b"\xff\xd8\xff"
_ALPHA_MODES = ("LA", "PA", "RGBA")
_EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif"}
#: First bytes of formats that are rejected by name rather than as broken.
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


class ImageHeader(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Size and kind of an image.

    Attributes:
        width, height: In pixels, as stored; EXIF orientation is not applied.
        format: png, jpeg, webp or gif; an MPO is a jpeg whose first picture counts.
        mode: Pillow's name of the pixel format, for example RGB, RGBA, P, CMYK.
        frames: Number of frames; 1 for an MPO.
        alpha: Whether the header declares pixels that may be transparent.
    """

    width: int
    height: int
    format: Format
    mode: str
    frames: int
    alpha: bool = False


def extension_of(format: str) -> str:
    """The file extension for a format's name: jpg, png, webp, gif, else img."""
    return _EXTENSIONS.get(format, "img")


def pillow() -> Any:
    """The module PIL.Image; the parsing modules never import it.

    Raises:
        MMRawError: missing_dependency.
    """
    return extra_module("PIL.Image", "vision", "to read images")


@functools.cache
def _decoders() -> dict[Format, Any]:
    """Pillow's decoder of each format, with settings of our own.

    They are used directly: `Image.open` would import every plugin of Pillow for a file that is none
    of these.

    Raises:
        MMRawError: missing_dependency.
    """
    pillow()
    from .own_pillow import GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    class FirstPicture(JpegImagePlugin.JpegImageFile):
        """A JPEG whose EXIF and colour profiles are not read: they change no pixel.

        Damaged EXIF warns, and a damaged profile is an error.
        """

        icclist: Any = property(lambda _: [], lambda _, value: None)

        def _read_dpi_from_exif(self) -> None:
            pass

    return {
        "png": PngImagePlugin.PngImageFile,
        "jpeg": FirstPicture,
        "webp": WebPImagePlugin.WebPImageFile,
        "gif": GifImagePlugin.GifImageFile,
    }


def read_header(data: bytes, *, limits: Limits = DEFAULT_LIMITS, path: str = "$") -> ImageHeader:
    """The header of an encoded image; a file cut off after its header still has one.

    Raises:
        MMRawError: empty_source, unsupported_format, image_undecodable, limit_exceeded,
            decoder_unavailable (a fault of this machine, not of the image).
    """
    return guarded(lambda: _read_header(data, limits, path), path)


def _read_header(data: bytes, limits: Limits, path: str) -> ImageHeader:
    if data.startswith(_JPEG) and len(data) <= limits.inline_image_bytes:
        _decoders()  # an installation without Pillow rejects every image, JPEGs too
        common = jpeg_header(data, limits)
        if common is not None:
            width, height, mode = common
            check_size((width, height), limits, path)
            return ImageHeader(width=width, height=height, format="jpeg", mode=mode, frames=1)
    return open_image(data, limits, path)[1]


def open_image(data: bytes, limits: Limits, path: str = "$") -> tuple[Image, ImageHeader]:
    """The image as Pillow opened it, checked against the limits; nothing is decoded yet."""
    if not data:
        raise MMRawError("empty_source", "expected an image, got no bytes", path)
    if len(data) > limits.inline_image_bytes:
        message = f"expected at most {limits.inline_image_bytes} bytes, got {len(data)}"
        raise MMRawError("limit_exceeded", message, path)
    decoders = _decoders()
    kind = format_of(data)
    if kind is None:
        raise _unreadable(data, path)
    parts = check_head(data, kind, limits, path)
    if parts.size is not None:
        check_size(parts.size, limits, path)
    # A decoder reads the size of a frame whose header is cut off, and nothing has checked that one.
    opened = _open(data, kind, decoders[kind]) if parts.frames != 0 else None
    if opened is None:
        raise _unreadable(data, path)
    image, frames = opened
    check_size(image.size, limits, path)
    width, height = image.size
    frames = frames if parts.frames is None else parts.frames
    return image, ImageHeader(
        width=width,
        height=height,
        format=kind,
        mode=image.mode,
        frames=frames,
        alpha=image.mode in _ALPHA_MODES or "transparency" in image.info,
    )


def _open(data: bytes, kind: Format, decoder: Any) -> tuple[Image, int] | None:
    """The opened image and its number of frames; None for any exception of the decoder."""
    try:
        image = decoder(io.BytesIO(data))
        # The walk has counted the frames of a GIF and a PNG.
        frames = int(image.n_frames or 1) if kind == "webp" else 1
    except Exception as error:
        # A decoder may throw anything (struct.error, SyntaxError, ValueError); all mean the same,
        # and their texts carry addresses and input.
        if not is_images(error):
            raise
        return None
    return image, frames


def _unreadable(data: bytes, path: str) -> MMRawError:
    if data.startswith(_OTHER_FORMATS) or data[4:12] in (b"ftypavif", b"ftypheic"):
        message = "expected PNG, JPEG, WebP or GIF, got another image format"
        return MMRawError("unsupported_format", message, path)
    message = f"expected an image, got {len(data)} bytes without a readable image header"
    return MMRawError("image_undecodable", message, path)


def check_size(size: tuple[int, int], limits: Limits, path: str) -> None:
    """Returns both sides after checking them and their product against the limits.

    Raises:
        MMRawError: image_undecodable (no pixels), limit_exceeded.
    """
    width, height = size
    if width < 1 or height < 1:
        message = f"expected sides of at least one pixel, got {width} x {height}"
        raise MMRawError("image_undecodable", message, path)
    if max(width, height) > limits.image_side:
        message = f"expected sides of at most {limits.image_side} pixels, got {width} x {height}"
        raise MMRawError("limit_exceeded", message, path)
    if width * height > limits.image_pixels:
        message = f"expected at most {limits.image_pixels} pixels, got {width} x {height}"
        raise MMRawError("limit_exceeded", message, path)
