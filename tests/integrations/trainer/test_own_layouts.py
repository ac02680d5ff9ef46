"""A trainer follows the layout parameters that a part names for its image."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
import torch
from PIL import Image
from processors import qwen

from mmraw_protocol import MMRawError, build_features, mm_data
from mmraw_protocol.conversation.messages import pack_images as pack_raw
from mmraw_protocol.integrations.rows import RowReader
from mmraw_protocol.integrations.transformers import TensorMaker, pack_images

OWN = {"min_pixels": 3136, "max_pixels": 50176}


def picture() -> bytes:
    """Noise of 500 x 400 pixels."""
    buffer = io.BytesIO()
    Image.effect_noise((500, 400), 90).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def messages(data: bytes) -> list[dict[str, Any]]:
    """The same picture twice, under the checkpoint's layout and under one of its own."""
    parts = [{"type": "image", "image": data}, {"type": "image", "image": data, **OWN}]
    return [{"role": "user", "content": parts}]


def expected(data: bytes) -> list[Any]:
    """Processes with the same options in the processor itself."""
    image = Image.open(io.BytesIO(data))
    size = {"shortest_edge": OWN["min_pixels"], "longest_edge": OWN["max_pixels"]}
    return [
        qwen().preprocess([image], return_tensors="pt"),
        qwen().preprocess([image], return_tensors="pt", size=size),
    ]


def body_of(maker: TensorMaker, data: bytes) -> dict[str, Any]:
    """A features body with both refs."""
    packed = pack_raw(messages(data), maker.adapter, storage="inline")
    first = packed[0].description.placeholder_length
    return build_features(mm_data(packed, [1, first + 2]), run_id="x")


def test_the_trainers_packing_follows_the_part() -> None:
    data = picture()
    made = pack_images(messages(data), TensorMaker(qwen()))
    for one, want in zip(made, expected(data), strict=True):
        assert torch.equal(one.tensors["pixel_values"], want["pixel_values"])
        assert torch.equal(one.tensors["image_grid_thw"], want["image_grid_thw"])


def test_refs_are_followed_where_their_layout_is_known() -> None:
    data = picture()
    maker = pickle.loads(pickle.dumps(TensorMaker(qwen(), layouts=[OWN])))
    tensors = maker(body_of(maker, data))
    want = expected(data)
    assert torch.equal(tensors["pixel_values"], torch.cat([one["pixel_values"] for one in want]))
    assert torch.equal(
        tensors["image_grid_thw"], torch.cat([one["image_grid_thw"] for one in want])
    )


def test_other_layouts_are_refused_by_their_fingerprint() -> None:
    maker = TensorMaker(qwen())
    with pytest.raises(MMRawError) as caught:
        maker(body_of(maker, picture()))
    assert caught.value.code == "fingerprint_mismatch"
    assert caught.value.path == "$.kwargs_data.image[1].fingerprint"


def test_rows_of_messages_are_followed() -> None:
    data = picture()
    maker = TensorMaker(qwen())
    packed = pack_raw(messages(data), maker.adapter, storage="inline")
    first, second = (image.description.placeholder_length for image in packed)
    tokens = [151652, *[151655] * first, 151653, 151652, *[151655] * second, 151653]
    row = {"token_ids": tokens, "messages": messages(data)}
    sample = RowReader(maker, pad_token_id=151655)(row)
    want = torch.cat([one["image_grid_thw"] for one in expected(data)])
    assert torch.equal(sample["image_grid_thw"], want)
