"""Images of a column become parts in place of their tags; all else of a message stays as it was."""

import base64
from typing import Any, NamedTuple

import pytest
from samples import PNG

from mmraw_protocol import MMRawError, get_adapter, ref_messages
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.integrations.renderers import sized_messages

URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
CACHED = {"cache_control": {"type": "ephemeral"}}


def rewritten(messages: list[Any], *images: Any) -> list[Any]:
    """The messages of a row with a column; its images are shown as IMAGE."""
    made = ref_messages(
        {"messages": messages, "images": list(images)},
        get_adapter("qwen_vl"),
        storage="inline",
        run_id="x",
    )
    return [_shown(message) for message in made]


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        is_image = str(value.get("image_url")).startswith("{'url': 'mmraw:")
        return {
            key: "IMAGE" if is_image and key == "image_url" else _shown(one)
            for key, one in value.items()
        }
    return [_shown(one) for one in value] if isinstance(value, list) else value


IMAGE = {"type": "image_url", "image_url": "IMAGE"}


def text(value: str, **keys: Any) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "text": value, **keys}


def test_text_becomes_parts() -> None:
    (message,) = rewritten([{"role": "user", "content": "a<image>b<image>"}], URL, URL)
    assert message == {"role": "user", "content": [text("a"), IMAGE, text("b"), IMAGE]}


def test_keys_of_text_parts_and_slots_stay() -> None:
    content = [text("a<image>b", **CACHED), {"type": "image", "text": None, **CACHED}, text("c")]
    (message,) = rewritten([{"role": "user", "content": content}], URL, URL)
    assert message["content"] == [
        *(text("a", **CACHED), IMAGE, text("b", **CACHED)),
        {**IMAGE, **CACHED},
        text("c"),
    ]


def test_calls_and_results_of_tools_stay_where_they_are() -> None:
    call = {"type": "tool_use", "id": "t", "name": "look", "input": {"at": "<image>"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "seen: <image>", **CACHED}
    parts = {"type": "tool_result", "tool_use_id": "u", "content": [text("<image>", **CACHED)]}
    calls = [{"id": "t", "function": {"name": "look", "arguments": "{}"}}]
    messages = [
        {"role": "assistant", "content": [call, text("wait")], "tool_calls": calls},
        {"role": "user", "content": [result, parts, text("and now?")], "name": "me"},
    ]
    first, second = rewritten(messages, URL, URL)
    assert first == messages[0]
    assert second["name"] == "me"
    assert second["content"] == [
        {**result, "content": [text("seen: "), IMAGE]},
        {**parts, "content": [IMAGE]},
        text("and now?"),
    ]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("hi", [IMAGE, text("hi")]),
        ("", [IMAGE]),
        ([text("hi", **CACHED)], [IMAGE, text("hi", **CACHED)]),
        (text("hi"), [IMAGE, text("hi")]),
    ],
)
def test_images_without_places_stand_before_the_parts(content: Any, wanted: list[Any]) -> None:
    (message,) = rewritten([{"role": "user", "content": content}], URL)
    assert message == {"role": "user", "content": wanted}


def test_columns_of_messages_are_emptied() -> None:
    message = {"role": "user", "content": "<image>", "images": [URL], "image": None, "name": "me"}
    (made,) = rewritten([message])
    assert made == {"role": "user", "content": [IMAGE], "image": None, "name": "me"}


def test_answers_with_images_need_a_list_of_their_own() -> None:
    row = {
        "prompt": [{"role": "user", "content": "hi"}],
        "completion": [{"role": "assistant", "content": [{"type": "image", "image": URL}]}],
    }
    assert [image.path for image in find_images(row)] == ["$.completion[0].content[0]"]
    with pytest.raises(MMRawError, match="not_convertible") as caught:
        sized_messages(row)
    assert caught.value.path == "$.completion[0].content[0]"


class Part(NamedTuple):
    """A part of a tuple with names."""

    type: str
    image: Any


def test_tuples_with_names_are_parts() -> None:
    (message,) = ref_messages(
        [{"role": "user", "content": (Part("text", None), Part("image", URL))}],
        get_adapter("qwen_vl"),
        storage="inline",
        run_id="x",
    )
    assert type(message["content"][1]) is Part
    assert message["content"][1].image.startswith("mmraw:")
