"""Tests beside other people's software; they run in the environments of tests/environments/."""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

# No hub is ever asked: what is loaded here is made here.
os.environ["HF_HUB_OFFLINE"] = "1"


@dataclass(frozen=True)
class Picture:
    """An encoded image and the file that holds it."""

    name: str
    data: bytes
    path: Path

    @property
    def mm_hash(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:32]

    def open(self) -> Any:
        return Image.open(io.BytesIO(self.data))

    def pixels(self) -> Any:
        """The file's pixels as RGB, without what else its header says."""
        image = self.open().convert("RGB")
        return Image.frombytes("RGB", image.size, image.tobytes())


#: name, format, mode, (width, height), what the encoder takes
KINDS: list[tuple[str, str, str, tuple[int, int], dict[str, Any]]] = [
    ("one_pixel.png", "PNG", "RGB", (1, 1), {}),
    ("grey.png", "PNG", "L", (33, 65), {}),
    ("alpha.png", "PNG", "RGBA", (200, 31), {}),
    ("palette.gif", "GIF", "P", (97, 101), {}),
    ("photo.jpg", "JPEG", "RGB", (320, 240), {"quality": 85}),
    ("progressive.jpg", "JPEG", "RGB", (257, 129), {"progressive": True}),
    ("cmyk.jpg", "JPEG", "CMYK", (64, 48), {}),
    ("rotated.jpg", "JPEG", "RGB", (120, 40), {"exif": 6}),
    ("lossless.webp", "WEBP", "RGB", (63, 91), {"lossless": True}),
    ("strip.png", "PNG", "RGB", (2, 350), {}),
    ("wide.png", "PNG", "1", (640, 17), {}),
]


def make_picture(
    folder: Path, name: str, format: str, mode: str, size: tuple[int, int], options: dict[str, Any]
) -> Picture:
    """A picture of noise that its name decides."""
    width, height = size
    seed = hashlib.sha256(name.encode()).digest()
    noise = hashlib.shake_256(seed).digest(width * height * 3)
    image = Image.frombytes("RGB", size, noise).convert(mode)
    if "exif" in options:
        exif = Image.Exif()
        exif[0x0112] = options["exif"]
        options = {"exif": exif}
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    path = folder / name
    path.write_bytes(buffer.getvalue())
    return Picture(name, buffer.getvalue(), path)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """One picture of each kind."""
    folder = tmp_path_factory.mktemp("pictures with spaces")
    return [make_picture(folder, *kind) for kind in KINDS]
