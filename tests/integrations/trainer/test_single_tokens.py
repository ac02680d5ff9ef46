"""Prompts with one token for a whole image train as those with one for each of its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_models import PROMPTS, our_samples, own_batch, png, trained_on, with_labels
from tiny_models import TINY, Trained, family_of, trained

from mmraw_protocol import MMRawError, build_features, get_adapter, mm_data
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.integrations.rollouts import RowReader, collate
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.wire._generated.families import FAMILIES

WITH_BOTH = [
    line for line in TINY if {"single", "expanded"} <= {*FAMILIES[family_of(line)].conventions}
]


@pytest.fixture(scope="module", params=WITH_BOTH)
def tiny(request: pytest.FixtureRequest) -> Trained:
    return trained(request.param)


def conversation(images: list[Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image", "image": png(one)} for one in images]}]


def single_row(tiny: Trained, images: list[Any], token_ids: list[int]) -> dict[str, Any]:
    """A row whose prompt has one placeholder token for each image, as Kimi's renderer writes it."""
    config: Any = tiny.adapter
    single = get_adapter(tiny.family, config.config, placeholder="single")
    packed = pack_images(conversation(images), single, storage="inline")
    pad = tiny.processor.tokenizer.get_vocab()[tiny.line.placeholder.token]
    short = [t for at, t in enumerate(token_ids) if t != pad or token_ids[at - 1] != pad]
    offsets = [at for at, token in enumerate(short) if token == pad]
    return {
        "token_ids": short,
        "features": build_features(mm_data(packed, offsets), run_id="x"),
        "labels": short,
        "logprobs": [float(at) for at, _ in enumerate(short)],
    }


def rows(tiny: Trained, own: dict[str, Any]) -> list[dict[str, Any]]:
    lengths = own["attention_mask"].sum(1).tolist()
    return [
        single_row(tiny, images, tokens[:length].tolist())
        for images, tokens, length in zip(PROMPTS, own["input_ids"], lengths, strict=True)
    ]


def test_loss_and_gradients_are_those_of_the_processors_own_batch(tiny: Trained) -> None:
    own = own_batch(tiny, PROMPTS)
    maker = TensorMaker(tiny.processor.image_processor, adapter=tiny.adapter)
    samples = [RowReader(maker)(row) for row in rows(tiny, own)]
    batch = collate(samples, pad_token_id=tiny.processor.tokenizer.pad_token_id)
    for name, value in own.items():
        assert torch.equal(batch[name], value), name
    # Added tokens carry no loss; then they carry none in the other batch either.
    labels = with_labels(own)["labels"].masked_fill(batch["labels"] == -100, -100)
    pads = own["input_ids"] == tiny.processor.tokenizer.get_vocab()[tiny.line.placeholder.token]
    assert int((batch["labels"] == -100)[pads].sum()) == int(pads.sum()) - 3
    loss, gradients = trained_on(tiny, batch)
    own_loss, own_gradients = trained_on(tiny, {**own, "labels": labels})
    assert torch.equal(loss, own_loss)
    assert all(map(torch.equal, gradients, own_gradients))


def test_values_of_tokens_stay_beside_their_tokens(tiny: Trained) -> None:
    own = own_batch(tiny, PROMPTS)
    maker = TensorMaker(tiny.processor.image_processor, adapter=tiny.adapter)
    for row in rows(tiny, own):
        sample = RowReader(maker)(row)
        kept = [at for at, value in enumerate(sample["labels"]) if value != -100]
        assert [int(sample["input_ids"][at]) for at in kept] == row["token_ids"]
        assert [sample["logprobs"][at] for at in kept] == row["logprobs"]


@pytest.mark.parametrize("convention", ["single", "expanded"])
def test_messages_beside_a_prompt_of_either_convention(
    tiny: Trained, convention: str, tmp_path: Path
) -> None:
    own = own_batch(tiny, PROMPTS)
    config: Any = tiny.adapter
    adapter = get_adapter(tiny.family, config.config, placeholder=convention)
    maker = TensorMaker(tiny.processor.image_processor, adapter=adapter)
    pad = tiny.processor.tokenizer.get_vocab()[tiny.line.placeholder.token]
    wanted = our_samples(tiny, PROMPTS, own, tmp_path)
    for images, want, short in zip(PROMPTS, wanted, rows(tiny, own), strict=True):
        for tokens in (want["input_ids"].tolist(), short["token_ids"]):
            row = {"token_ids": tokens, "messages": conversation(images)}
            sample = RowReader(maker, pad_token_id=pad)(row)
            assert torch.equal(sample["input_ids"], want["input_ids"])
            assert sample["num_images"] == len(images)


def test_sampled_placeholder_tokens_are_rejected_or_masked_by_place(tiny: Trained) -> None:
    own = own_batch(tiny, PROMPTS)
    maker = TensorMaker(tiny.processor.image_processor, adapter=tiny.adapter)
    row = rows(tiny, own)[0]
    pad = row["token_ids"][
        row["features"]["mm_placeholders"][tiny.adapter.feature_modality][0]["offset"]
    ]
    end = len(row["token_ids"])
    sampled = {"token_ids": [*row["token_ids"], pad, 5], "loss_mask": [0] * end + [1, 1]}
    sampled = {"features": row["features"], **sampled}
    with pytest.raises(MMRawError, match="span_mismatch") as caught:
        RowReader(maker)(sampled)
    assert caught.value.path == f"$.token_ids[{end}]"
    sample = RowReader(maker, mask_token_id=0)(sampled)
    (position,) = sample["masked_tokens"]
    assert sample["input_ids"][position:].tolist() == [0, 5]
    assert sample["loss_mask"][position - 1 :] == [0, 0, 1]
