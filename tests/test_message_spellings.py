"""Every spelling of an image in messages: read by all that reads them, or rejected by its path."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from PIL import Image
from samples import PNG

from mmraw_protocol import (
    MMRawError,
    get_adapter,
    inline_messages,
    offload_messages,
    pack_images,
    ref_messages,
)
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.conversation.image_refs import content_parts
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.conversation.prompts import stand_in_prompt
from mmraw_protocol.files.validation import check_value
from mmraw_protocol.integrations.renderers import sized_messages
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.messages import SPELLINGS

QWEN = get_adapter("qwen_vl")
BASE64 = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{BASE64}"
#: One pixel of the vectors.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


def vectors(name: str) -> list[dict[str, Any]]:
    """The rows of a file of vectors."""
    lines = (vectors_folder() / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


#: Rows with images in answers beside their messages.
BESIDE = {
    f"find_images/answers-{name}"
    for name in (
        *("completion", "chosen-rejected", "column-over-all", "of-one-message"),
        "messages-and-prompt",
    )
}
TABLE = vectors("find_images-sdk.jsonl") + vectors("find_images.jsonl")


def given(row: dict[str, Any]) -> Any:
    """The messages of a vector, or its row."""
    return row["input"] if len(row["input"]) > 1 else row["input"].get("messages", row["input"])


def user(*parts: Any) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": list(parts)}]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


def refusal(call: Callable[[], Any]) -> dict[str, str] | None:
    """Code and path of what a call rejects; None where it does not."""
    try:
        call()
    except MMRawError as error:
        return {"code": error.code, "path": error.path}
    return None


def test_the_table_has_no_silent_loss() -> None:
    rows = vectors("find_images-sdk.jsonl")
    assert len(rows) >= 60
    assert len({row["id"].rsplit("-", 1)[0] for row in rows}) == 8, "eight libraries"
    for row in rows:
        assert row.get("error") or row["result"]["images"], row["id"]


def test_every_spelling_is_in_the_vectors() -> None:
    images = [image for row in TABLE if "result" in row for image in row["result"]["images"]]
    assert {image["spelling"] for image in images} == set(SPELLINGS)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["id"])
def test_all_that_reads_messages_agrees(row: dict[str, Any], store: LocalStore) -> None:
    messages = given(row)
    calls = {
        "find": lambda: find_images(messages),
        "pack": lambda: pack_images(messages, QWEN, store=store),
        "offload": lambda: offload_messages(messages, store),
        "inline": lambda: inline_messages(messages),
        "sized": lambda: sized_messages(messages),
        "refs": lambda: ref_messages(messages, QWEN, storage="inline", run_id="x"),
    }
    if "error" in row:
        opened = row["error"]["code"] in ("source_unsupported", "missing_source", "empty_source")
        for name, call in calls.items():
            found = refusal(call)
            assert found == row["error"] or (name == "find" and opened), name
        return
    images = row["result"]["images"]
    if row["id"] in BESIDE:
        # One list of messages cannot hold them.
        for name in ("sized", "refs"):
            assert (refusal(calls.pop(name)) or {})["code"] == "not_convertible"
    if any("/data/" in image["source"] for image in images):
        assert len(find_images(messages)) == len(images), "no such file: found, not opened"
        return
    for call in calls.values():
        assert len(call()) or not images
    packed = pack_images(messages, QWEN, store=store)
    assert [one.where.path for one in packed] == [image["path"] for image in images]
    before = json.dumps(row["input"])
    stored = offload_messages(messages, store)
    spellings = [image["spelling"] for image in images]
    assert json.dumps(row["input"]) == before, "what is given is never changed"
    assert json.dumps(stored).count(PIXEL) < before.count(PIXEL) or not images
    assert len(find_images(stored)) == len(images)
    back = inline_messages(stored, store=store)
    assert [one.data for one in pack_images(back, QWEN, storage="inline")] == [
        one.data for one in packed
    ]
    assert [one.spelling for one in find_images(back)] == spellings or "langchain" in spellings
    if "refs" not in calls:
        return
    refs = ref_messages(messages, QWEN, storage="inline", run_id="x")
    assert len(content_parts(refs)) == len(images)
    assert len(stand_in_prompt(messages, packed, QWEN).placeholders) == len(images)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["id"])
def test_validate_sees_what_is_no_image_that_is_read(row: dict[str, Any]) -> None:
    messages = given(row)
    findings = [one for one in check_value(messages) if one.kind == "messages"]
    rejected = [one.error.code for one in findings if one.error is not None]
    error = refusal(lambda: find_images(messages))
    if error is not None and error["code"] == "invalid_type":
        return
    assert findings or error is None or "role" not in json.dumps(messages), "none is passed over"
    assert rejected == ([error["code"]] if error and findings else [])


class Source(msgspec.Struct, frozen=True):
    """A typed source of Anthropic's form."""

    type: str = "base64"
    media_type: str | None = "image/png"
    data: str | None = BASE64
    url: str | None = None


