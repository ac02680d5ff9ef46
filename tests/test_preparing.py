"""Orientation and transparency of images that are packed: never a silent choice."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from mmraw_protocol import (
    MMRawError,
    get_adapter,
    offload_messages,
    pack_images,
    parse_ref,
    ref_messages,
)
from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.images import decode_rgb, preparing
from mmraw_protocol.images.preparing import Preparation, orientation_of, prepare
from mmraw_protocol.images.source import ImageSource
from mmraw_protocol.integrations.renderers import sized_messages
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.limits import Limits

QWEN = get_adapter("qwen_vl")
#: The size of `turned`, in pixels.
SIZE = (96, 64)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def drawing(mode: str = "RGBA") -> Image.Image:
    """Black on a transparent ground."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (16, 16, 48, 48))
    return image if mode == "RGBA" else image.convert(mode)


def turned(orientation: int, kind: str) -> bytes:
    """A picture whose quarters differ, with an EXIF orientation."""
    image = Image.new("RGB", SIZE, (200, 0, 0))
    image.paste((0, 200, 0), (0, 0, 48, 32))
    image.paste((0, 0, 200), (48, 32, 96, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(image, kind, exif=exif, **options)


#: Pictures whose names say which orientation they declare.
DECLARED = sorted((vectors_folder() / "images").glob("orientation*"))


def messages(data: bytes) -> list[dict[str, Any]]:
    """A conversation with one image."""
    return [{"role": "user", "content": [{"type": "image", "image": data}]}]


def rgb(data: bytes) -> Image.Image:
    """The pixels that a model sees."""
    found = decode_rgb(data)
    return Image.frombytes("RGB", (found.width, found.height), found.rgb)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


TRANSPARENT = {
    "rgba": encoded(drawing()),
    "la": encoded(drawing("LA")),
    "webp": encoded(drawing(), "WEBP", lossless=True),
    "palette": encoded(Image.new("P", (40, 40)), transparency=0),
    "gray-key": encoded(Image.new("L", (40, 40), 5), transparency=5),
    "rgb-key": encoded(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(1, 2, 3)),
    "gif": encoded(Image.new("P", (40, 40)), "GIF", transparency=0),
}
OPAQUE = {
    "rgba": encoded(Image.new("RGBA", (40, 40), (9, 9, 9, 255))),
    "webp": encoded(Image.new("RGBA", (40, 40), (9, 9, 9, 255)), "WEBP", lossless=True),
    "unused-key": encoded(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(9, 9, 9)),
    "jpeg": encoded(Image.new("RGB", (40, 40)), "JPEG"),
}


@pytest.mark.parametrize("data", TRANSPARENT.values(), ids=TRANSPARENT)
def test_transparent_images_are_rejected_unless_told_otherwise(
    data: bytes, store: LocalStore
) -> None:
    with pytest.raises(MMRawError) as caught:
        pack_images(messages(data), QWEN, store=store)
    assert (caught.value.code, caught.value.path) == ("image_transparent", "$[0].content[0]")
    assert [*store.list()] == [], "nothing is stored of what is rejected"


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa", "PA"])
def test_the_alpha_of_a_picture_is_seen_in_every_mode(mode: str, store: LocalStore) -> None:
    picture = Image.new(mode, SIZE)
    given = [{"role": "user", "content": [{"type": "image", "image": picture}]}]
    with pytest.raises(MMRawError, match="image_transparent"):
        pack_images(given, QWEN, store=store)
    (packed,) = pack_images(given, QWEN, store=store, alpha="white")
    assert packed.notes == ("alpha_on_white",)


@pytest.mark.parametrize("data", OPAQUE.values(), ids=OPAQUE)
def test_opaque_images_are_packed_as_they_are(data: bytes, store: LocalStore) -> None:
    (packed,) = pack_images(messages(data), QWEN, store=store)
    assert (packed.data, packed.notes) == (data, ())


def test_alpha_is_dropped_only_where_that_is_asked_for(store: LocalStore) -> None:
    data = TRANSPARENT["rgba"]
    (packed,) = pack_images(messages(data), QWEN, store=store, alpha="drop")
    assert (packed.data, packed.notes) == (data, ("alpha_dropped",))
    assert set(rgb(data).tobytes()) == {0}, "one black picture"


@pytest.mark.parametrize("data", TRANSPARENT.values(), ids=TRANSPARENT)
def test_white_stores_the_picture_on_white_once(data: bytes, store: LocalStore) -> None:
    (packed,) = pack_images(messages(data), QWEN, store=store, alpha="white")
    assert packed.notes == ("alpha_on_white",)
    shown = Image.open(io.BytesIO(data)).convert("RGBA")
    ground = Image.new("RGB", shown.size, (255, 255, 255))
    ground.paste(shown, mask=shown.getchannel("A"))
    assert rgb(packed.data).tobytes() == ground.tobytes()
    name = str(packed.item.raw_image_id)
    assert store.get(name) == packed.data, "the ref names what both sides see"
    assert name.startswith(packed.description.sha256)
    (again,) = pack_images(messages(data), QWEN, store=store, alpha="white")
    assert again.data == packed.data
    assert [*store.list()] == [name]
    (settled,) = pack_images(messages(packed.data), QWEN, store=store)
    assert (settled.data, settled.notes) == (packed.data, ())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_pictures_are_told_or_turned(orientation: int, kind: str, store: LocalStore) -> None:
    data = turned(orientation, kind)
    (kept,) = pack_images(messages(data), QWEN, store=store)
    assert (kept.data, kept.notes) == (data, ("orientation_kept",))
    (packed,) = pack_images(messages(data), QWEN, store=store, orientation="apply")
    assert packed.notes == ("orientation_applied",)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert rgb(packed.data).tobytes() == expected.convert("RGB").tobytes()
    described = (packed.description.width, packed.description.height)
    assert described == expected.size
    assert ImageSource.open(packed.data).header.format == "png"
    assert orientation_of(ImageSource.open(packed.data)) == 1, "it is not turned twice"
    (sized,) = sized_messages(messages(data), orientation="apply")
    assert sized["content"][0]["image"].size == expected.size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_pictures_that_were_opened_are_told_or_turned(orientation: int, kind: str) -> None:
    data = turned(orientation, kind)
    opened = [
        {"role": "user", "content": [{"type": "image", "image": Image.open(io.BytesIO(data))}]}
    ]
    (kept,) = pack_images(opened, QWEN, storage="inline")
    assert kept.notes == ("orientation_kept",)
    assert rgb(kept.data).tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    (packed,) = pack_images(opened, QWEN, storage="inline", orientation="apply")
    assert packed.notes == ("orientation_applied",)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert rgb(packed.data).tobytes() == expected.convert("RGB").tobytes()


def test_what_declares_no_turn_stays_as_it_is(store: LocalStore) -> None:
    plain = encoded(Image.new("RGB", SIZE))
    for data in (plain, turned(1, "JPEG"), turned(99, "PNG")):
        (packed,) = pack_images(messages(data), QWEN, store=store, orientation="apply")
        assert (packed.data, packed.notes) == (data, ())


@pytest.mark.parametrize("file", DECLARED, ids=lambda file: file.name)
def test_the_orientation_is_found_wherever_it_is_declared(file: Path) -> None:
    data = file.read_bytes()
    expected = int(file.name[len("orientation")])
    assert orientation_of(ImageSource.open(data)) == expected
    kept = Image.open(io.BytesIO(data))
    # Older Pillows find XMP in PNG files alone.
    kept.getexif()[0x0112] = expected
    shown = ImageOps.exif_transpose(kept)
    (packed,) = pack_images(messages(data), QWEN, storage="inline", orientation="apply")
    assert rgb(packed.data).tobytes() == shown.convert("RGB").tobytes()


def test_both_are_applied_to_one_image(store: LocalStore) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    data = encoded(image, exif=exif)
    (packed,) = pack_images(messages(data), QWEN, store=store, orientation="apply", alpha="white")
    assert packed.notes == ("alpha_on_white", "orientation_applied")
    assert rgb(packed.data).size == (64, 96)
    assert set(rgb(packed.data).tobytes()) == {255}


def test_stored_images_are_prepared_when_they_are_packed(store: LocalStore) -> None:
    stored = offload_messages(messages(TRANSPARENT["rgba"]), store)
    with pytest.raises(MMRawError, match="image_transparent"):
        pack_images(stored, QWEN, store=store)
    (packed,) = pack_images(stored, QWEN, store=store, alpha="white")
    assert str(packed.item.raw_image_id) not in stored[0]["content"][0]["image"]
    assert store.get(str(packed.item.raw_image_id)) == packed.data


def test_refs_are_made_of_what_was_prepared_and_counted(store: LocalStore) -> None:
    noted: Counter[str] = Counter()
    conversation = messages(TRANSPARENT["rgba"]) + messages(turned(6, "JPEG"))
    made = ref_messages(conversation, QWEN, store=store, alpha="white", noted=noted)
    assert noted == {"alpha_on_white": 1, "orientation_kept": 1}
    white = store.get(str(parse_ref(made[0]["content"][0]["image"]).raw_image_id))
    assert rgb(white).getpixel((0, 0)) == (255, 255, 255)


def test_the_check_keeps_the_limits_and_decodes_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = Limits(image_pixels=64 * 64 - 1)
    with pytest.raises(MMRawError, match="limit_exceeded"):
        prepare(ImageSource.open(TRANSPARENT["rgba"], limits=small), Preparation(), "$")

    def decode(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(preparing, "decode_elsewhere", decode)
    monkeypatch.setattr(preparing, "decode_rgb", decode)
    for data in (OPAQUE["jpeg"], turned(6, "JPEG"), encoded(Image.new("RGB", SIZE))):
        source = ImageSource.open(data)
        assert prepare(source, Preparation(), "$")[0] is source


def test_large_images_are_checked_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmraw_protocol.images.decode.fits_bound", lambda *_: False)
    prepared, notes = prepare(
        ImageSource.open(TRANSPARENT["webp"]), Preparation(alpha="white"), "$"
    )
    assert notes == ("alpha_on_white",)
    assert rgb(prepared.data).getpixel((0, 0)) == (255, 255, 255)


def test_options_are_checked() -> None:
    for options in ({"orientation": "upright"}, {"alpha": "black"}):
        with pytest.raises(MMRawError, match="unsupported_option"):
            pack_images([], QWEN, storage="inline", **options)  # type: ignore[arg-type]


def test_the_command_line_says_what_became_of_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in {"a.png": TRANSPARENT["rgba"], "b.jpg": turned(6, "JPEG")}.items():
        (tmp_path / name).write_bytes(data)
    content = [{"type": "image", "path": str(tmp_path / name)} for name in ("a.png", "b.jpg")]
    file = tmp_path / "messages.json"
    file.write_text(json.dumps([{"role": "user", "content": content}]))
    command = ["pack", str(file), "--storage", "inline", "--run-id", "x"]
    assert main(command) == 1
    assert "image_transparent" in capsys.readouterr().err
    assert main([*command, "--alpha", "white", "--orientation", "apply"]) == 0
    said = capsys.readouterr().err
    assert "1 image not fully opaque, put on white" in said
    assert "1 image turned as EXIF says" in said
    assert main([*command, "--alpha", "drop"]) == 0
    said = capsys.readouterr().err
    assert "alpha dropped" in said
    assert "packed as stored" in said
