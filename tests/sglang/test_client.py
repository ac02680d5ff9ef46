"""The client of this package, SGLang's own request type and its HTTP application."""

# pyright: reportMissingImports=false

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest
from application import Application
from engine import RUN, Engine, data_url
from pictures import encode, picture
from scheduler import LOGPROB, TOKEN, WORD

from mmraw_protocol import pack_images
from mmraw_protocol.conversation.messages import mm_data
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.generate_apis import APIS, ServerError
from mmraw_protocol.wire.features import build_features

ONE = encode(picture(300, 200), "PNG")
TWO = encode(picture(64, 200), "PNG")


def prompt_of_two(engine: Engine) -> tuple[list[int], Any]:
    """The token ids of a prompt with two images, and the images."""
    expected = engine.processed(data_url(ONE), data_url(TWO))
    offsets = [item.offsets[0][0] for item in expected.mm_inputs.mm_items]
    parts = [{"type": "image", "image": data} for data in (ONE, TWO)]
    options = {"storage": "offload", "store": engine.store}
    packed = pack_images([{"role": "user", "content": parts}], engine.adapter, **options)
    return list(expected.input_ids), mm_data(packed, offsets)


@pytest.mark.parametrize("family", ["qwen3_vl", "glm4v"])
def test_sglang_takes_the_body(engines: Any, family: str) -> None:
    from sglang.srt.managers.io_struct import GenerateReqInput

    engine: Engine = engines(family)
    prompt, images = prompt_of_two(engine)
    features = build_features(images, "v3", run_id=RUN)
    found = APIS["sglang"].body("m", prompt, features, {"max_new_tokens": 4})
    assert found.keys() <= {field.name for field in dataclasses.fields(GenerateReqInput)}
    tokenized = asyncio.run(engine._tokenized(found))
    assert list(tokenized.input_ids) == prompt
    assert tokenized.return_logprob
    assert len(tokenized.mm_inputs.mm_items) == 2


def ask(served: Application, method: str, *args: Any, **options: Any) -> Any:
    """The result of a method of a client of the application."""

    async def asked() -> Any:
        transport = httpx.ASGITransport(app=served.app)
        async with httpx.AsyncClient(transport=transport) as http:
            known: Any = {"engine": "sglang", "run_id": RUN, "http": http}
            client = GenerateClient("http://server", served.model, **known)
            return await getattr(client, method)(*args, **options)

    return asyncio.run(asked())


def message(*urls: str) -> dict[str, Any]:
    """A turn of images."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": parts}


def test_generate_and_its_answer(served: Application) -> None:
    prompt, images = prompt_of_two(served.engine)
    sampling = {"max_new_tokens": 4}
    found = ask(served, "generate", prompt, multi_modal_data=images, sampling_params=sampling)
    assert list(served.sent.pop().input_ids) == prompt
    assert (found.token_ids, found.logprobs, found.finish_reason) == ([TOKEN], [LOGPROB], "stop")
    assert found.multi_modal_data == images


def test_chat_and_its_answer(served: Application) -> None:
    messages = [message(*map(served.engine.ref, (ONE, TWO)))]
    found = ask(served, "chat", messages, sampling_params={"max_tokens": 4})
    assert found.prompt_ids == list(served.sent.pop().input_ids)
    assert (found.text, found.token_ids, found.logprobs) == (WORD, [TOKEN], [LOGPROB])


@pytest.mark.parametrize("method", ["generate", "chat"])
def test_a_refusal_names_code_and_image(served: Application, method: str) -> None:
    images = [served.engine.ref(ONE), served.engine.ref(TWO, mm_hash="0" * 32)]
    prompt, _ = prompt_of_two(served.engine)
    asks: dict[str, Any] = {
        "generate": lambda: ask(served, "generate", prompt, extra_body={"image_data": images}),
        "chat": lambda: ask(served, "chat", [message(*images)]),
    }
    with pytest.raises(ServerError) as caught:
        asks[method]()
    assert (caught.value.code, caught.value.status) == ("hash_mismatch", 400)
    assert caught.value.index == 1
