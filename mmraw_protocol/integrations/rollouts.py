"""Rollout files (JSON lines) as a PyTorch data set: refs become tensors lazily, in the workers.

A line is a row as `RowReader` takes it; further fields are kept as they are. Any DataLoader takes
`RolloutDataset`, with `collate` as its collate_fn.
"""

from __future__ import annotations

from array import array
from functools import partial
from os import PathLike
from typing import Any, cast

from ..wire.errors import MMRawError
from ..wire.json import parse_json
from .batches import collate, pack, split_images
from .rows import RowReader
from .transformers import TensorMaker

__all__ = ["RolloutDataset", "RowReader", "collate", "pack", "split_images"]


class RolloutDataset:
    """A map-style data set over the lines of a rollout file.

    Only the places of the lines are kept in memory, 8 bytes a line; a line is read, and its images
    are verified, decoded and processed, when it is asked for.

    Args:
        path: The file; blank lines are skipped.
        maker: Makes the tensors.
        reading: What `RowReader` takes: names of fields, ids of tokens.
    """

    def __init__(self, path: str | PathLike[str], maker: TensorMaker, **reading: Any) -> None:
        self.path = path
        self.maker = maker
        self.read = RowReader(maker, **reading)
        self._starts = _line_starts(path)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One line as a sample.

        Raises:
            MMRawError: what the line's JSON and `RowReader` raise; the path begins with the line's
                number, from 0 and blank lines left out: `$[7].features.…`.
        """
        failed: MMRawError | None = None
        try:
            row = parse_json(self._line(index))
            if not isinstance(row, dict):
                raise MMRawError("invalid_type", "a line is a JSON object")
            return self.read(cast("dict[str, Any]", row))
        except MMRawError as error:
            failed = error
        raise failed.at(f"$[{index}]")

    def _line(self, index: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self._starts[index])
            return file.readline().strip()

    def collate_fn(self, pad_token_id: int | None) -> Any:
        """What a DataLoader takes as collate_fn.

        Args:
            pad_token_id: Fills up shorter prompts; None puts prompts one behind another (`pack`).
        """
        if pad_token_id is None:
            return partial(pack, tensors=self.maker.tensors)
        return partial(collate, pad_token_id=pad_token_id)


def _line_starts(path: str | PathLike[str]) -> array[int]:
    starts, position = array("Q"), 0
    with open(path, "rb") as file:
        for line in file:
            if line.strip():
                starts.append(position)
            position += len(line)
    return starts
