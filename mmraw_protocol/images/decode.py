"""From encoded bytes to RGB pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError
from .header import ImageHeader, header_of, open_image

if TYPE_CHECKING:
    from PIL.Image import Image

Frames = Literal["single", "first"]


def decode_rgb(
    data: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    frames: Frames = "single",
    path: str = "$",
) -> Image:
    """The pixels as Pillow's `convert("RGB")` gives them: EXIF not applied, alpha dropped.

    Args:
        data: The encoded image.
        limits: Bytes, pixels and sides, checked before decoding.
        frames: `single` refuses animations, `first` takes their first frame.
        path: For errors.

    Returns:
        An image of mode RGB and of the size that the header says.

    Raises:
        MMRawError: empty_source, unsupported_format, image_undecodable, limit_exceeded,
            multiple_frames.
    """
    with open_image(data, limits, path) as image:
        header = header_of(image, limits, path)
        if header.frames != 1 and frames != "first":
            raise MMRawError("multiple_frames", "the image is an animation", path)
        pixels = _load(image, header)
    if pixels is None:
        raise MMRawError("image_undecodable", "the image does not decode whole", path)
    return pixels


def _load(image: Image, header: ImageHeader) -> Image | None:
    """The decoded pixels, or None for whatever the decoder throws."""
    try:
        image.load()
        # Without the table Pillow gives the same pixels, and no warning about ignoring it.
        image.info.pop("transparency", None)
        pixels = image.copy() if image.mode == "RGB" else image.convert("RGB")
    except Exception:
        # See open_image: the decoder's own words never leave this function.
        return None
    return pixels if pixels.size == (header.width, header.height) else None
