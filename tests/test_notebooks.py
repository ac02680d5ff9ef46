"""Refs, features and images in a notebook: picture and grid, escaped, small, local."""

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from PIL import Image

from mmraw_protocol import (
    Features,
    Materializer,
    MultiModalData,
    RawMMRef,
    build_features,
    get_adapter,
    open_store,
    pack_images,
    parse_features,
)

SHOWN = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")
#: No text that a sender chose may become a tag, an attribute or a script.
MARKUP = """'"><script>alert(1)</script><img src="http://192.0.2.1/x">&"""


def noise(width: int, height: int) -> bytes:
    """A PNG that no encoder makes small."""
    picture = Image.effect_noise((width, height), 200).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def features(
    data: bytes, storage: Any = "inline", count: int = 1, family: str = "qwen_vl", store: Any = None
) -> Features:
    """A body with the same image several times."""
    store = store or open_store("memory://", run_id="r")
    messages = [{"role": "user", "content": [{"type": "image", "image": data}]}]
    (image,) = pack_images(messages, get_adapter(family), storage=storage, store=store)
    length = image.description.placeholder_length
    places = [{"offset": number * length, "length": length} for number in range(count)]
    body = MultiModalData(
        mm_hashes={"image": [image.mm_hash] * count},
        mm_placeholders={"image": places},
        mm_items={"image": [image.item] * count},
    )
    return parse_features(build_features(body, run_id="r"))


def ref(data: bytes, storage: Any = "inline") -> RawMMRef:
    return features(data, storage).refs["image"][0]


def shown(value: Any) -> str:
    """The HTML, which is well formed and loads nothing."""
    html = value._repr_html_()
    ET.fromstring(f"<div>{html}</div>")
    tags = Tags()
    tags.feed(html)
    for source in tags.sources:
        assert source.startswith("data:image/jpeg;base64,")
    allowed = {"div", "p", "svg", "image", "path", "table", "tr", "th", "td"}
    assert tags.names <= allowed
    assert "url(" not in html
    return html


class Tags(HTMLParser):
    """The names of all elements, and what they would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def pictures(html: str) -> list[Image.Image]:
    found = [base64.b64decode(text) for text in SHOWN.findall(html)]
    return [Image.open(io.BytesIO(data)) for data in found]


def lines(html: str) -> tuple[int, int]:
    """Counts the horizontal and the vertical lines."""
    (path,) = re.findall(r'<path d="([^"]*)"', html)
    return path.count("H"), path.count("V")


def test_a_ref_shows_its_picture_under_its_grid() -> None:
    html = shown(ref(noise(64, 32)))
    (picture,) = pictures(html)
    assert picture.size == (256, 128)
    _, rows, columns = get_adapter("qwen_vl").layout(64, 32).grid_thw
    assert lines(html) == (rows + 1, columns + 1)
    for text in ("qwen_vl", f"1 x {rows} x {columns}", "inline"):
        assert text in html


def test_a_ref_of_a_stored_image_shows_its_grid_alone() -> None:
    stored = ref(noise(64, 32), "offload")
    html = shown(stored)
    assert pictures(html) == []
    assert lines(html) > (1, 1)
    assert f"stored as {stored.raw_image_id}" in html


def test_a_materialized_image_shows_the_pixels_that_were_verified() -> None:
    store = open_store("memory://", run_id="r")
    (slot,) = features(noise(64, 32), "offload", store=store).slots()
    image = Materializer(store).materialize(slot.ref)
    html = shown(image)
    (picture,) = pictures(html)
    assert picture.size == (256, 256 * image.height // image.width)
    wanted = image.image.resize(picture.size).tobytes()
    differences = [abs(a - b) for a, b in zip(picture.tobytes(), wanted, strict=True)]
    assert sum(differences) / len(differences) < 12
    assert image.sha256 in html


def test_a_picture_that_is_filled_up_takes_its_part_of_the_grid() -> None:
    """Kimi's 72 columns reach beyond an image of 1000 pixels."""
    store = open_store("memory://", run_id="r")
    (slot,) = features(noise(1000, 400), "offload", family="kimi_k25", store=store).slots()
    html = shown(Materializer(store).materialize(slot.ref))
    (svg,) = re.findall(r'<svg [^>]*width="(\d+)" height="(\d+)"', html)
    (picture,) = re.findall(r'<image width="(\d+)" height="(\d+)"', html)
    assert int(picture[0]) < int(svg[0])
    assert int(picture[1]) < int(svg[1])


def test_features_show_each_image_with_its_placeholder() -> None:
    html = shown(features(noise(64, 32), count=3))
    assert "3 images" in html
    assert len(pictures(html)) == 3
    length = get_adapter("qwen_vl").layout(64, 32).placeholder_length
    assert f"offset {2 * length}, length {length}" in html


def test_what_is_shown_is_small_whatever_the_image() -> None:
    data = noise(1500, 1500)
    assert len(shown(ref(data))) < 100_000
    html = shown(features(data, count=40))
    assert len(html) < 800_000
    assert len(pictures(html)) == 8
    assert "32 more are not shown" in html


@pytest.mark.parametrize("size", [(4000, 22), (22, 4000)])
def test_a_grid_of_many_cells_has_few_lines(size: tuple[int, int]) -> None:
    html = shown(ref(noise(*size)))
    assert max(lines(html)) <= 65


def test_another_image_than_the_ref_names_is_not_shown() -> None:
    right = ref(noise(64, 32))
    html = shown(msgspec.structs.replace(right, mm_hash="0" * 32))
    assert pictures(html) == []
    assert "hash_mismatch" in html
    assert lines(html) > (1, 1)


def test_texts_of_senders_are_escaped() -> None:
    """Fields of a ref that was read cannot hold these; those of one that code made can."""
    given = ref(noise(64, 32), "offload")
    for name in ("family", "fingerprint", "mm_hash", "run_id", "raw_image_id", "dialect"):
        html = shown(msgspec.structs.replace(given, **{name: MARKUP * 100}))
        assert "<script" not in html
        assert len(html) < 100_000


def test_a_family_that_nothing_here_reads_is_shown_without_a_grid() -> None:
    given = ref(noise(64, 32), "offload")
    html = shown(msgspec.structs.replace(given, family="other", payload={"a": MARKUP}))
    assert "<svg" not in html
    assert "other" in html


def test_nothing_of_it_is_imported_before_a_notebook_asks() -> None:
    program = (
        "import sys, mmraw_protocol, mmraw_protocol.materialize, mmraw_protocol.wire.features\n"
        "print('mmraw_protocol.materialize.notebook' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
