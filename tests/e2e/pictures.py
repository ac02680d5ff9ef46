"""Pictures of many sizes and kinds, made here and always the same."""

import io
import random
from collections.abc import Callable

from PIL import Image

Encode = Callable[[Image.Image], bytes]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """An RGB picture with something in every corner."""
    noise = random.Random(f"{width}x{height}:{seed}").randbytes(8 * 8 * 3)
    return Image.frombytes("RGB", (8, 8), noise).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _sixteen_bits(image: Image.Image) -> bytes:
    gray = image.convert("L")
    wide = b"".join(bytes((value, value)) for value in gray.tobytes())
    return encode(Image.frombytes("I;16", gray.size, wide), "PNG")


#: Kinds that stock loading and this contract read alike.
KINDS: dict[str, Encode] = {
    "jpeg": lambda image: encode(image, "JPEG", quality=90),
    "jpeg-progressive": lambda image: encode(image, "JPEG", progressive=True),
    "jpeg-gray": lambda image: encode(image.convert("L"), "JPEG"),
    "jpeg-cmyk": lambda image: encode(image.convert("CMYK"), "JPEG"),
    "png": lambda image: encode(image, "PNG"),
    "png-gray": lambda image: encode(image.convert("L"), "PNG"),
    "png-16-bit": _sixteen_bits,
    "png-1-bit": lambda image: encode(image.convert("1"), "PNG"),
    "png-palette": lambda image: encode(image.quantize(32), "PNG"),
    "webp": lambda image: encode(image, "WEBP", quality=80),
    "webp-lossless": lambda image: encode(image, "WEBP", lossless=True),
    "gif": lambda image: encode(image.quantize(64), "GIF"),
}

SIZES = (
    (320, 200),
    (200, 320),
    (64, 64),
    (31, 47),
    (640, 480),
    (801, 333),
    (1120, 560),
    (1500, 900),
    (2000, 20),
    (1000, 5),
)


def samples() -> dict[str, bytes]:
    """Every kind, with the sizes in turn, and every size once more as JPEG."""
    found: dict[str, bytes] = {}
    for index, (kind, make) in enumerate(KINDS.items()):
        width, height = SIZES[index % 8]
        found[f"{kind}-{width}x{height}"] = make(picture(width, height, index))
    for width, height in SIZES:
        found[f"jpeg-{width}x{height}"] = KINDS["jpeg"](picture(width, height))
    return found


def rotated(seed: int = 1) -> bytes:
    """A JPEG whose EXIF data ask a viewer to turn it by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(picture(640, 320, seed), "JPEG", exif=exif)


def with_alpha(seed: int = 2) -> bytes:
    """A PNG whose left half is transparent, with colours below."""
    image = picture(320, 200, seed).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return encode(image, "PNG")
