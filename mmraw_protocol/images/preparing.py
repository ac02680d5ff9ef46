"""Prepares orientation and transparency before an image gets its hash and layout.

Source: spec/README.md, section "Images".
"""

from __future__ import annotations

import io
import zlib
from contextlib import closing
from typing import Any, Literal

import msgspec

from ..system.shown import Shown
from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from .decode import decode_elsewhere, decode_rgb
from .faults import guarded, is_images
from .header import open_image
from .pixels import DecodedImage, Frames, decode_here, strips
from .source import ImageSource

__all__ = [
    "Alpha",
    "Note",
    "Orientation",
    "Preparation",
    "on_white_here",
    "opacity_here",
    "prepare",
]

#: `as-stored`: the pixels as stored in the file; `apply`: turned as its EXIF says.
Orientation = Literal["as-stored", "apply"]
#: The handling of an image that is not fully opaque: reject it, drop its alpha, or put it on white.
Alpha = Literal["refuse", "drop", "white"]
#: Notes on a packed image.
Note = Literal["orientation_kept", "orientation_applied", "alpha_dropped", "alpha_on_white"]

_ORIENTATION = 0x0112
#: The keys under which Pillow keeps the XMP of PNG files.
_XMP = "XML:com.adobe.xmp"
#: A file with one of these may have an orientation.
_SAYS = (
    *(b"Exif\x00", b"eXIf", b"EXIF", b"Raw profile type"),
    *(b"tiff:Orientation", b"XML:com.adobe.xmp"),
)
_PNG = b"\x89PNG\r\n\x1a\n"
#: The end of a PNG's first chunk, and the starts of chunks that may contain an orientation.
_HEADER_END = 33
_LATE = (
    b"eXIf",
    b"iTXtXML:com.adobe.xmp\x00",
    *(kind + b"Raw profile type exif\x00" for kind in (b"tEXt", b"zTXt", b"iTXt")),
)
#: The operation that undoes each EXIF orientation: names of Pillow's Transpose.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class Preparation(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Options for packing images.

    Raises:
        MMRawError: unsupported_option.
    """

    orientation: Orientation = "as-stored"
    alpha: Alpha = "refuse"

    def __post_init__(self) -> None:
        if self.orientation not in ("as-stored", "apply"):
            message = "expected orientation='as-stored' or 'apply', got another value"
            raise MMRawError("unsupported_option", message)
        if self.alpha not in ("refuse", "drop", "white"):
            message = "expected alpha='refuse', 'drop' or 'white', got another value"
            raise MMRawError("unsupported_option", message)


def prepare(
    source: ImageSource, preparation: Preparation, path: str
) -> tuple[ImageSource, tuple[Note, ...]]:
    """The image that is packed, and notes on it.

    It is the same source, or, if it was turned or put on white, a PNG of its RGB pixels. Pixels
    are decoded only if the header declares alpha, and if they change.

    Raises:
        MMRawError: image_transparent (under `refuse`), and what `decode_rgb` raises.
    """
    if source.header.frames != 1:
        # It is rejected where it is described.
        return source, ()
    notes: list[Note] = []
    decode = decode_rgb
    if source.header.alpha and not _is_opaque(source, path):
        if preparation.alpha == "refuse":
            message = (
                "expected an opaque image, got transparent pixels; alpha='drop' or 'white' packs it"
            )
            raise MMRawError("image_transparent", message, path)
        notes.append("alpha_on_white" if preparation.alpha == "white" else "alpha_dropped")
        decode = _on_white if preparation.alpha == "white" else decode_rgb
    turn = _TURNS.get(orientation_of(source, path))
    if turn is not None:
        applied = preparation.orientation == "apply"
        notes.append("orientation_applied" if applied else "orientation_kept")
        turn = turn if applied else None
    if turn is None and "alpha_on_white" not in notes:
        return source, tuple(notes)
    decoded = decode(source.data, limits=source.limits, path=path)
    data = guarded(lambda: _png(decoded, turn), path)
    return ImageSource(data, limits=source.limits, path=path), tuple(notes)


def orientation_of(source: ImageSource, path: str = "$") -> int:
    """The EXIF orientation that a file declares, 1 to 8; 1 if it declares none."""
    if not any(word in source.data for word in _SAYS):
        return 1

    def read() -> int:
        image, _ = open_image(_with_early_exif(source.data), source.limits, path)
        with closing(image):
            try:
                if isinstance(xmp := image.info.get("xmp"), bytes):
                    # Older Pillows look for XMP under the name of PNG files alone.
                    image.info.setdefault(_XMP, xmp.decode("utf-8", "replace"))
                # Not the method of PNG files, which decodes the picture to look after it.
                base: Any = type(image).__mro__[-2]
                found = base.getexif(image).get(_ORIENTATION, 1)
            except Exception as error:
                # Damaged EXIF says nothing.
                if not is_images(error):
                    raise
                found = 1
        return found if isinstance(found, int) and 1 <= found <= 8 else 1

    return guarded(read, path)


def _with_early_exif(data: bytes) -> bytes:
    """A PNG with EXIF and XMP in front of the picture, since opening reads nothing after it."""
    late: list[bytes] = []
    is_late, at = False, len(_PNG)
    while data.startswith(_PNG) and at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        is_late = is_late or data.startswith(b"IDAT", at + 4)
        if is_late and data.startswith(_LATE, at + 4) and _is_whole(data[at:end]):
            late.append(data[at:end])
        at = end
    return b"".join([data[:_HEADER_END], *late, data[_HEADER_END:]]) if late else data


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _is_opaque(source: ImageSource, path: str) -> bool:
    least = decode_elsewhere(
        opacity_here, source.data, limits=source.limits, frames="single", path=path
    )
    return least.rgb[0] == 255


def _on_white(data: bytes, *, limits: Limits, path: str) -> DecodedImage:
    return decode_elsewhere(on_white_here, data, limits=limits, frames="single", path=path)


def opacity_here(data: bytes, *, limits: Limits, frames: Frames, path: str = "$") -> DecodedImage:
    """A picture of one pixel: the least alpha of the image, as gray."""
    from .own_pillow import Image

    def least(image: Any) -> Any:
        channels: Any = (strip.convert("RGBA").getchannel("A") for _, strip in strips(image))
        alpha = min(channel.getextrema()[0] for channel in channels)
        return Image.new("RGB", (1, 1), (alpha,) * 3)

    return decode_here(data, limits=limits, frames=frames, path=path, picture_of=least)


def on_white_here(data: bytes, *, limits: Limits, frames: Frames, path: str = "$") -> DecodedImage:
    """The pixels of an image on a white ground."""
    from .own_pillow import Image

    def on_white(image: Any) -> Any:
        ground = Image.new("RGB", image.size, (255, 255, 255))
        for top, strip in strips(image):
            shown: Any = strip.convert("RGBA")
            ground.paste(shown, (0, top), mask=shown.getchannel("A"))
        return ground

    return decode_here(data, limits=limits, frames=frames, path=path, picture_of=on_white)


def _png(decoded: DecodedImage, turn: str | None) -> bytes:
    """Pixels as PNG, turned; one build of Pillow always gives the same bytes."""
    from .own_pillow import Image

    image = Image.Image()._new(decoded.picture.im)
    if turn is not None:
        image = image.transpose(getattr(Image.Transpose, turn))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
