"""gc: what it must keep, however it is spelt, and the files that stop it."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from old_images import image, mmraw, name_of, old_store, ref_to

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import collect
from mmraw_protocol.wire.base64 import encode_base64url
from mmraw_protocol.wire.json import canonical_json

NAME, REF = name_of(image(0)), ref_to(image(0))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


def opaque(payload: Any) -> str:
    """A ref of a family that is not built in, to another image, with this payload."""
    body = {
        "family": "other_family",
        "fingerprint": "0" * 32,
        "mm_hash": name_of(image(1))[:32],
        "modality": "image",
        "payload": payload,
        "raw_image_id": name_of(image(1)),
        "run_id": "exp42",
    }
    return "mmraw:v3:" + encode_base64url(canonical_json(body).encode())


def coded(text: str) -> str:
    """Every character as its percent code."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


WAYS: dict[str, Any] = {
    "a percent-coded ref": quote(REF, safe=""),
    "a percent-coded v2 ref": quote(ref_to(image(0), "v2"), safe=""),
    "a ref that is percent-coded twice": quote(quote(REF, safe=""), safe=""),
    "a ref all of whose characters are coded": coded(REF),
    "a percent-coded ref within a URL": f"https://host/view?ref={quote(REF, safe='')}&x=1",
    "a percent-coded name": coded(NAME),
    "a name in an opaque payload": opaque({"images": [NAME]}),
    "a ref in an opaque payload": opaque({"deep": [{"ref": REF}]}),
    "a key of an opaque payload": opaque({NAME: 1}),
    "a percent-coded ref in an opaque payload": opaque({"u": quote(REF, safe="")}),
    "an opaque ref that is percent-coded": quote(opaque({"images": [NAME]}), safe=""),
    "JSON within a string": json.dumps({"a": json.dumps({"raw_image_id": NAME})}),
    "escapes in JSON within a string": '{"a":"\\u00' + f"{ord(NAME[0]):02x}" + NAME[1:] + '"}',
    "escapes in a string within a log": 'seen: "\\u00' + f"{ord(NAME[0]):02x}" + NAME[1:] + '" x',
}


@pytest.mark.parametrize("way", WAYS)
def test_a_name_keeps_its_object_however_it_is_spelt(
    way: str, store: LocalStore, tmp_path: Path
) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_text(json.dumps({"text": WAYS[way]}) + "\n")
    report = collect(store, [file], delete=True)
    assert report.ok
    assert report.removed >= 2
    assert store.has(NAME)


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "{}\n", '{"messages": []}\n', '{"url": "https://host/a.png"}\n'],
    ids=["nothing", "blank lines", "an object", "no image", "another image"],
)
def test_a_file_without_a_reference_stops_everything(
    text: str, store: LocalStore, tmp_path: Path
) -> None:
    whole, empty = tmp_path / "rollouts.jsonl", tmp_path / "empty.jsonl"
    whole.write_text(json.dumps(REF) + "\n")
    empty.write_text(text)
    report = collect(store, [whole, empty], delete=True)
    assert (report.ok, report.deleted, report.removed) == (False, False, 0)
    assert [problem.file for problem in report.problems] == [str(empty)]
    assert len(list(store.list())) == 4
    report = collect(store, [whole, empty], delete=True, allow_empty=True)
    assert (report.ok, report.removed) == (True, 3)


def test_removing_every_object_is_asked_for(store: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text(json.dumps(ref_to(image(77))) + "\n")
    report = collect(store, [file], delete=True)
    assert (report.ok, report.everything, report.removed) == (False, True, 0)
    assert len(list(store.list())) == 4
    said = mmraw("gc", file, "--store", store.root, "--delete", code=1)
    assert "--remove-all" in said
    assert collect(store, [file], delete=True, remove_all=True).removed == 4


def test_the_command_has_an_option_for_each(store: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("")
    options = (file, "--store", store.root, "--delete")
    assert "--allow-empty" in mmraw("gc", *options, code=1)
    mmraw("gc", *options, "--allow-empty", code=1)
    assert len(list(store.list())) == 4
    mmraw("gc", *options, "--allow-empty", "--remove-all")
    assert list(store.list()) == []


@pytest.mark.parametrize("age", [float("nan"), "7d", None, True])
def test_an_age_is_a_number(age: Any, store: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_text(json.dumps(REF) + "\n")
    for work in (
        lambda: collect(store, [file], delete=True, older_than=age),
        lambda: store.delete_older(NAME, older_than=age),
        lambda: store.sweep(older_than=age),
    ):
        with pytest.raises(MMRawError) as caught:
            work()
        assert caught.value.code in ("unsupported_option", "invalid_type")
    assert len(list(store.list())) == 4
