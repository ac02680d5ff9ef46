"""Conversations whose image URLs are refs: made, read, and what requests carry of them."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import samples
from conversations import DATA_URL, Part, Url, url_part, user
from hypothesis import given
from PIL import Image
from refusals import refusal

from mmraw_protocol import (
    content_parts,
    get_adapter,
    inline_messages,
    mm_refs,
    offload_messages,
    open_store,
    pack_images,
    parse_mm_refs,
    parse_ref,
    ref_messages,
)
from mmraw_protocol.conversation.messages import image_source
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.testing import messages
from mmraw_protocol.wire._generated.families import FAMILIES

QWEN = get_adapter("qwen_vl")


class Message(msgspec.Struct, frozen=True):
    """A typed message."""

    role: str
    content: list[Any]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store of the run `x`."""
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


def test_each_image_url_becomes_its_ref(store: LocalStore) -> None:
    conversation = user(url_part(DATA_URL), {"type": "text", "text": "what is it?"})
    before = copy.deepcopy(conversation)
    made = ref_messages(conversation, QWEN, store=store)
    assert conversation == before
    assert made[0]["content"][1] == conversation[0]["content"][1]
    ref = parse_ref(made[0]["content"][0]["image_url"]["url"])
    assert (ref.dialect, ref.run_id, ref.fingerprint) == ("v3", "x", QWEN.fingerprint())
    assert store.get(str(ref.raw_image_id)) == samples.PNG


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_refs_are_those_of_the_features_body(family: str, dialect: str, store: LocalStore) -> None:
    adapter = get_adapter(family)
    made = ref_messages(user(url_part(DATA_URL)), adapter, store=store, dialect=dialect)
    ref = parse_ref(image_source(made[0]["content"][0]))
    described = adapter.describe(samples.PNG)
    assert (ref.dialect, ref.family, ref.payload) == (dialect, family, described.payload)
    assert (ref.mm_hash, ref.modality) == (described.mm_hash, adapter.feature_modality)


def test_inline_refs_need_no_store_and_name_the_run_that_is_given() -> None:
    made = ref_messages(user(url_part(DATA_URL)), QWEN, storage="inline", run_id="exp7")
    ref = parse_ref(made[0]["content"][0]["image_url"]["url"])
    assert (ref.raw_uri, ref.run_id) == (DATA_URL, "exp7")
    assert refusal(ref_messages, user(url_part(DATA_URL)), QWEN) == ("store_invalid", "$")


@pytest.mark.parametrize(
    "part",
    [
        Part("image_url", Url(DATA_URL)),
        {"type": "image_url", "image_url": DATA_URL},
        {"type": "image", "url": DATA_URL},
        {"type": "image", "image": DATA_URL, "image_url": None},
        {"image": DATA_URL},
    ],
)
def test_parts_keep_their_kind_and_the_place_of_their_source(part: Any, store: LocalStore) -> None:
    made = ref_messages([Message("user", [part])], QWEN, store=store)
    assert type(made[0]) is Message
    changed = made[0].content[0]
    assert type(changed) is type(part)
    text = str(image_source(changed))
    expected = copy.deepcopy(part)
    if isinstance(expected, Part):
        expected.image_url.url = text
    else:
        (key,) = (key for key, value in part.items() if value == DATA_URL)
        expected[key] = text
    assert changed == expected


