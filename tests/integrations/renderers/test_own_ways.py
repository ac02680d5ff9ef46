"""Treatments of images that only single released renderers have."""

from typing import Any

import pytest
import tiny
from pairs import SOURCES, Pair, places

from mmraw_protocol import MMRawError
from mmraw_protocol.integrations.renderers import RawRenderer
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.json import to_builtins

NEMOTRON, INKLING = "Nemotron35Renderer", "InklingRenderer"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("run") / "assets" / "images")


def image(picture: Any) -> dict[str, Any]:
    return SOURCES["bytes"](picture)


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def shown(rendered: Any) -> str:
    """The prompt as text, one pad for each image."""
    spans = [range(offset + 1, offset + length) for offset, length in places(rendered)]
    kept = [
        token
        for index, token in enumerate(rendered.token_ids)
        if not any(index in span for span in spans)
    ]
    return tiny.tokenizer().decode(kept)


def test_nemotron_counts_the_images_of_a_message_that_has_several(
    store: LocalStore, pictures: list[Any]
) -> None:
    pair = Pair(NEMOTRON, store)
    first, second = pictures[4:6]
    messages = [
        {"role": "user", "content": [image(first), text("and"), image(second), image(first)]},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": [image(second)]},
    ]
    rendered = pair.raw.render(messages)
    pair.same(rendered, pair.real.render(messages))
    prompt = shown(rendered)
    one = "<img><image></img>"
    assert f"<image 1>{one}and<image 2>{one}<image 3>{one}<|im_end|>" in prompt
    assert prompt.endswith(f"<|im_start|>user\n{one}<|im_end|>\n")
    hashes = [picture.mm_hash for picture in (first, second, first, second)]
    assert rendered.multi_modal_data.mm_hashes["image"] == hashes


def test_nemotrons_caller_may_place_the_images(store: LocalStore, pictures: list[Any]) -> None:
    pair = Pair(NEMOTRON, store)
    first, second = pictures[4:6]
    content = [image(first), image(second), text("is <image> in <image>")]
    messages = [{"role": "user", "content": content}]
    rendered = pair.raw.render(messages)
    pair.same(rendered, pair.real.render(messages))
    assert "is <img><image></img> in <img><image></img>" in shown(rendered)


def test_nemotron_goes_on_from_no_turn_with_images(store: LocalStore, pictures: list[Any]) -> None:
    pair = Pair(NEMOTRON, store, thinking_retention="all")
    rendered = pair.raw.render([{"role": "user", "content": [image(pictures[4])]}])
    turn = [{"role": "user", "content": "and now"}]
    bridged = pair.raw.bridge_to_next_turn(
        rendered.token_ids,
        pair.completion(turn),
        turn,
        previous_multi_modal_data=rendered.multi_modal_data,
    )
    assert bridged is None


def test_inkling_drops_what_a_tool_shows_and_that_is_told(
    store: LocalStore, pictures: list[Any]
) -> None:
    pair = Pair(INKLING, store)
    seen, dropped = pictures[4:6]
    messages = [
        {"role": "user", "content": [image(seen)]},
        {"role": "assistant", "content": "a"},
        {"role": "tool", "name": "screenshot", "content": [image(dropped)]},
    ]
    with pytest.raises(MMRawError) as caught:
        pair.raw.render(messages)
    assert (caught.value.code, caught.value.path) == ("missing_slot", "$[2].content[0]")
    lenient = RawRenderer(pair.layout_only, pair.adapter, store=store, allow_dropped=True)
    rendered = lenient.render(messages)
    assert rendered.token_ids == pair.real.render(messages).token_ids
    assert rendered.multi_modal_data.mm_hashes["image"] == [seen.mm_hash]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("Gemma4Renderer", "<|image>", "<image|>"),
        (NEMOTRON, "<img>", "</img>"),
        (INKLING, "<|content_image|>", "<|end_message|>"),
    ],
)
def test_a_span_holds_pads_alone(
    name: str, before: str, after: str, store: LocalStore, pictures: list[Any]
) -> None:
    pair = Pair(name, store)
    rendered = pair.raw.render([{"role": "user", "content": [image(pictures[4])]}])
    ((offset, length),) = places(rendered)
    around = [rendered.token_ids[offset - 1], rendered.token_ids[offset + length]]
    assert tiny.tokenizer().convert_ids_to_tokens(around) == [before, after]
    (described,) = [pair.adapter.describe(pictures[4].data)]
    assert length == described.num_tokens > 1
    assert rendered.multi_modal_data.mm_items["image"][0]["payload"] == to_builtins(
        described.payload
    )
