"""Refs to a stock Kimi K2.5 server: unified vision chunks, one pad for each token of an image."""

import asyncio
from typing import Any

import pytest
from conftest import Models, Start, token_id
from exchange import (
    GENERATE,
    RUN,
    TOKENS,
    Messages,
    Route,
    chat_tokens,
    generate_tokens,
    render,
    rendered_items,
    user,
)
from pictures import KINDS, picture, samples
from server import VllmServer

from mmraw_protocol import parse_features
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.renderers import LayoutProcessor, RawRenderer
from mmraw_protocol.stores import LocalStore

SAMPLES = {name: data for name, data in samples().items() if "1500x900" not in name}


@pytest.fixture
def kimi(start: Start) -> VllmServer:
    """A Kimi K2.5."""
    return start("kimi")


@pytest.fixture
def route(kimi: VllmServer, models: Models, store: LocalStore) -> Route:
    """Refs in the convention of stock vLLM: as many pads as tokens."""
    adapter = get_adapter("kimi_k25", models.get("kimi"), placeholder="expanded")
    return Route(kimi, adapter, token_id(kimi.model, adapter.pad_token), store)


def compare(route: Route, messages: Messages) -> list[int]:
    """Placeholders, grids and tokens by refs, compared with those of stock chat."""
    stock = render(route.server, messages)
    request = route.request(messages, stock["token_ids"])
    assert request["features"]["mm_placeholders"] == stock["features"]["mm_placeholders"]
    slots = parse_features(request["features"]).slots()
    assert [list(route.adapter.grid_thw(slot.ref.payload)) for slot in slots] == [
        item["grid_thws"].data.flatten().tolist() for item in rendered_items(stock, "vision_chunk")
    ]
    tokens = generate_tokens(route.server, request)
    assert tokens == chat_tokens(route.server, messages)
    return tokens


@pytest.mark.parametrize("name", SAMPLES)
def test_an_image_gives_the_tokens_of_stock_chat(route: Route, name: str) -> None:
    compare(route, [user(SAMPLES[name], "what is it?")])


def test_another_image_gives_other_tokens(route: Route) -> None:
    found = {
        tuple(compare(route, [user(KINDS["png"](picture(320, 200, seed)), "what is it?")]))
        for seed in range(6)
    }
    assert len(found) >= 3


def test_several_images_and_turns(route: Route) -> None:
    one, two, three = list(SAMPLES.values())[:3]
    turns: Messages = [user(one, "and", two, "differ how?")]
    compare(route, turns)
    turns += [{"role": "assistant", "content": "in colour"}, user(three, "and this?")]
    compare(route, turns)


def test_one_pad_for_an_image_is_refused(route: Route, models: Models) -> None:
    """Other servers take one pad; stock vLLM embeds a vector at every placeholder."""
    messages = [user(SAMPLES["jpeg-320x200"], "what is it?")]
    request: dict[str, Any] = route.request(messages, render(route.server, messages)["token_ids"])
    (place,) = request["features"]["mm_placeholders"]["vision_chunk"]
    start, length = place["offset"], place["length"]
    del request["token_ids"][start + 1 : start + length]
    place["length"] = 1
    answer = route.server.post(GENERATE, request)
    assert answer.status_code == 400
    assert answer.json()["error"]["mmraw"]["code"] == "placeholder_mismatch"


def test_the_released_renderers_prompts_are_served(
    route: Route, models: Models, store: LocalStore
) -> None:
    """It writes one pad for an image; the raw renderer makes as many as there are tokens."""
    import renderers  # pyright: ignore[reportMissingImports]
    from transformers import AutoTokenizer  # pyright: ignore[reportMissingImports]

    inner = renderers.KimiK25Renderer(
        AutoTokenizer.from_pretrained(models.get("kimi")),
        renderers.KimiK25RendererConfig(),
        processor=LayoutProcessor(route.adapter),
    )
    renderer = RawRenderer(inner, route.adapter, store=store)

    async def answer(data: bytes) -> list[int]:
        prompt = renderer.render([user(data, "what is it?")], add_generation_prompt=True)
        sampling = {"temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}
        async with GenerateClient(route.server.url, "tiny", run_id=RUN) as client:
            done = await client.generate(
                prompt.token_ids, prompt_attribution=prompt, sampling_params=sampling
            )
        return done.token_ids

    one, other = (KINDS["png"](picture(320, 200, seed)) for seed in (41, 42))
    first = asyncio.run(answer(one))
    assert len(first) == TOKENS
    assert asyncio.run(answer(one)) == first
    assert asyncio.run(answer(other)) != first
