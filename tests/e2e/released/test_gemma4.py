"""Gemma 4, whose released renderer cannot leave images to the server: by chat, and by features."""

# pyright: reportMissingImports=false

import asyncio
from typing import Any

import pytest
import renderers
from conftest import Start, token_id
from exchange import RUN
from openai import AsyncOpenAI
from pictures import encode, picture
from renderers.client import generate
from rollouts import pictures_of, tensors_are_the_processors
from train_clients import message, new_trace, train_client, turn
from urls import GREEDY, ONE, THREE, TWO, Urls, data_url, user

from mmraw_protocol import build_features, features_to_mm_refs, get_adapter, ref_messages
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.renderers import RawRendererConfig, create_raw_renderer
from mmraw_protocol.stores import LocalStore

REFUSAL = "Gemma4Renderer does not support process_multimodal=False"
CONVERSATION = [
    user(data_url(ONE), "and", data_url(TWO), "differ how?"),
    {"role": "assistant", "content": "in colour"},
    user(data_url(THREE), "and this?"),
]


@pytest.fixture(scope="module")
def gemma(start: Start, store: LocalStore) -> Urls:
    """A server that takes refs as image URLs and in features, and tensors too."""
    server = start("gemma4")
    adapter = get_adapter("gemma4", server.model)
    return Urls(server, adapter, token_id(server.model, adapter.pad_token), store)


def released(gemma: Urls, messages: Any, **options: Any) -> Any:
    """Renders a conversation with the released client."""
    renderer = renderers.create_renderer(tokenizer_of(gemma), renderers.Gemma4RendererConfig())

    async def ask() -> Any:
        async with AsyncOpenAI(base_url=f"{gemma.server.url}/v1", api_key="x") as client:
            asking = {"messages": messages, "model": "tiny", "sampling_params": GREEDY}
            return await generate(client=client, renderer=renderer, **asking, **options)

    return asyncio.run(ask())


def tokenizer_of(gemma: Urls) -> Any:
    return renderers.base.load_tokenizer(str(gemma.server.model))


def test_chat_gives_the_tokens_of_the_data_urls(gemma: Urls) -> None:
    refs = ref_messages(CONVERSATION, gemma.adapter, store=gemma.store)
    tokens = gemma.chat_tokens(CONVERSATION)
    assert gemma.chat_tokens(refs) == tokens
    other = [user(data_url(encode(picture(90, 400, 5), "PNG")), "differ how?")]
    assert gemma.chat_tokens(other) != tokens


def test_refs_in_features_give_what_tensors_give_and_the_trainers_tensors(gemma: Urls) -> None:
    """The released client sends tensors in features; ours sends refs, by one line of the client."""
    stock = released(gemma, CONVERSATION)
    refs = ref_messages(CONVERSATION, gemma.adapter, store=gemma.store)
    own = renderers.Gemma4RendererConfig()
    config = RawRendererConfig(renderer=own, adapter=gemma.adapter, store=gemma.store)
    renderer = create_raw_renderer(tokenizer_of(gemma), config)  # the line
    prompt = renderer.render(refs, add_generation_prompt=True)

    async def ask() -> Any:
        async with GenerateClient(gemma.server.url, "tiny", run_id=RUN) as client:
            return await client.generate(
                prompt.token_ids, prompt_attribution=prompt, sampling_params=GREEDY
            )

    answer = asyncio.run(ask())
    assert answer.prompt_ids == stock["prompt_ids"]
    assert answer.token_ids == stock["completion_ids"]
    rollout = features_to_mm_refs(build_features(answer.multi_modal_data, run_id=RUN))
    assert [row["url"] for row in rollout["images"]] == [i.source for i in find_images(refs)]
    tensors_are_the_processors(gemma, rollout, answer.prompt_ids, pictures_of(CONVERSATION))


def test_the_released_clients_refuse_to_leave_images_to_the_server(gemma: Urls) -> None:
    """When this fails, Gemma 4 can be among the models of the other tests."""
    refs = ref_messages(CONVERSATION, gemma.adapter, store=gemma.store)
    with pytest.raises(NotImplementedError, match=REFUSAL):
        released(gemma, refs, process_multimodal=False)

    async def rollout() -> None:
        async with train_client(gemma.server.url, gemma.server.model, "gemma4") as client:
            await turn(client, new_trace(), [message(gemma.ref(ONE))])

    with pytest.raises(NotImplementedError, match=REFUSAL):
        asyncio.run(rollout())