class ImageBlock(msgspec.Struct, frozen=True):
    """A typed part of Anthropic's form."""

    source: Source = Source()
    type: str = "image"


class Blob(msgspec.Struct, frozen=True):
    """Typed bytes of Gemini's form."""

    mime_type: str = "image/png"
    data: bytes = PNG


class Part(msgspec.Struct):
    """A typed part of Gemini's form."""

    inline_data: Blob | None = Blob()
    file_data: Any = None


class ImageContent(msgspec.Struct):
    """A typed part of MCP's form."""

    type: str = "image"
    data: str = BASE64
    mimeType: str = "image/png"  # noqa: N815


@pytest.mark.parametrize(
    "part",
    [ImageBlock(), Part(), ImageContent(), SimpleNamespace(type="input_image", image_url=URL)],
    ids=lambda part: type(part).__name__,
)
def test_typed_parts_keep_their_kind(part: Any, store: LocalStore) -> None:
    messages = user(part)
    stored = offload_messages(messages, store)
    made = stored[0]["content"][0]
    assert type(made) is type(part)
    assert made != part
    (again,) = pack_images(stored, QWEN, store=store)
    assert again.data == PNG
    back = inline_messages(stored, store=store)
    assert type(back[0]["content"][0]) is type(part)
    assert pack_images(back, QWEN, storage="inline")[0].data == PNG


def test_a_typed_message_is_read_and_rewritten(store: LocalStore) -> None:
    message = SimpleNamespace(role="user", content=[{"type": "image", "image": URL}])
    (stored,) = offload_messages([message], store)
    assert type(stored) is SimpleNamespace
    assert stored.content[0]["image"].startswith("file://")
    assert message.content[0]["image"] == URL


class ObjectArray:
    """Stands in for a NumPy array of objects, which is no Sequence: what pandas makes of a list."""

    ndim = 1
    dtype = SimpleNamespace(kind="O")

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __setitem__(self, index: int, value: Any) -> None:
        self.items[index] = value

    def copy(self) -> "ObjectArray":
        """Another array with the same items."""
        return ObjectArray([*self.items])

    def tolist(self) -> list[Any]:
        """The items."""
        return self.items


IMAGE = {"type": "image", "image": URL}


@pytest.mark.parametrize(
    "content",
    [
        lambda: [IMAGE],
        lambda: (IMAGE,),
        lambda: iter([IMAGE]),
        lambda: (part for part in [IMAGE]),
        lambda: ObjectArray([IMAGE]),
        lambda: IMAGE,
    ],
    ids=["list", "tuple", "iterator", "generator", "array", "part"],
)
def test_content_of_any_kind_is_read(content: Callable[[], Any], store: LocalStore) -> None:
    (image,) = find_images([{"role": "user", "content": content()}])
    assert image.path == "$[0].content[0]"
    (stored,) = offload_messages([{"role": "user", "content": content()}], store)
    kind = type(content())
    kept = (list, tuple, ObjectArray, dict)
    assert type(stored["content"]) is (kind if kind in kept else list)
    assert len(find_images([stored])) == 1


def test_iterators_within_parts_are_read() -> None:
    part = {"type": "tool_result", "tool_use_id": "t", "content": iter([IMAGE])}
    (image,) = find_images(user(part))
    assert image.path == "$[0].content[0].content[0]"