@pytest.mark.parametrize("kind", ["image", "image_url"])
@pytest.mark.parametrize("key", ["image", "path"])
def test_paths_bytes_and_pictures_move_to_the_key_that_is_read_as_a_url(
    kind: str, key: str, store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(samples.PNG)
    sources = [str(tmp_path / "a.png"), samples.PNG, Image.open(tmp_path / "a.png")]
    made = ref_messages(user(*({"type": kind, key: one} for one in sources)), QWEN, store=store)
    for part in made[0]["content"]:
        url = part["image_url"]["url"] if kind == "image_url" else part["image"]
        assert parse_ref(url).run_id == "x"
        assert image_source(part) == url


def test_refs_stay_as_they_are_after_they_were_read(store: LocalStore) -> None:
    once = ref_messages(user(url_part(DATA_URL), url_part(samples.ref())), QWEN, store=store)
    assert once[0]["content"][1] == url_part(samples.ref())
    assert ref_messages(once, QWEN, store=store) == once
    broken = user(url_part(samples.ref()[:-4]), url_part(DATA_URL))
    assert refusal(ref_messages, broken, QWEN, store=store) == (
        "invalid_base64",
        "$[0].content[0]",
    )


def test_a_ref_of_a_video_is_refused_by_its_place() -> None:
    ref = samples.ref(modality="video")
    error = refusal(ref_messages, user(url_part(ref)), QWEN, storage="inline", run_id="x")
    assert error == ("modality_unsupported", "$[0].content[0].modality")


def test_a_uuid_that_no_server_takes_beside_a_ref_is_refused() -> None:
    options: dict[str, Any] = {"storage": "inline", "run_id": "x"}
    made = ref_messages(user(url_part(DATA_URL)), QWEN, **options)
    url = made[0]["content"][0]["image_url"]["url"]
    for source in (DATA_URL, url):
        named = {**url_part(source), "uuid": "mine"}
        error = refusal(ref_messages, user(named), QWEN, **options)
        assert error == ("hash_mismatch", "$[0].content[0].uuid")
        named["uuid"] = parse_ref(url).mm_hash
        assert content_parts(ref_messages(user(named), QWEN, **options))[0]["url"] == url


def test_one_bad_image_stores_and_changes_nothing(store: LocalStore) -> None:
    for source, code in (
        ("https://example.org/a.png", "source_unsupported"),
        ("data:image/png;base64,QUJD", "image_undecodable"),
    ):
        bad = user(url_part(DATA_URL), url_part(source))
        assert refusal(ref_messages, bad, QWEN, store=store) == (code, "$[0].content[1]")
        assert list(store.list()) == []


@given(messages())
def test_inlining_refs_gives_the_images_back(conversation: list[dict[str, Any]]) -> None:
    made = ref_messages(conversation, QWEN, storage="inline", run_id="x")
    assert inline_messages(made) == inline_messages(conversation)
    parts = content_parts(made)
    assert [parse_ref(part["url"]).mm_hash for part in parts] == [
        image.mm_hash for image in pack_images(conversation, QWEN, storage="inline")
    ]


def test_messages_with_refs_are_offloaded_inlined_and_packed(
    store: LocalStore, tmp_path: Path
) -> None:
    stored = ref_messages(user(url_part(DATA_URL)), QWEN, store=store)
    inline = ref_messages(user(url_part(DATA_URL)), QWEN, storage="inline", run_id="x")
    (name,) = store.list()
    for made in (stored, inline):
        assert inline_messages(made, store=store) == user(url_part(DATA_URL))
        assert offload_messages(made, store) == user(url_part(store.url(name)))
        (packed,) = pack_images(made, QWEN, store=store)
        assert (packed.item.raw_image_id, packed.data) == (name, samples.PNG)
        (kept,) = pack_images(made, QWEN, storage="inline", store=store)
        assert kept.item.raw_uri == DATA_URL
    elsewhere = LocalStore(tmp_path / "other")
    assert refusal(offload_messages, stored, elsewhere) == (
        "source_unavailable",
        "$[0].content[0].raw_image_id",
    )
    assert refusal(inline_messages, stored)[0] == "source_unavailable"


def test_a_ref_as_a_source_is_compared_with_its_bytes(store: LocalStore) -> None:
    name = store.put(samples.PNG)
    wrong = samples.ref(raw_image_id=name, run_id="x")
    assert refusal(inline_messages, user(url_part(wrong)), store=store) == (
        "hash_mismatch",
        "$[0].content[0].mm_hash",
    )
    scoped = LocalStore(store.root, run_id="y")
    assert refusal(inline_messages, user(url_part(wrong)), store=scoped) == (
        "run_mismatch",
        "$[0].content[0].run_id",
    )


def test_content_parts_stand_in_the_order_of_the_prompt(store: LocalStore) -> None:
    ref, other = samples.ref(), "https://example.org/a.png"
    conversation = [*user(url_part(other)), *user({"type": "text", "text": "x"}, url_part(ref))]
    assert content_parts(conversation) == [
        {"type": "image_url", "url": other},
        {"type": "image_url", "url": ref},
    ]
    keyed = user({**url_part(ref), "uuid": samples.DIGEST})
    assert content_parts(keyed)[0]["uuid"] == samples.DIGEST
    wrong = user(url_part(other), {**url_part(ref), "uuid": "mine"})
    assert refusal(content_parts, wrong) == ("hash_mismatch", "$[0].content[1].uuid")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("/tmp/a.png", "source_unsupported"),
        (b"\x89PNG", "source_unsupported"),
        (None, "missing_source"),
    ],
)
def test_what_has_no_url_makes_no_content_part(source: Any, code: str) -> None:
    assert refusal(content_parts, user({"type": "image", "image": source})) == (
        code,
        "$[0].content[0]",
    )


