"""References in a file keep their object, however they are spelled."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_images import DIALECTS, age, image, name_of, old_store, ref_to, rollouts
from samples import PNG

from mmraw_protocol.conversation.messages import offload_messages, pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import collect, read_references
from mmraw_protocol.stores.maintenance.fsck import ObjectName
from mmraw_protocol.wire.base64 import encode_base64
from mmraw_protocol.wire.hashes import sha256_hex


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refs_of_every_dialect_are_found(dialect: str, store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, {"deep": [{"a": ref_to(image(0), dialect)}]})
    found = read_references([file], store, [name_of(image(0))])
    assert found.problems == []
    assert found.names == {name_of(image(0))}
    assert [mention.raw_image_id for mention in found.mentions] == [name_of(image(0))]
    assert list(found.mentions.values()) == [(str(file), 1)]


@pytest.mark.parametrize("start", ["", "\n \n", " "])
def test_documents_over_many_lines_are_read_to_the_end(
    start: str, store: LocalStore, tmp_path: Path
) -> None:
    """As `jq` prints the rows of a file; what follows no document ends the collection."""
    file = tmp_path / "rollouts.json"
    rows = [{"a": [ref_to(image(n))]} for n in range(3)]
    text = start + "\n".join(json.dumps(row, indent=2) for row in rows)
    file.write_text(text + "\n")
    found = read_references([file], store)
    assert (found.refs, len(found.mentions), found.problems) == (3, 3, [])
    for broken in (text[:-1], f"{text}\nx", text + "{"):
        file.write_text(broken)
        assert [one.code for one in read_references([file], store).problems] == ["invalid_json"]


NAME = name_of(image(0))


WAYS: dict[str, Callable[[LocalStore], Any]] = {
    "a ref in a list": lambda store: [[ref_to(image(0))]],
    "a ref in a sentence": lambda store: {"text": f"see {ref_to(image(0))}, please"},
    "a ref in JSON within JSON": lambda store: json.dumps({"refs": [ref_to(image(0))]}),
    "an envelope": lambda store: {"kind": "prime_raw_mm_item", "raw_image_id": NAME},
    "the URL of the store": lambda store: {"image_url": {"url": store.url(NAME)}},
    "a URL elsewhere": lambda store: {"image": f"s3://bucket/run_x/assets/images/{NAME}"},
    "a URL with a query": lambda store: f"https://host/{NAME}?signature=1",
    "a URL in percent": lambda store: quote(store.url(NAME), safe=":/").replace(".png", "%2Epng"),
    "a path": lambda store: {"path": f"outputs/run_exp42/assets/images/{NAME}"},
    "a bare name": lambda store: {"images": [NAME]},
    "a key": lambda store: {"sizes": {NAME: 3}},
    "a key of a key": lambda store: {f"{'x' * 300}/{NAME}": {"a": 1}},
    "Markdown": lambda store: f"![the screen]({store.url(NAME)}).",
    "messages in JSON within JSON": lambda store: json.dumps(
        json.dumps([{"image": store.url(NAME)}])
    ),
    "the end of a sentence": lambda store: f"It is {NAME}.",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_refer_keeps_an_object(way: str, store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, {"row": WAYS[way](store)})
    report = collect(store, [file], delete=True)
    assert report.removed == 3
    assert list(store.list()) == [NAME]


def test_odd_spellings_of_json_keep_an_object(store: LocalStore, tmp_path: Path) -> None:
    odd = "".join(f"\\u{ord(char):04X}" for char in store.url(NAME))
    (tmp_path / "odd.json").write_text(f'\n{{ "\\u0069mage" :\t"{odd}" }}')
    slashes = store.url(name_of(image(1))).replace("/", "\\/")
    (tmp_path / "slashes.json").write_text(f'["{slashes}"]')
    (tmp_path / "refs.txt").write_text(f"{ref_to(image(2))}\n")
    files = [tmp_path / name for name in ("odd.json", "slashes.json", "refs.txt")]
    assert collect(store, files, delete=True).removed == 1
    assert not store.has(name_of(image(3)))


def test_names_of_older_writers_are_kept(store: LocalStore, tmp_path: Path) -> None:
    old = f"{sha256_hex(image(9))[:16]}.png"
    for name in (old, "photo-1.png"):
        store.put_named(name, image(9))
        age(store.root / name)
    file = rollouts(tmp_path, ref_to(image(9), "v2", name=old), {"raw_image_id": "photo-1.png"})
    collect(store, [file], delete=True)
    assert list(store.list()) == sorted([old, "photo-1.png"])


def test_what_the_library_writes_is_kept(store: LocalStore, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": PNG}]}]
    small = offload_messages(messages, store)
    (packed,) = pack_images(messages, get_adapter("qwen_vl"), store=store)
    age(store.root / name_of(PNG))
    for row in (small, packed.item.to_dict()):
        report = collect(store, [rollouts(tmp_path, row)])
        assert ObjectName(name_of(PNG)) not in report.removable
        assert len(report.removable) == 4


def test_large_lines_and_inline_images_pass(store: LocalStore, tmp_path: Path) -> None:
    inline = f"data:image/png;base64,{encode_base64(os.urandom(3_000_000))}"
    row = {"messages": [{"image": inline}] * 3, "ref": ref_to(image(0)), "text": "word " * 500_000}
    report = collect(store, [rollouts(tmp_path, row)], delete=True)
    assert (report.ok, report.removed) == (True, 3)


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=50)
def test_a_url_in_any_text_keeps_its_object(before: str, after: str) -> None:
    import tempfile

    boundary = not (before[-1:].isascii() and (before[-1:].isalnum() or before[-1:] in "_.-"))
    boundary &= not (after[:1].isascii() and (after[:1].isalnum() or after[:1] in "_.-"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        store = LocalStore(path / "images", durable=False)
        store.put(PNG)
        age(store.root / name_of(PNG))
        text = f"{before}{name_of(PNG)}{after}"
        try:
            file = rollouts(path, {"text": text})
            report = collect(store, [file], delete=True)
        except UnicodeEncodeError:
            return
        assert not boundary or store.has(name_of(PNG)) or not report.ok
