"""Refs to a stock Qwen3-VL server give what the same conversation gives through stock chat."""

# pyright: reportMissingImports=false

import io
from typing import Any

import pytest
from exchange import Messages, Route, chat_tokens, generate_tokens, render, rendered_items, user
from pictures import KINDS, picture, rotated, samples, with_alpha
from PIL import Image, ImageOps

from mmraw_protocol import parse_features

SAMPLES = samples()


def grids(route: Route, request: dict[str, Any]) -> list[list[int]]:
    """The grids that a request's refs name."""
    slots = parse_features(request["features"]).slots()
    return [list(route.adapter.grid_thw(slot.ref.payload)) for slot in slots]


def tensor_grids(rendered: dict[str, Any]) -> list[list[int]]:
    """The grids of stock tensors."""
    items = rendered_items(rendered, "image")
    return [item["image_grid_thw"].data.flatten().tolist() for item in items]


def compare(route: Route, messages: Messages) -> list[int]:
    """Placeholders, grids and tokens by refs, compared with those of stock chat."""
    stock = render(route.server, messages)
    request = route.request(messages, stock["token_ids"])
    assert request["features"]["mm_placeholders"] == stock["features"]["mm_placeholders"]
    assert grids(route, request) == tensor_grids(stock)
    tokens = generate_tokens(route.server, request)
    assert tokens == chat_tokens(route.server, messages)
    return tokens


@pytest.mark.parametrize("name", SAMPLES)
def test_an_image_gives_the_tokens_of_stock_chat(qwen_route: Route, name: str) -> None:
    compare(qwen_route, [user(SAMPLES[name], "what is it?")])


@pytest.mark.parametrize(
    ("storage", "dialect"), [("offload", "v2"), ("offload", "v3"), ("inline", "v3")]
)
def test_every_way_of_writing_a_ref_gives_them(
    qwen_route: Route, storage: str, dialect: str
) -> None:
    qwen_route.storage, qwen_route.dialect = storage, dialect
    compare(qwen_route, [user(SAMPLES["jpeg-640x480"], "and this?")])


def test_another_image_gives_other_tokens(qwen_route: Route) -> None:
    found = {
        tuple(compare(qwen_route, [user(KINDS["png"](picture(320, 200, seed)), "what is it?")]))
        for seed in range(6)
    }
    assert len(found) >= 5


def test_several_images_in_one_prompt(qwen_route: Route) -> None:
    one, two, three = list(SAMPLES.values())[:3]
    first = compare(qwen_route, [user(one, "and", two, three, "differ how?")])
    swapped = compare(qwen_route, [user(two, "and", one, three, "differ how?")])
    assert first != swapped
    compare(qwen_route, [user(one, one, "twice?")])


def test_several_turns_carry_the_images_of_all_of_them(qwen_route: Route) -> None:
    one, two, three = list(SAMPLES.values())[3:6]
    turns: Messages = []
    for images, answer in (((one,), "a cat"), ((two, three), "two dogs"), ((), "no"), ((one,), "")):
        turns.append(user(*images, "and now?"))
        compare(qwen_route, turns)
        turns.append({"role": "assistant", "content": answer})


def test_stock_loading_turns_an_image_by_its_exif_and_refs_do_not(qwen_route: Route) -> None:
    data = rotated()
    messages = [user(data, "what is it?")]
    stock = render(qwen_route.server, messages)
    assert tensor_grids(stock) == [[1, 40, 20]]
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert turned.size == (320, 640)
    # The prompt for refs is that of the same pixels without EXIF data.
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "PNG")
    plain = [user(buffer.getvalue(), "what is it?")]
    request = qwen_route.request(messages, render(qwen_route.server, plain)["token_ids"])
    assert grids(qwen_route, request) == [[1, 20, 40]]
    tokens = generate_tokens(qwen_route.server, request)
    assert tokens == chat_tokens(qwen_route.server, plain)
    assert tokens != chat_tokens(qwen_route.server, messages)


def test_stock_loading_puts_transparency_on_white_and_refs_drop_it(qwen_route: Route) -> None:
    data = with_alpha()
    messages = [user(data, "what is it?")]
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "PNG")
    dropped = [user(buffer.getvalue(), "what is it?")]
    stock = render(qwen_route.server, messages)
    (white,) = rendered_items(stock, "image")
    (pixels,) = rendered_items(render(qwen_route.server, dropped), "image")
    assert not white["pixel_values"].data.equal(pixels["pixel_values"].data)
    tokens = qwen_route.tokens(messages, stock["token_ids"])
    assert tokens == chat_tokens(qwen_route.server, dropped)
    assert tokens != chat_tokens(qwen_route.server, messages)
