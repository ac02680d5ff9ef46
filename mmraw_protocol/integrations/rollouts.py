"""Rollout files (JSON lines) as a PyTorch data set: refs become tensors lazily, in the workers.

A line is an object with a prompt's `token_ids` and the `features` of its images; further fields are
kept as they are. Any DataLoader takes `RolloutDataset`, with `collate` as its collate_fn.
"""

from __future__ import annotations

from array import array
from functools import partial
from os import PathLike
from typing import Any, cast

from ..wire.errors import MMRawError
from ..wire.json import parse_json
from .batches import collate, split_images
from .transformers import TensorMaker

__all__ = ["RolloutDataset", "collate", "split_images"]


class RolloutDataset:
    """A map-style data set over the lines of a rollout file.

    Only the places of the lines are kept in memory, 8 bytes a line; a line is read, and its images
    are verified, decoded and processed, when it is asked for.

    Args:
        path: The file; blank lines are skipped.
        maker: Makes the tensors.
        token_ids: The field of the prompt's token ids.
        features: The field of the features body; a line without it has no images.
        pad_token_id: The family's pad, where spans are to be checked against it; by default every
            span must hold one and the same token.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        maker: TensorMaker,
        *,
        token_ids: str = "token_ids",
        features: str = "features",
        pad_token_id: int | None = None,
    ) -> None:
        self.path = path
        self.maker = maker
        self.token_ids = token_ids
        self.features = features
        self.pad_token_id = pad_token_id
        self._starts = _line_starts(path)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One line: `input_ids` (int64), the tensors of its images, and its other fields.

        Raises:
            MMRawError: what the line's JSON, its fields and its images raise; the path begins with
                the line's number, from 0 and blank lines left out: `$[7].features.…`.
        """
        failed: MMRawError | None = None
        try:
            return self._sample(self._line(index))
        except MMRawError as error:
            failed = error
        raise failed.at(f"$[{index}]")

    def _line(self, index: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self._starts[index])
            return file.readline().strip()

    def _sample(self, line: bytes) -> dict[str, Any]:
        row = parse_json(line)
        if not isinstance(row, dict):
            raise MMRawError("invalid_type", "a line is a JSON object")
        row = cast("dict[str, Any]", row)
        if self.token_ids not in row:
            raise MMRawError("missing_field", "the line has no token ids")
        tokens = row.pop(self.token_ids)
        if not isinstance(tokens, list) or not all(
            type(token) is int for token in cast("list[Any]", tokens)
        ):
            raise MMRawError("invalid_type", "token ids are a list of integers")
        failed: MMRawError | None = None
        try:
            features = row.pop(self.features, None)
            made = self.maker.sample(
                features, cast("list[int]", tokens), pad_token_id=self.pad_token_id
            )
            return {**row, **made}
        except MMRawError as error:
            failed = error
        raise failed.at("$.features")

    def collate_fn(self, pad_token_id: int) -> Any:
        """What a DataLoader takes as collate_fn; `pad_token_id` fills up shorter prompts."""
        return partial(collate, pad_token_id=pad_token_id)


def _line_starts(path: str | PathLike[str]) -> array[int]:
    starts, position = array("Q"), 0
    with open(path, "rb") as file:
        for line in file:
            if line.strip():
                starts.append(position)
            position += len(line)
    return starts
