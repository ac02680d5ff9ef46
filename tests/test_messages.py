"""Images in chat messages."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from conversations import DATA_URL, Part, Url, user
from hypothesis import given
from PIL import Image

from mmraw_protocol import MMRawError, build_features, parse_features
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.conversation import environment as env
from mmraw_protocol.conversation.messages import (
    find_images,
    image_source,
    inline_messages,
    is_image_part,
    mm_data,
    offload_messages,
    pack_images,
)
from mmraw_protocol.conversation.prompts import stand_in_prompt
from mmraw_protocol.families import get_adapter
from mmraw_protocol.materialize import Materializer
from mmraw_protocol.stores import LocalStore, open_store
from mmraw_protocol.testing import messages

PNG = vectors_folder() / "images" / "rgb_101x67.png"


class StructPart(msgspec.Struct, frozen=True):
    """A content part of another library."""

    type: str
    image: str


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


def test_none_counts_as_absent() -> None:
    part = {"type": "image_url", "image": None, "image_url": {"url": DATA_URL}, "path": None}
    assert image_source(part) == DATA_URL
    assert not is_image_part({"image": None, "image_url": None, "text": "x"})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
        {"type": "image", "image": DATA_URL},
        {"type": "image", "path": str(PNG)},
        Part("image_url", Url(PNG.as_uri())),
        StructPart("image", DATA_URL),
        SimpleNamespace(type="image_url", image_url=SimpleNamespace(url=DATA_URL)),
    ],
)
def test_offloading_and_inlining_keep_the_kind_of_a_part(part: Any, store: LocalStore) -> None:
    conversation = user(part, {"type": "text", "text": "what is it?"})
    before = copy.deepcopy(conversation)
    stored = offload_messages(conversation, store)
    assert conversation == before
    assert type(stored[0]["content"][0]) is type(part)
    assert image_source(stored[0]["content"][0]).startswith("file://")
    assert stored[0]["content"][1] == {"type": "text", "text": "what is it?"}
    back = inline_messages(stored)
    assert image_source(back[0]["content"][0]) == DATA_URL


def test_pictures_and_bytes_are_sources_too(store: LocalStore) -> None:
    picture = Image.open(PNG)
    stored = offload_messages(user({"type": "image", "image": picture}), store)
    assert stored[0]["content"][0]["image"].startswith("file://")
    packed = pack_images(user({"image": PNG.read_bytes()}), get_adapter("qwen_vl"), store=store)
    assert packed[0].description.width == 101


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("https://example.invalid/a.png", "source_unsupported"),
        ("data:image/png;base64,", "empty_source"),
        ("data:image/png;base64,A", "invalid_base64"),
        ("data:image/png;base64,QUJD", "image_undecodable"),
        ("/nowhere/at/all.png", "source_unavailable"),
        ({}, "missing_source"),
    ],
)
def test_one_bad_image_leaves_everything_untouched(
    source: Any, code: str, store: LocalStore
) -> None:
    url = source if isinstance(source, dict) else {"url": source}
    conversation = [
        *user({"type": "image", "image": DATA_URL}),
        *user({"type": "text", "text": "x"}, {"type": "image_url", "image_url": url}),
    ]
    before = copy.deepcopy(conversation)
    for work in (lambda: offload_messages(conversation, store),):
        with pytest.raises(MMRawError) as caught:
            work()
        assert caught.value.code == code
        assert caught.value.path.startswith("$[1].content[1]")
    assert conversation == before


@given(messages())
def test_every_image_is_found_and_packed(conversation: list[dict[str, Any]]) -> None:
    found = find_images(conversation)
    parts = [p for m in conversation if isinstance(m["content"], list) for p in m["content"]]
    assert len(found) == sum(part.get("type") != "text" for part in parts)
    adapter = get_adapter("kimi_k25")
    packed = pack_images(conversation, adapter, storage="inline")
    prompt = stand_in_prompt(conversation, packed, adapter)
    data = mm_data(packed, [place.offset for place in prompt.placeholders])
    assert data.mm_placeholders["image"] == prompt.placeholders
    features = parse_features(build_features(data, run_id="x"))
    materializer = Materializer(cache_bytes=0)
    for slot in features.slots():
        found_image = materializer.materialize(
            slot.ref, mm_hash=slot.mm_hash, placeholder_length=slot.placeholder.length
        )
        assert found_image.width >= 1


def test_mm_data_wants_an_offset_for_each_image() -> None:
    packed = pack_images(
        user({"type": "image", "image": DATA_URL}), get_adapter("qwen_vl"), storage="inline"
    )
    with pytest.raises(MMRawError) as caught:
        mm_data(packed, [])
    assert caught.value.code == "lengths_differ"


def test_packing_for_a_store_gives_name_and_label(store: LocalStore) -> None:
    packed = pack_images(user({"image": DATA_URL}), get_adapter("qwen_vl"), store=store)
    item = packed[0].item
    assert item.raw_uri == store.url(str(item.raw_image_id))
    assert store.get(str(item.raw_image_id)) == PNG.read_bytes()


def test_options_are_checked(store: LocalStore) -> None:
    adapter = get_adapter("qwen_vl")
    for options, code in (
        ({"storage": "offload"}, "store_invalid"),
        ({"storage": "elsewhere"}, "unsupported_option"),
        ({"store": store, "multimodal_output": "processed"}, "unsupported_option"),
    ):
        with pytest.raises(MMRawError) as caught:
            pack_images([], adapter, **options)  # type: ignore[arg-type]
        assert caught.value.code == code
    with pytest.raises(MMRawError):
        find_images("no list")


def test_the_environment_names_store_and_run() -> None:
    assert env.image_dir({}) is None
    assert env.image_dir({env.RUN_DIR: "/r"}) == Path("/r/assets/images")
    assert env.image_dir({env.RUN_DIR: "/r", env.IMAGE_DIR: "/i"}) == Path("/i")
    assert env.storage({}) == "offload"
    assert env.storage({env.STORAGE: "inline"}) == "inline"
    with pytest.raises(MMRawError):
        env.storage({env.STORAGE: "both"})
    directory = Path("/data/run_exp42/assets/images")
    assert env.run_label(directory, {env.RUN_ID: "run_a", env.RUN_DIR: "/b"}) == "a"
    assert env.run_label(directory, {env.RUN_DIR: "/data/run_b"}) == "b"
    assert env.run_label(directory, {}) == "exp42"
    assert env.run_label(Path("/elsewhere"), {}) == "explicit"
    assert env.run_label(None, {}) == "inline"


@pytest.mark.parametrize("place", ["memory:///images", "directory"])
def test_urls_of_the_store_are_read_through_the_store(place: str, tmp_path: Path) -> None:
    store = open_store(tmp_path if place == "directory" else place)
    image = PNG.read_bytes()
    messages = [{"role": "user", "content": [{"type": "image", "image": image}]}]
    small = offload_messages(messages, store)
    url = small[0]["content"][0]["image"]
    assert url == store.url(store.put(image))
    # Once more, as in the next turn: nothing changes, and the image is looked at.
    assert offload_messages(small, store) == small
    (packed,) = pack_images(small, get_adapter("qwen_vl"), store=store)
    assert packed.item.raw_image_id == url.rpartition("/")[2]
    assert packed.data == image
    assert inline_messages(small, store=store) == inline_messages(messages)
    store.delete(url.rpartition("/")[2])
    for work in (offload_messages, lambda m, s: inline_messages(m, store=s)):
        with pytest.raises(MMRawError) as caught:
            work(small, store)
        assert (caught.value.code, caught.value.path) == ("source_unavailable", "$[0].content[0]")


def test_the_url_says_which_of_several_runs(tmp_path: Path) -> None:
    store = open_store("memory:///root", run_ids=["a", "b"])
    messages = [{"role": "user", "content": [{"type": "image", "image": PNG.read_bytes()}]}]
    small = offload_messages(messages, store, run_id="b")
    assert "/run_b/assets/images/" in small[0]["content"][0]["image"]
    assert inline_messages(small, store=store) == inline_messages(messages)
    with pytest.raises(MMRawError, match="source_unsupported"):
        inline_messages(small, store=store, run_id="a")


@pytest.mark.parametrize(
    "url", ["memory:///elsewhere/{}", "memory:///images/../images/{}", "s3://bucket/{}"]
)
def test_other_urls_are_never_fetched_from_the_store(url: str) -> None:
    store = open_store("memory:///images")
    name = store.put(PNG.read_bytes())
    part = {"type": "image", "image": url.format(name)}
    with pytest.raises(MMRawError, match="source_unsupported"):
        inline_messages([{"role": "user", "content": [part]}], store=store)


def test_a_stand_in_prompt_has_all_text_and_counts_it_by_bytes() -> None:
    parts = [{"type": "text", "text": "hé"}, {"type": "tool"}, "!"]
    conversation = [*user(*parts), {"role": "assistant", "content": None}]
    prompt = stand_in_prompt(conversation, [], get_adapter("qwen_vl"))
    text = "<|im_start|>user\nhé!<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
    special = ["<|im_start|>", "<|im_end|>"] * 2
    assert prompt.text == text
    assert prompt.num_tokens == len(text.encode()) - len("".join(special)) + len(special)
    assert prompt.placeholders == []
