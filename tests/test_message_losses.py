"""No image vanishes: what no reader can look into, or stands at unusual places, is rejected."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

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
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_cannot_be_looked_into_is_rejected(part: Any) -> None:
    for content in (part, [part]):
        assert refusal(user(content)) == ("image_part_unknown", "$[0].content[0]")
