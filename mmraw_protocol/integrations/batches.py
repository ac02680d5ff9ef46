"""Samples as batches that a model takes: prompts side by side, or one behind another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import accumulate, pairwise
from typing import Any, cast

from ..wire.errors import MMRawError
from .tensors import TENSOR_NAMES, TOKEN_TYPES, ImageTensors, Tensors, concatenate

__all__ = ["PADDING", "collate", "pack", "split_images"]

#: Fields with one value for each token, and the value with which a shorter row is padded.
PADDING: Mapping[str, float] = {"labels": -100, "loss_mask": 0, "logprobs": 0.0, "advantages": 0.0}
#: Names under which samples and batches say how many rows of each image tensor a sample has.
IMAGE_ROWS = "image_rows"


def collate(
    samples: Sequence[Mapping[str, Any] | None],
    *,
    pad_token_id: int,
    padding: Mapping[str, float] = PADDING,
) -> dict[str, Any]:
    """A batch of samples of `RolloutDataset`.

    Args:
        samples: At least one; None for lines that were left out.
        pad_token_id: Fills up `input_ids` on the right; `attention_mask` tells it from the prompt.
        padding: Which fields have one value for each token, and what fills them up.

    Returns:
        `input_ids` and `attention_mask` of shape (samples, longest prompt), int64; the tensors of
        all samples' images, joined as `TensorMaker` joins those of one; `mm_token_type_ids` and
        fields of `padding` padded alike; all other fields as lists, `num_images` and `image_rows`
        among them. All that is a tensor goes into the family's model.

    Raises:
        MMRawError: lengths_differ (a field of `padding` with another length than the prompt).
    """
    kept, prompts = _kept(samples)
    if not kept:
        return {}
    torch: Any = import_module("torch")
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    batch: dict[str, Any] = {
        "input_ids": _padded(torch, prompts, pad_token_id),
        "attention_mask": (torch.arange(int(lengths.max())) < lengths[:, None]).long(),
    }
    for name, rows in _rows_of_tokens(torch, kept, padding).items():
        batch[name] = _padded(torch, rows, padding.get(name, 0))
    return _with_others(torch, batch, kept)


def pack(
    samples: Sequence[Mapping[str, Any] | None],
    tensors: ImageTensors,
    *,
    padding: Mapping[str, float] = PADDING,
) -> dict[str, Any]:
    """A batch of one row, in which the prompts of the samples follow one another.

    Args:
        samples: At least one; None for lines that were left out.
        tensors: Of the family (`TensorMaker.tensors`); says which positions its models take.
        padding: Which fields have one value for each token.

    Returns:
        What `collate` returns, of shape (1, tokens of all prompts) and without `attention_mask`;
        `position_ids`, which begin again with each prompt, as Transformers tells prompts apart:
        (1, tokens), or (4, 1, tokens) where the family's models have positions in a grid (in the
        prompt, then by time, row and column); `boundaries`, where each prompt begins and the last
        one ends. The first token of a prompt has no label: the one before is another prompt's.

    Raises:
        MMRawError: lengths_differ (a field of `padding` with another length than the prompt).
    """
    kept, prompts = _kept(samples)
    if not kept:
        return {}
    torch: Any = import_module("torch")
    positions = [tensors.position_ids(sample) for sample in kept]
    joined = torch.cat(positions, dim=-1)
    batch: dict[str, Any] = {
        "input_ids": torch.cat(prompts)[None],
        "position_ids": joined[None] if joined.ndim == 1 else joined[:, None],
        "boundaries": list(accumulate(map(len, prompts), initial=0)),
    }
    for name, rows in _rows_of_tokens(torch, kept, padding).items():
        batch[name] = torch.cat(rows)[None]
    if "labels" in batch:
        batch["labels"][0, batch["boundaries"][:-1]] = -100
    return _with_others(torch, batch, kept)


def split_images(batch: Mapping[str, Any]) -> list[Tensors]:
    """The tensors of the images of each sample of a batch; `concatenate` joins them again.

    Args:
        batch: Of samples of `RolloutDataset`. Pictures that were filled up
            stay as large as the largest.

    Returns:
        One dict for each sample, empty where it has no image; the tensors are views.
    """
    rows = cast("list[dict[str, int]]", batch[IMAGE_ROWS])
    split: list[Tensors] = [{} for _ in rows]
    for name in TENSOR_NAMES & batch.keys():
        ends = list(accumulate((row.get(name, 0) for row in rows), initial=0))
        for tensors, (start, stop) in zip(split, pairwise(ends), strict=True):
            if stop > start:
                tensors[name] = batch[name][start:stop]
    return split


def _kept(samples: Sequence[Mapping[str, Any] | None]) -> tuple[list[Mapping[str, Any]], list[Any]]:
    """The samples that were not left out, and their prompts."""
    kept = [sample for sample in samples if sample is not None]
    return kept, [sample["input_ids"] for sample in kept]


def _rows_of_tokens(
    torch: Any, samples: Sequence[Mapping[str, Any]], padding: Mapping[str, float]
) -> dict[str, list[Any]]:
    """The fields that have one value for each token, where every sample has them, as tensors.

    What tells tokens of images from others is zero in samples that say nothing of it.
    """
    found: dict[str, list[Any]] = {}
    for name in _names(samples):
        values = [sample.get(name) for sample in samples]
        if name in TOKEN_TYPES and any(map(torch.is_tensor, values)):
            prompts = [sample["input_ids"] for sample in samples]
            found[name] = [
                torch.zeros_like(prompt) if value is None else value
                for prompt, value in zip(prompts, values, strict=True)
            ]
        elif name in padding and all(value is not None for value in values):
            found[name] = [torch.as_tensor(value) for value in values]
    lengths = [len(sample["input_ids"]) for sample in samples]
    for rows in found.values():
        if list(map(len, rows)) != lengths:
            message = (
                "expected one value for each token, got a field of another length than its prompt"
            )
            raise MMRawError("lengths_differ", message)
    return found


def _with_others(
    torch: Any, batch: dict[str, Any], samples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The batch with the tensors of the samples' images and, as lists, with their other fields."""
    batch |= concatenate([_tensors_of_images(torch, sample) for sample in samples])
    others = [name for name in _names(samples) if name not in batch]
    return batch | {name: [sample.get(name) for sample in samples] for name in others}


def _names(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for sample in samples for name in sample))


def _tensors_of_images(torch: Any, sample: Mapping[str, Any]) -> Tensors:
    """The image tensors of a sample; a field of the line that has such a name is no tensor."""
    return {k: v for k, v in sample.items() if k in TENSOR_NAMES and torch.is_tensor(v)}


def _padded(torch: Any, rows: Sequence[Any], fill: float) -> Any:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)