def test_mm_refs_join_the_images_with_the_spans_of_the_answer() -> None:
    ref, other = samples.ref(), "https://example.org/a.png"
    conversation = user(url_part(ref), url_part(other))
    spans = {"image": [{"offset": 5, "length": 64}, {"offset": 80, "length": 4}]}
    rows = [[ref, 5, 64], [other, 80, 4]]
    assert mm_refs(conversation, spans, form="array") == [rows]
    made = mm_refs(content_parts(conversation), spans)
    assert parse_mm_refs(made) == parse_mm_refs([rows])


def test_mm_refs_are_refused_where_something_would_be_guessed_or_lost() -> None:
    part = {"type": "image_url", "url": samples.ref()}
    one = [{"offset": 5, "length": 64}]
    assert refusal(mm_refs, [part], {"image": []})[0] == "lengths_differ"
    assert refusal(mm_refs, [part], {"vision_chunk": one})[0] == "modality_mismatch"
    assert refusal(mm_refs, [part], {"video": one})[0] == "modality_unsupported"
    assert refusal(mm_refs, [part, part], {"image": one * 2})[0] == "placeholder_invalid"
    assert refusal(mm_refs, [part], {"image": one}, form="x")[0] == "unsupported_option"
    keyed = {"type": "image_url", "url": "https://example.org/a.png", "uuid": "mine"}
    assert refusal(mm_refs, [keyed], {"image": one}) == ("not_convertible", "$[0].uuid")


def test_a_source_is_the_url_of_an_object_or_the_object() -> None:
    picture = Image.new("RGB", (4, 4))
    assert image_source({"type": "image_url", "image_url": picture}) is picture
    assert image_source({"type": "image_url", "image_url": Url("u")}) == "u"
    assert image_source({"type": "image_url", "image_url": {"url": "u"}}) == "u"


def test_an_image_column_of_a_message_without_content_becomes_its_content() -> None:
    (message,) = ref_messages([{"role": "user", "images": [DATA_URL]}], QWEN, storage="inline")
    (part,) = message["content"]
    assert parse_ref(part["image_url"]["url"]).raw_uri == DATA_URL


def test_the_messages_are_those_of_the_first_list_of_a_row() -> None:
    prompt = user(url_part(DATA_URL))
    answers = [{"role": "assistant", "content": text} for text in ("a", "b", "c")]
    made = ref_messages({"prompt": prompt, "chosen": answers}, QWEN, storage="inline")
    assert [message["role"] for message in made] == ["user"]


def test_a_store_of_several_runs_is_asked_for_the_run_of_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_ID", "a")
    store = open_store(tmp_path, run_ids=["a", "b"])
    (message,) = ref_messages(user(url_part(DATA_URL)), QWEN, store=store)
    ref = parse_ref(message["content"][0]["image_url"]["url"])
    assert ref.run_id == "a"
    assert store.get(str(ref.raw_image_id), run_id="a") == samples.PNG
