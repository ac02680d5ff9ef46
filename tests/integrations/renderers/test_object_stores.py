"""Conversations whose images were put into an object store first: renderer and trainer read them.

Environments offload what they see; the renderer and supervised training then get the store's URLs.
"""

from __future__ import annotations

from typing import Any

import processors
import pytest
import torch
from pairs import Pair

from mmraw_protocol import build_features, offload_messages, open_store, pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import RawRenderer, sized_messages
from mmraw_protocol.integrations.rollouts import RowReader
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.integrations.transformers import pack_images as pack_tensors
from mmraw_protocol.stores import AssetStore

PAD = 9


@pytest.fixture
def store() -> AssetStore:
    return open_store("memory://bucket/run_x/assets/images", run_id="x")


@pytest.fixture
def messages(pictures: list[Any]) -> list[dict[str, Any]]:
    # One that is fully opaque in each format.
    chosen = [one for one in pictures if one.name in ("grey.png", "photo.jpg", "lossless.webp")]
    content = [{"type": "image", "image": picture.data} for picture in chosen]
    return [{"role": "user", "content": [*content, {"type": "text", "text": "which is red?"}]}]


@pytest.fixture
def offloaded(messages: list[dict[str, Any]], store: AssetStore) -> list[dict[str, Any]]:
    stored = offload_messages(messages, store)
    urls = [part["image"] for part in stored[0]["content"][:-1]]
    assert all(url.startswith("memory://bucket/run_x/") for url in urls)
    return stored


@pytest.mark.parametrize("kind", ["Qwen3VLRenderer", "KimiK25Renderer"])
def test_a_renderer_reads_urls_of_its_store(
    kind: str, messages: list[Any], offloaded: list[Any], store: AssetStore
) -> None:
    pair: Any = Pair(kind, store)
    want, got = pair.raw.render(messages), pair.raw.render(offloaded)
    assert got.token_ids == want.token_ids == pair.raw.render_ids(offloaded)
    assert got.multi_modal_data == want.multi_modal_data
    again = build_features(got.multi_modal_data, run_id="x")
    assert again == build_features(want.multi_modal_data, run_id="x")
    assert len(sized_messages(offloaded, store=store)[0]["content"]) == 4


def test_a_trainers_packing_reads_urls_of_its_makers_store(
    messages: list[Any], offloaded: list[Any], store: AssetStore
) -> None:
    maker = TensorMaker(processors.qwen(), store=store)
    want, got = pack_tensors(messages, maker), pack_tensors(offloaded, maker)
    assert len(got) == 3
    for one, other in zip(got, want, strict=True):
        assert torch.equal(one.tensors["pixel_values"], other.tensors["pixel_values"])


def test_rows_of_messages_and_of_refs_are_read_through_the_store(
    offloaded: list[Any], store: AssetStore
) -> None:
    maker = TensorMaker(processors.qwen(), store=store)
    packed = pack_images(offloaded, maker.adapter, store=store)
    tokens = [token for one in packed for token in (*[PAD] * one.description.num_tokens, 1)]
    sample = RowReader(maker, pad_token_id=PAD)({"token_ids": tokens, "messages": offloaded})
    want = torch.cat([one.tensors["pixel_values"] for one in pack_tensors(offloaded, maker)])
    assert torch.equal(sample["pixel_values"], want)


def test_a_renderer_without_the_store_says_so(offloaded: list[Any]) -> None:
    class Inner:
        """A renderer that is never reached."""

    renderer = RawRenderer(Inner(), get_adapter("qwen_vl"))
    with pytest.raises(Exception, match="source_unsupported") as caught:
        renderer.render(offloaded)
    assert getattr(caught.value, "path", "") == "$[0].content[0]"
