"""From encoded bytes to RGB pixels."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal

import msgspec

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError
from .header import ImageHeader, header_of, open_image

if TYPE_CHECKING:
    from PIL.Image import Image

Frames = Literal["single", "first"]


class DecodedImage(msgspec.Struct, frozen=True, kw_only=True):
    """Pixels of an image.

    Attributes:
        width, height: In pixels, equal to the header's.
        format: png, jpeg, webp or gif.
        rgb: The pixels, row by row, three bytes each.
    """

    width: int
    height: int
    format: str
    rgb: bytes


def decode_rgb(
    data: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    frames: Frames = "single",
    path: str = "$",
) -> DecodedImage:
    """The pixels as Pillow's `convert("RGB")` gives them: EXIF not applied, alpha dropped.

    Args:
        data: The encoded image.
        limits: Bytes, pixels and sides, checked before decoding.
        frames: `single` refuses animations, `first` takes their first frame.
        path: For errors.

    Raises:
        MMRawError: empty_source, unsupported_format, image_undecodable, limit_exceeded,
            multiple_frames.
    """
    with closing(open_image(data, limits, path)) as image:
        header = header_of(image, limits, path)
        if header.frames != 1 and frames != "first":
            raise MMRawError("multiple_frames", "the image is an animation", path)
        pixels = _load(image, header)
    if pixels is None:
        raise MMRawError("image_undecodable", "the image does not decode whole", path)
    return DecodedImage(width=header.width, height=header.height, format=header.format, rgb=pixels)


def _load(image: Image, header: ImageHeader) -> bytes | None:
    """The pixels, or None for whatever the decoder throws."""
    try:
        image.load()
        # Without the table Pillow gives the same pixels, and no warning about ignoring it.
        image.info.pop("transparency", None)
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        if rgb.size != (header.width, header.height):
            return None
        return rgb.tobytes()
    except Exception:  # noqa: BLE001
        # Decoders throw anything, with addresses and input in their texts: none of it leaves here.
        return None
