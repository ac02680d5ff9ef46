"""Models of Transformers take our batches as they are, and learn what they learn from their own.

The whole processor's batch of a conversation and ours of the same rollout give the same loss and
the same gradients, to the last bit; another picture gives another.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_models import TINY, Trained, trained

from mmraw_protocol import build_features, mm_data
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.integrations.rollouts import RolloutDataset, collate
from mmraw_protocol.integrations.transformers import TensorMaker


@pytest.fixture(scope="module", params=TINY)
def tiny(request: pytest.FixtureRequest) -> Trained:
    return trained(request.param)


def picture(seed: int, width: int, height: int) -> Any:
    """Noise, which no processor makes alike for two seeds."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


#: Prompts with two, no and one image, so that rows are filled up.
PROMPTS = [[picture(1, 90, 60), picture(2, 60, 60)], [], [picture(3, 64, 120)]]


def own_batch(tiny: Trained, prompts: list[list[Any]]) -> dict[str, Any]:
    """The whole processor's batch of texts and pictures."""
    texts = [tiny.text(len(images)) for images in prompts]
    out = tiny.processor(
        text=texts,
        images=[images for images in prompts if images] and prompts,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    return dict(out)


def png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def row_of(tiny: Trained, images: list[Any], token_ids: list[int]) -> dict[str, Any]:
    """A row of a rollout file: the prompt that the whole processor made, and refs of its images."""
    content = [{"type": "image", "image": png(image)} for image in images]
    message = [{"role": "user", "content": content}]
    packed = pack_images(message, tiny.adapter, storage="inline")
    pad = tiny.processor.tokenizer.get_vocab()[tiny.line.placeholder.token]
    offsets, position = [], 0
    for image in packed:
        position = token_ids.index(pad, position)
        offsets.append(position)
        position += image.description.placeholder_length
    return {
        "token_ids": token_ids,
        "features": build_features(mm_data(packed, offsets), run_id="x"),
        "labels": token_ids,
    }


def our_samples(
    tiny: Trained, prompts: list[list[Any]], own: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Those of a rollout file with the prompts of the processor's own batch."""
    lengths = own["attention_mask"].sum(1).tolist()
    rows = [
        row_of(tiny, images, tokens[:length].tolist())
        for images, tokens, length in zip(prompts, own["input_ids"], lengths, strict=True)
    ]
    path = folder / "rollouts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    maker = TensorMaker(tiny.processor.image_processor, adapter=tiny.adapter)
    dataset = RolloutDataset(path, maker)
    return [dataset[index] for index in range(len(dataset))]


def our_batch(
    tiny: Trained, prompts: list[list[Any]], own: dict[str, Any], folder: Path
) -> dict[str, Any]:
    pad = tiny.processor.tokenizer.pad_token_id
    return collate(our_samples(tiny, prompts, own, folder), pad_token_id=pad)


def trained_on(tiny: Trained, batch: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The loss of a batch, and the gradient of every parameter."""
    torch.manual_seed(5)
    tiny.model.zero_grad()
    arguments = {name: value for name, value in batch.items() if torch.is_tensor(value)}
    loss = tiny.model(**arguments, use_cache=False).loss
    loss.backward()
    return loss.detach(), [p.grad for p in tiny.model.parameters() if p.grad is not None]


def with_labels(own: dict[str, Any]) -> dict[str, Any]:
    labels = own["input_ids"].masked_fill(own["attention_mask"] == 0, -100)
    return {**own, "labels": labels}


def test_loss_and_gradients_are_those_of_the_processors_own_batch(
    tiny: Trained, tmp_path: Path
) -> None:
    own = own_batch(tiny, PROMPTS)
    ours = our_batch(tiny, PROMPTS, own, tmp_path)
    for name, value in own.items():
        assert torch.equal(ours[name], value), name
        assert ours[name].dtype == value.dtype, name
    assert ours["num_images"] == [2, 0, 1]
    loss, gradients = trained_on(tiny, ours)
    own_loss, own_gradients = trained_on(tiny, with_labels(own))
    assert torch.isfinite(loss)
    assert torch.equal(loss, own_loss)
    assert len(gradients) == len(own_gradients)
    assert all(map(torch.equal, gradients, own_gradients))


def test_another_picture_is_another_loss(tiny: Trained, tmp_path: Path) -> None:
    prompts = [[picture(1, 90, 60)]]
    own = own_batch(tiny, prompts)
    loss, gradients = trained_on(tiny, our_batch(tiny, prompts, own, tmp_path))
    other, _ = trained_on(tiny, our_batch(tiny, [[picture(4, 90, 60)]], own, tmp_path))
    assert loss != other
    assert any(gradient.abs().sum() > 0 for gradient in gradients)
