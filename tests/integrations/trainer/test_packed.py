"""Prompts packed one behind another: boundaries and positions are kept, no prompt sees another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_models import PROMPTS, our_samples, own_batch, picture, trained_on
from tiny_models import TINY, Trained, trained

from mmraw_protocol.integrations.rollouts import collate, pack
from mmraw_protocol.integrations.tensors import ImageTensors

#: Lines whose small models have layers that carry a state from token to token. They keep prompts
#: apart by kernels alone, which need a GPU.
STATEFUL = {"qwen3_5", "glm5_next", "inkling", "nemotron_h_omni"}
GRIDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "glm4v")


@pytest.fixture(scope="module", params=[line for line in TINY if line not in STATEFUL])
def tiny(request: pytest.FixtureRequest) -> Trained:
    return trained(request.param)


def samples_of(tiny: Trained, prompts: list[list[Any]], folder: Path) -> list[dict[str, Any]]:
    return our_samples(tiny, prompts, own_batch(tiny, prompts), folder)


def test_packed_prompts_have_the_loss_of_prompts_side_by_side(
    tiny: Trained, tmp_path: Path
) -> None:
    samples = samples_of(tiny, PROMPTS, tmp_path)
    batch = pack(samples, ImageTensors(tiny.adapter))
    lengths = [len(sample["input_ids"]) for sample in samples]
    assert batch["input_ids"].shape == (1, sum(lengths))
    assert batch["boundaries"] == [0, lengths[0], lengths[0] + lengths[1], sum(lengths)]
    assert batch["num_images"] == [2, 0, 1]
    packed, _ = trained_on(tiny, batch)
    side_by_side, _ = trained_on(tiny, collate(samples, pad_token_id=0))
    assert torch.allclose(packed, side_by_side, rtol=1e-5)


def test_no_prompt_sees_the_picture_of_another(tiny: Trained, tmp_path: Path) -> None:
    def logits(first: Any) -> Any:
        samples = samples_of(tiny, [[first], [picture(3, 64, 120)]], tmp_path)
        batch = pack(samples, ImageTensors(tiny.adapter))
        tensors = {k: v for k, v in batch.items() if torch.is_tensor(v)}
        torch.manual_seed(5)
        with torch.no_grad():
            return (
                tiny.model(**tensors, use_cache=False)
                .logits[0]
                .split(torch.tensor(batch["boundaries"]).diff().tolist())
            )

    one, other = logits(picture(1, 90, 60)), logits(picture(2, 90, 60))
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("line", GRIDS)
def test_positions_are_those_that_the_model_computes(line: str, tmp_path: Path) -> None:
    tiny = trained(line)
    prompts = [[picture(1, 90, 60), picture(2, 200, 60)], [], [picture(3, 64, 120)]]
    for sample in samples_of(tiny, prompts, tmp_path):
        got = ImageTensors(tiny.adapter).position_ids(sample)
        assert torch.equal(got[0], torch.arange(len(sample["input_ids"])))
        want, _ = tiny.model.model.get_rope_index(
            sample["input_ids"][None],
            mm_token_type_ids=sample["mm_token_type_ids"][None],
            image_grid_thw=sample.get("image_grid_thw"),
        )
        assert torch.equal(got[1:], want[:, 0])
