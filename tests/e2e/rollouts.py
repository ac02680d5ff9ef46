"""Conversations to the generate route, which expands the prompt, and from its answers to tensors.

Each is sent twice to one server: with data: URLs, and with refs in their place.
"""

# pyright: reportMissingImports=false

import base64
import io
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from conftest import KEY
from PIL import Image
from urls import GREEDY, ONE, THREE, TWO, Urls, data_url, user

from mmraw_protocol import content_parts, expand_prompt, mm_refs, mm_refs_to_features, ref_messages
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.transformers import TensorMaker

Messages = Sequence[Any]

#: The tolerance of logprobs for the same pixels; those of mirrored pictures differ by 0.015.
CLOSE = 0.002

TOOL = {
    "name": "screenshot",
    "description": "what the screen shows",
    "parameters": {"type": "object", "properties": {"zoom": {"type": "integer"}}},
}
_CALL = {"name": "screenshot", "arguments": '{"zoom": 2}'}
_URLS = [data_url(data) for data in (ONE, TWO, THREE)]
_SAID = {"role": "assistant", "content": "a red square"}
_CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": _CALL}],
}
_SHOWN = {"role": "tool", "tool_call_id": "c1", "content": user(_URLS[1])["content"]}

#: One image, several, one that comes again, several turns, images that a tool answers with.
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one": [user(_URLS[0], "what is it?")],
    "several": [user(_URLS[1], "and", _URLS[0], _URLS[2], "differ how?")],
    "repeated": [user(_URLS[0], _URLS[0], "twice?")],
    "turns": [
        user(_URLS[0], "what is it?"),
        _SAID,
        user(_URLS[1], _URLS[2], "and these?"),
        _SAID,
        user("no image"),
        _SAID,
        user(_URLS[0], "again?"),
    ],
    "tools": [user("look at the screen"), _CALLED, _SHOWN, _SAID, user(_URLS[0], "the same?")],
}


class Answer(NamedTuple):
    """A client's answer.

    Attributes:
        compact_ids: The prompt that it sent: one token to expand for an image.
        prompt_ids: The prompt as the server expanded it.
        token_ids: Of the completion.
        mm_placeholders: Spans by modality in `prompt_ids`.
        logprobs: Of the completion's tokens.
    """

    compact_ids: list[int]
    prompt_ids: list[int]
    token_ids: list[int]
    mm_placeholders: Mapping[str, Any]
    logprobs: list[float]

    def is_like(self, other: "Answer") -> bool:
        """True if both have the same prompt and tokens, and the model saw the same pixels."""
        return self[:4] == other[:4] and self.logprobs == pytest.approx(other.logprobs, abs=CLOSE)


#: Sends a conversation.
Ask = Callable[[Messages], Awaitable[Answer]]


def tools_of(messages: Messages) -> list[Any] | None:
    """The tool, where the conversation calls it."""
    return [TOOL] if any(message["role"] == "tool" for message in messages) else None


def renderer_of(urls: Urls) -> Any:
    """The released renderer of the server's model, made by its own package."""
    import renderers

    name = {"qwen_vl": "Qwen3VL", "kimi_k25": "KimiK25"}[urls.adapter.family]
    tokenizer = renderers.base.load_tokenizer(str(urls.server.model))
    return renderers.create_renderer(tokenizer, getattr(renderers, f"{name}RendererConfig")())


def released_client(urls: Urls) -> Ask:
    """`renderers.client.generate`, which leaves the images to the server."""
    from openai import AsyncOpenAI
    from renderers.client import generate

    renderer = renderer_of(urls)

    async def ask(messages: Messages) -> Answer:
        async with AsyncOpenAI(base_url=f"{urls.server.url}/v1", api_key=KEY) as client:
            result = await generate(
                client=client,
                renderer=renderer,
                messages=list(messages),
                model="tiny",
                tools=tools_of(messages),
                sampling_params=GREEDY,
                process_multimodal=False,
            )
        names = ("renderer_prompt_ids", "prompt_ids", "completion_ids", "mm_placeholders")
        return Answer(*(result[name] for name in names), result["completion_logprobs"])

    return ask


def own_client(urls: Urls) -> Ask:
    """The released renderer with the client of this package."""
    renderer = renderer_of(urls)

    async def ask(messages: Messages) -> Answer:
        options = {"tools": tools_of(messages), "process_multimodal": False}
        rendered = renderer.render(messages, add_generation_prompt=True, **options)
        body = {"content_parts": content_parts(messages), "return_token_ids": True}
        sampling = {**GREEDY, "logprobs": 1}
        async with GenerateClient(urls.server.url, "tiny", api_key=KEY) as client:
            answer = await client.generate(
                rendered.token_ids, sampling_params=sampling, extra_body=body
            )
        assert answer.logprobs is not None
        response = answer.response
        spans = response["mm_placeholders"]
        expanded = response["prompt_token_ids"]
        return Answer(answer.prompt_ids, expanded, answer.token_ids, spans, answer.logprobs)

    return ask


async def refs_and_urls_agree(urls: Urls, ask: Ask, messages: Messages) -> Answer:
    """Refs give prompt, spans, tokens and tensors of the data: URLs of `messages`."""
    refs = ref_messages(messages, urls.adapter, store=urls.store)
    stock, answer = await ask(messages), await ask(refs)
    assert answer.is_like(stock)
    expected = expand_prompt(
        answer.compact_ids,
        [image.source for image in find_images(refs)],
        urls.adapter,
        vocabulary=vocabulary(urls),
    )
    assert answer.prompt_ids == expected.token_ids
    places = [{"offset": p.offset, "length": p.length} for p in expected.placeholders]
    assert answer.mm_placeholders == {urls.adapter.feature_modality: places}
    rollout = json.loads(json.dumps(mm_refs(refs, answer.mm_placeholders)))
    tensors_are_the_processors(urls, rollout, answer.prompt_ids, pictures_of(messages))
    return answer


def pictures_of(messages: Messages) -> list[Image.Image]:
    """The pictures of a conversation with data: URLs, in the order of the prompt."""
    return [decoded(image.source) for image in find_images(messages)]


def tensors_are_the_processors(
    urls: Urls, rollout: Any, token_ids: list[int], pictures: list[Image.Image]
) -> None:
    """A trainer makes of a rollout what its own processor makes of the pictures."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(urls.server.model)
    make = TensorMaker(processor, store=urls.store)
    features = mm_refs_to_features(rollout)
    tensors = make(features, token_ids=token_ids, pad_token_id=urls.target)
    types = tensors.pop("mm_token_type_ids", None)
    assert types is None or types.tolist() == [int(token == urls.target) for token in token_ids]
    made = processor(images=pictures, return_tensors="pt")
    types = tensors.pop("mm_token_type_ids", None)
    assert types is None or types.tolist() == [int(i == urls.target) for i in token_ids]
    for name, tensor in tensors.items():
        assert tensor.equal(made["image_grid_thw" if name == "grid_thws" else name]), name


def vocabulary(urls: Urls) -> dict[str, int]:
    """The ids of the model's tokens."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(urls.server.model / "tokenizer.json")).get_vocab()


def decoded(url: str) -> Image.Image:
    """The pixels of a data: URL as they are stored."""
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")
    return Image.frombytes("RGB", image.size, image.tobytes())
