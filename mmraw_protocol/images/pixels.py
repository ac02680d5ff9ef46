"""Decodes images to RGB pixels in this process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from .faults import is_images
from .header import ImageHeader, open_image, pillow
from .structure import check_whole

if TYPE_CHECKING:
    from PIL.Image import Image

Frames = Literal["single", "first"]

#: Pixels that become bytes at a time, so that no second copy of the whole picture is made.
_STRIP_PIXELS = 1 << 18


class DecodedImage(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Pixels of an image.

    Attributes:
        width, height: In pixels, equal to the header's.
        format: png, jpeg, webp or gif.
        picture: The pixels as a PIL image of mode RGB. All holders of this object share it and
            change nothing in it; `image` gives one's own.
    """

    width: int
    height: int
    format: str
    picture: Any

    def __hash__(self) -> int:
        return hash((self.width, self.height, self.format))

    @property
    def image(self) -> Image:
        """A PIL image of mode RGB; each call gives its own, which may be changed freely."""
        return cast("Image", self.picture.copy())

    @property
    def rgb(self) -> bytes:
        """The pixels, row by row, three bytes each; made on each call."""
        width, height = self.picture.size
        buffer = io.BytesIO()
        # All room at once: a buffer that grows is copied, and its value, being full, is not.
        buffer.seek(width * height * 3 - 1)
        buffer.write(b"\0")
        buffer.seek(0)
        for _, strip in strips(self.picture):
            buffer.write(strip.tobytes())
        return buffer.getvalue()

    @property
    def held_bytes(self) -> int:
        """The pixels' size in memory: four bytes each, as Pillow keeps RGB."""
        return 4 * self.width * self.height


def image_of_rgb(width: int, height: int, format: str, rgb: bytes) -> DecodedImage:
    """A decoded image of its pixels, row by row, three bytes each."""
    picture = pillow().frombytes("RGB", (width, height), rgb)
    return DecodedImage(width=width, height=height, format=format, picture=picture)


def decode_here(
    data: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    frames: Frames = "single",
    path: str = "$",
    picture_of: Callable[[Image], Image] | None = None,
) -> DecodedImage:
    """`decode_rgb` in this process, without a memory bound.

    `picture_of` makes another RGB picture of the loaded image than its pixels without alpha.

    Raises:
        MMRawError: as `decode_rgb`.
        Exception: a fault of the machine, as it comes.
    """
    image, header = open_image(data, limits, path)
    with closing(image):
        if header.frames != 1 and frames != "first":
            message = "expected an image of one frame, got an animation"
            raise MMRawError("multiple_frames", message, path)
        check_whole(data, header.format, limits, path)
        picture = _load(image, header, picture_of or _without_alpha)
    if picture is None:
        message = "expected an image that decodes whole, got one that is broken or cut off"
        raise MMRawError("image_undecodable", message, path)
    width, height = picture.size
    return DecodedImage(width=width, height=height, format=header.format, picture=picture)


def _load(image: Image, header: ImageHeader, picture_of: Callable[[Image], Image]) -> Image | None:
    """The pixels, or None for any exception that the image causes in the decoder."""
    try:
        image.load()
        if image.size != (header.width, header.height):
            return None
        rgb = picture_of(image)
        # The decoder's own pixels, as an object of the class that callers know.
        return cast("Image", pillow().Image()._new(rgb.im))
    except Exception as error:
        # Decoders throw anything, with addresses and input in their texts: none of it leaves here.
        if not is_images(error):
            raise
        return None


def _without_alpha(image: Image) -> Image:
    # Without the table Pillow gives the same pixels, and no warning about ignoring it.
    image.info.pop("transparency", None)
    return image if image.mode == "RGB" else image.convert("RGB")


def strips(image: Image) -> Iterator[tuple[int, Image]]:
    """Strips of a few rows of a loaded image, each with its top row."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))
