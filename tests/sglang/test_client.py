"""The client's requests to /generate, as SGLang's own request type takes them."""

# pyright: reportMissingImports=false

import asyncio
import dataclasses
from typing import Any

import pytest
from engine import RUN, Engine, data_url
from pictures import encode, picture

from mmraw_protocol import pack_images
from mmraw_protocol.conversation.messages import mm_data
from mmraw_protocol.integrations.generate_apis import APIS
from mmraw_protocol.wire.features import build_features

ONE = encode(picture(300, 200), "PNG")
TWO = encode(picture(64, 200), "PNG")


def body(engine: Engine) -> tuple[dict[str, Any], list[int]]:
    """The body for a prompt of two images, and its token ids."""
    expected = engine.processed(data_url(ONE), data_url(TWO))
    prompt = list(expected.input_ids)
    offsets = [item.offsets[0][0] for item in expected.mm_inputs.mm_items]
    parts = [{"type": "image", "image": data} for data in (ONE, TWO)]
    for data in (ONE, TWO):
        engine.store.put(data)
    options = {"storage": "offload", "store": engine.store}
    packed = pack_images([{"role": "user", "content": parts}], engine.adapter, **options)
    features = build_features(mm_data(packed, offsets), "v3", run_id=RUN)
    return APIS["sglang"].body("m", prompt, features, {"max_new_tokens": 4}), prompt


@pytest.mark.parametrize("family", ["qwen3_vl", "glm4v"])
def test_sglang_takes_the_body(engines: Any, family: str) -> None:
    from sglang.srt.managers.io_struct import GenerateReqInput

    engine: Engine = engines(family)
    found, prompt = body(engine)
    assert found.keys() <= {field.name for field in dataclasses.fields(GenerateReqInput)}
    tokenized = asyncio.run(engine._tokenized(found))
    assert list(tokenized.input_ids) == prompt
    assert tokenized.return_logprob
    assert len(tokenized.mm_inputs.mm_items) == 2
