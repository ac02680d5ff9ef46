"""No image vanishes: what no reader can look into, or stands at unusual places, is rejected."""

import base64
from array import array
from collections import Counter, UserString
from datetime import datetime, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest
from samples import PNG

from mmraw_protocol import MMRawError
from mmraw_protocol.conversation.messages import find_images

URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
IMAGE = {"type": "image", "image": URL}


def user(content: Any, **keys: Any) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": content, **keys}]


def refusal(messages: Any) -> tuple[str, str] | None:
    """Code and path of what `find_images` rejects; None where it does not."""
    try:
        find_images(messages)
    except MMRawError as error:
        return error.code, error.path
    return None


class Named(NamedTuple):
    """A part of a tuple with names."""

    type: str
    path: str


class ImageLink(msgspec.Struct):
    """An object of which its class alone says what it is."""

    link: str


class Computed:
    """An object whose fields are computed."""

    __slots__ = ()

    @property
    def link(self) -> str:
        """The URL of the picture."""
        return URL


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("kind",)

    def __init__(self) -> None:
        self.kind = URL


class Inherited(Slotted):
    """An object whose slots are those of its base."""

    __slots__ = ()


@pytest.mark.parametrize(
    "part",
    [
        {"a": IMAGE}.values(),
        Path("a.png"),
        memoryview(PNG),
        BytesIO(PNG),
        b"BM",
        object(),
        Inherited(),
        {"type": "custom", "data": memoryview(PNG)},
        {"type": "custom", "data": BytesIO(b"no image")},
        {"type": "custom", "data": {URL}},
        {"type": "custom", "data": URL.encode()},
        {"type": "custom", "text": iter([URL])},
        {"type": "image", "image": URL, "other": BytesIO(PNG)},
        Computed(),
        {"type": "custom", "data": iter([URL])},
        {"type": "custom", "data": array("B", PNG)},
        {"type": "custom", "data": list(PNG)},
        {"type": "custom", "data": Path("a.png")},
        {"type": "custom", "data": b"\xff\x0a" + bytes(40)},
        {"type": "custom", "data": ImageLink("https://example.invalid/1")},
        ImageLink("https://example.invalid/1"),
        Named("custom", "a.png"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_cannot_be_looked_into_is_rejected(part: Any) -> None:
    for content in (part, [part]):
        assert refusal(user(content)) == ("image_part_unknown", "$[0].content[0]")


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        Decimal(1),
        uuid4(),
        len,
        int,
        {"a"},
        range(3),
        1j,
        b"abc",
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_of_a_part_are_none(value: Any) -> None:
    assert refusal(user([{"type": "custom", "data": value}])) is None
    assert refusal([{"role": "user", "content": "hi", "extra": value}]) is None


def test_values_within_themselves_are_rejected() -> None:
    rows: list[Any] = []
    rows.append(rows)
    result: dict[str, Any] = {"type": "tool_result"}
    result["content"] = [result]
    for part in (rows, result):
        assert refusal(user([part])) == ("limit_exceeded", "$")
    loop: dict[str, Any] = {"type": "custom"}
    loop["data"] = loop
    assert refusal(user([loop])) is None
    assert refusal(user([UserString("text")])) is None
    assert refusal(user([{"type": "custom", "data": UserString(URL)}])) is not None


def test_a_second_picture_beside_a_source_is_rejected() -> None:
    for part in (
        {"type": "image_url", "image_url": {"url": URL, "other": {"data": URL}}},
        {"inline_data": {"mime_type": "image/png", "data": URL, "more": PNG}},
    ):
        assert refusal(user([part])) == ("image_part_unknown", "$[0].content[0]")


def test_objects_of_any_kind_are_seen_where_a_picture_is_named() -> None:
    part = {"type": "custom", "picture": SimpleNamespace(x=1)}
    assert refusal(user([part])) == ("image_part_unknown", "$[0].content[0]")
    assert refusal(user([{"type": "custom", "picture": {}}])) is None


def test_media_and_images_beside_a_text_are_both_found() -> None:
    skipped = Counter[str]()
    (image,) = find_images(
        user("<image>", videos=["a.mp4"], audio="b", images=[URL]), skipped=skipped
    )
    assert image.source == URL
    assert skipped == {"modality_unsupported": 2}


def test_text_of_an_image_is_one_from_48_characters_on() -> None:
    text = base64.b64encode(PNG).decode()
    part = {"type": "custom", "data": text[:48]}
    assert refusal(user([part])) == ("image_part_unknown", "$[0].content[0]")
    assert refusal(user([{**part, "data": text[:47]}])) is None
    assert refusal(user(text[:48])) == ("image_part_unknown", "$[0].content")
    assert refusal(user(text[:47])) is None
