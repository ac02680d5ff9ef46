"""Settings that other code makes in Pillow and in Python change no verdict and no bound."""

import contextlib
import struct
import warnings
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import process_programs
import pytest
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin

from mmraw_protocol import MMRawError
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter
from mmraw_protocol.images import ImageSource, decode_rgb, read_header

FILES = sorted(
    path for name in ("images", "bad_images") for path in (vectors_folder() / name).iterdir()
)
CALLS: dict[str, Callable[[bytes], Any]] = {
    "header": read_header,
    "decode": lambda data: decode_rgb(data, frames="first"),
    "describe": lambda data: get_adapter("qwen_vl").describe(data),
}
STRATEGY = GifImagePlugin.LoadingStrategy

SETTINGS: list[tuple[Any, str, Any]] = [
    (PngImagePlugin, "MAX_TEXT_CHUNK", 1 << 30),
    (PngImagePlugin, "MAX_TEXT_CHUNK", 10),
    (PngImagePlugin, "MAX_TEXT_MEMORY", 1 << 34),
    (PngImagePlugin, "MAX_TEXT_MEMORY", 10),
    (Image, "MAX_IMAGE_PIXELS", 10),
    (Image, "MAX_IMAGE_PIXELS", None),
    (ImageFile, "LOAD_TRUNCATED_IMAGES", True),
    (ImageFile, "MAXBLOCK", 1 << 20),
    (ImageFile, "SAFEBLOCK", 64),
    (GifImagePlugin, "LOADING_STRATEGY", STRATEGY.RGB_ALWAYS),
    (GifImagePlugin, "LOADING_STRATEGY", STRATEGY.RGB_AFTER_DIFFERENT_PALETTE_ONLY),
    (warnings, "filters", [("error", None, Warning, None, 0)]),
]


@contextlib.contextmanager
def changed(owner: Any, name: str, value: Any) -> Generator[None, None, None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def outcome(work: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return work(data)
    except MMRawError as error:
        return error.code, error.message


@pytest.fixture(scope="module")
def usual() -> dict[tuple[str, str], Any]:
    return {
        (path.name, name): outcome(work, path.read_bytes())
        for path in FILES
        for name, work in CALLS.items()
    }


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=[f"{name} {str(value)[:12]}" for _, name, value in SETTINGS]
)
def test_no_setting_of_other_code_changes_a_verdict(
    setting: tuple[Any, str, Any], usual: dict[tuple[str, str], Any]
) -> None:
    for path in FILES:
        data = path.read_bytes()
        for name, work in CALLS.items():
            with changed(*setting):
                found = outcome(work, data)
            assert found == usual[path.name, name], (path.name, name)


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=[f"{name} {str(value)[:12]}" for _, name, value in SETTINGS]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_a_pil_image_has_the_same_bytes_under_every_setting(
    mode: str, setting: tuple[Any, str, Any]
) -> None:
    image = Image.effect_noise((300, 300), 90).convert(mode)
    expected = ImageSource.open(image).data
    with changed(*setting):
        assert ImageSource.open(image).data == expected


@pytest.mark.parametrize("kind", ["iTXt", "zTXt", "iCCP"])
def test_raised_limits_of_pillow_raise_no_bound_on_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.png"
    path.write_bytes(hostile(kind))
    grown = process_programs.run("machine_programs.grown", str(path))
    assert grown < 32 << 20


def hostile(kind: str) -> bytes:
    """A small PNG with a chunk of 60 KB that unpacks to 60 MB."""
    text = zlib.compress(("\U0001f600" + "a" * (60 << 20)).encode(), 9)
    body = {"iTXt": b"x\0\1\0\0\0", "zTXt": b"x\0\0", "iCCP": b"x\0\0"}[kind] + text
    name = kind.encode()
    chunk = struct.pack(">I", len(body)) + name + body
    chunk += struct.pack(">I", zlib.crc32(name + body))
    base = process_programs.png(8)
    return base[:33] + chunk + base[33:]


def test_other_codes_pillow_stays_as_it_is() -> None:
    """Ours is another copy: its settings are not those of the process."""
    from mmraw_protocol.images import own_pillow

    assert own_pillow.Image is not Image
    assert own_pillow.Image.core is Image.core
    assert Image.MAX_IMAGE_PIXELS is not None