def test_rows_of_arrays_are_read() -> None:
    row = {
        "prompt": ObjectArray([{"role": "user", "content": "<image>hi"}]),
        "images": ObjectArray([{"bytes": PNG, "path": None}]),
    }
    (packed,) = pack_images(row, QWEN, storage="inline")
    assert (packed.data, packed.where.path) == (PNG, "$.images[0]")


@pytest.mark.parametrize("entry", [PNG, URL, BASE64, Image.new("RGB", (64, 48)), {"bytes": PNG}])
def test_a_column_holds_images_of_any_kind(entry: Any, store: LocalStore) -> None:
    row = {"messages": [{"role": "user", "content": "<image>hi"}], "images": [entry]}
    (packed,) = pack_images(row, QWEN, store=store)
    assert packed.where.message_index == 0
    stored = offload_messages(row, store)
    assert stored.keys() == row.keys()
    (again,) = pack_images(stored, QWEN, store=store)
    assert again.data == packed.data


def test_refs_and_renderers_get_a_column_as_parts() -> None:
    row = {"messages": [{"role": "user", "content": "a<image>b"}], "images": [URL]}
    (message,) = ref_messages(row, QWEN, storage="inline", run_id="x")
    assert message.keys() == {"role", "content"}
    before, image, after = message["content"]
    assert (before["text"], after["text"]) == ("a", "b")
    assert image["image_url"]["url"].startswith("mmraw:")
    (sized,) = sized_messages(row)
    assert [part["type"] for part in sized["content"]] == ["text", "image", "text"]


def test_pictures_and_bytes_among_the_parts_are_rejected() -> None:
    for part in (Image.new("RGB", (2, 2)), PNG, bytearray(PNG)):
        assert refusal(lambda part=part: find_images(user(part))) == {
            "code": "image_part_unknown",
            "path": "$[0].content[0]",
        }


def test_what_is_skipped_is_counted() -> None:
    conversation = [
        *user({"type": "image_pil", "image_pil": "x"}, IMAGE, {"type": "video", "video": "a"}),
        *user({"type": "input_image", "file_id": "f"}, {"type": "image_pil", "image_pil": "x"}),
    ]
    skipped: Counter[str] = Counter()
    (packed,) = pack_images(conversation, QWEN, storage="inline", skipped=skipped)
    assert packed.where.path == "$[0].content[1]"
    assert skipped == {
        "image_part_unknown": 2,
        "modality_unsupported": 1,
        "source_unsupported": 1,
    }


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64,",
        "data:image;base64,",
        " \n data:image;base64,",
        "data:image/None;base64,",
        "data:image/PNG;base64,",
        "data:image/jpeg;charset=utf-8;base64,",
        "data:;base64,",
        "data:application/octet-stream;base64,",
        "DATA:IMAGE/PNG;BASE64,",
        "",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        BASE64,
        base64.encodebytes(PNG).decode(),
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
    ],
    ids=["plain", "line-breaks", "url-safe", "percent"],
)
def test_data_urls_are_read_in_every_spelling(head: str, body: str) -> None:
    if not head and "%" in body:
        return
    (packed,) = pack_images(user({"type": "image", "image": head + body}), QWEN, storage="inline")
    assert packed.data == PNG
    assert packed.item.raw_uri == URL, "what is written has one spelling"


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("data:image/png," + "A" * 8, "invalid_raw_uri", "no ;base64 before its comma"),
        ("data:image/png;base64", "invalid_raw_uri", "no comma"),
        ("data:image/png;base64,A", "invalid_base64", "not base64 of either alphabet"),
        ("data:image/png;base64,AA!A", "invalid_base64", "not base64 of either alphabet"),
        ("data:image/png;base64,", "empty_source", "no bytes"),
        ("data:video/mp4;base64,AAAA", "modality_unsupported", "video is not supported"),
        ("https://example.invalid/a.png", "source_unsupported", "nothing is ever fetched"),
    ],
)
def test_other_urls_are_rejected_with_a_true_sentence(source: str, code: str, says: str) -> None:
    with pytest.raises(MMRawError, match=code) as caught:
        pack_images(user({"type": "image", "image": source}), QWEN, storage="inline")
    assert says in caught.value.message
    assert caught.value.path == "$[0].content[0]"
