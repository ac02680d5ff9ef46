"""Rollouts as a PyTorch data set: refs become tensors lazily, in the workers.

A row is as `RowReader` takes it; further fields are kept as they are. Any DataLoader takes
`RolloutDataset`, with `collate` as its collate_fn.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from os import PathLike
from typing import Any, Literal, cast

from ..wire.check import expected
from ..wire.errors import MMRawError
from .batches import collate, pack, split_images
from .indexed_rows import Rows, indexed_rows
from .rows import RowReader
from .skips import Skips
from .transformers import TensorMaker

__all__ = ["RolloutDataset", "RowReader", "collate", "pack", "split_images"]

#: Most lines that are skipped where the caller sets no bound.
MOST_SKIPS = 100


class RolloutDataset:
    """A map-style data set over the rows of rollout files, and a pass over it that can go on.

    Of lines only the places are kept in memory, 8 bytes a line, and Arrow is mapped; a row is read,
    and its images are verified, decoded and processed, when it is asked for. A line is a row here,
    and a row of a table a line.

    Args:
        source: A file of JSON lines or MessagePack, also compressed, of Parquet or Arrow; a folder,
            also of a data set that was saved to disk, or pattern; the URL of an object, or with a
            slash behind it of a folder. Or what has rows by number, as a `datasets.Dataset`. What
            cannot be read by row where it is, is copied into a temporary file: see the guide for
            trainers. Blank lines are skipped.
        maker: Makes the tensors.
        seed: Shuffles the lines in `batches`, in each epoch otherwise; None keeps their order.
        on_error: `raise` ends with the first line that is rejected; `skip` leaves it out and
            counts it in `skipped`.
        max_skips: Most lines that are left out, over all workers and epochs; one more ends with
            limit_exceeded.
        reading: What `RowReader` takes: names of fields, ids of tokens.

    Raises:
        MMRawError: unsupported_option, source_unavailable, missing_dependency, and what an object
            store raises.
    """

    def __init__(
        self,
        source: str | PathLike[str] | Rows,
        maker: TensorMaker,
        *,
        seed: int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        max_skips: int = MOST_SKIPS,
        **reading: Any,
    ) -> None:
        if on_error not in ("raise", "skip"):
            message = "expected on_error='raise' or 'skip', got another value"
            raise MMRawError("unsupported_option", message)
        self.maker = maker
        self.seed = seed
        self.read = RowReader(maker, **reading)
        self.epoch = self.position = 0
        self._skips = Skips(max_skips) if on_error == "skip" else None
        self._rows = indexed_rows(source)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any] | None:
        """One line as a sample; None where it is rejected and left out.

        Raises:
            MMRawError: what the line's JSON and `RowReader` raise; the path begins with the line's
                number, from 0 and blank lines left out: `$[7].features.…`. limit_exceeded, where
                too many lines are left out.
        """
        failed: MMRawError | None = None
        try:
            row = self._rows[index]
            if not isinstance(row, dict):
                raise MMRawError("invalid_type", expected("a row, an object", row))
            return self.read(cast("dict[str, Any]", row))
        except MMRawError as error:
            failed = error
        failed = failed.with_path_prefix(f"$[{index}]")
        if self._skips is None:
            raise failed
        self._skips.add(failed)
        return None

    @property
    def skipped(self) -> dict[str, int]:
        """The lines that were left out in this process and its workers, by error code."""
        return {} if self._skips is None else self._skips.by_code()

    def batches(
        self, batch_size: int, pad_token_id: int | None, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """The batches of the rest of this epoch, by a DataLoader; then the next epoch begins.

        Args:
            batch_size: Lines of a batch; fewer where some are left out, none where all are.
            pad_token_id: As for `collate_fn`.
            options: What DataLoader takes besides: num_workers, multiprocessing_context, ….

        Raises:
            MMRawError: what `__getitem__` raises; RuntimeError with its text from a worker.
        """
        data: Any = import_module("torch.utils.data")
        order = self._order()[self.position :]
        collate_fn = self.collate_fn(pad_token_id)
        loader = data.DataLoader(
            self, batch_size=batch_size, sampler=order, collate_fn=collate_fn, **options
        )
        for batch in loader:
            self.position = min(self.position + batch_size, len(self))
            if batch:
                yield batch
        self.epoch, self.position = self.epoch + 1, 0

    def _order(self) -> Any:
        """The numbers of the lines in the order of this epoch."""
        if self.seed is None:
            return range(len(self))
        torch: Any = import_module("torch")
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return array("Q", torch.randperm(len(self), generator=generator).numpy().tobytes())

    def state_dict(self) -> dict[str, Any]:
        """The position of `batches`: batches handed out are done, those being prepared are not."""
        return {
            "epoch": self.epoch,
            "lines": len(self),
            "position": self.position,
            "seed": self.seed,
            "skipped": self.skipped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, over the same file.

        Raises:
            MMRawError: lengths_differ (the file has another number of lines).
        """
        if state["lines"] != len(self):
            message = f"expected a state of {len(self)} lines, got one of {state['lines']}"
            raise MMRawError("lengths_differ", message)
        self.epoch, self.position, self.seed = state["epoch"], state["position"], state["seed"]
        if self._skips is not None:
            self._skips.restore(state["skipped"])

    def collate_fn(self, pad_token_id: int | None) -> Any:
        """The collate_fn for a DataLoader.

        Args:
            pad_token_id: Fills up shorter prompts; None puts prompts one behind another (`pack`).
        """
        if pad_token_id is None:
            return partial(pack, tensors=self.maker.tensors)
        return partial(collate, pad_token_id=pad_token_id)
