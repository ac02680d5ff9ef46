"""Counts rejected lines of a data set, by code, over all workers of a DataLoader."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..wire.errors import ERRORS, MMRawError

_CODES = list(ERRORS)
#: Each worker counts in a row of its own, so that none waits for another; the first is for others.
_ROWS = 257


class Skips:
    """Counts in shared memory, which DataLoader hands to its workers however they are started.

    Args:
        most: Most lines that are skipped.
    """

    def __init__(self, most: int) -> None:
        torch: Any = import_module("torch")
        self.most = most
        self._table = torch.zeros(_ROWS, len(_CODES), dtype=torch.int64).share_memory_()

    def add(self, error: MMRawError) -> None:
        """Counts a line that was rejected with `error`.

        Raises:
            MMRawError: limit_exceeded (more lines than `most`).
        """
        worker = import_module("torch.utils.data").get_worker_info()
        row = 0 if worker is None else 1 + worker.id % (_ROWS - 1)
        self._table[row, _CODES.index(error.code)] += 1
        if int(self._table.sum()) > self.most:
            codes = ", ".join(sorted(self.by_code()))[:100]
            message = f"more than {self.most} lines were rejected: {codes}"
            raise MMRawError("limit_exceeded", message)

    def by_code(self) -> dict[str, int]:
        """The lines that were skipped so far in this process and its workers, by error code."""
        counts = zip(_CODES, self._table.sum(0).tolist(), strict=True)
        return {code: count for code, count in counts if count}

    def restore(self, counts: Mapping[str, int]) -> None:
        """Sets the counts, for example to those of a run that is resumed."""
        self._table.zero_()
        for code, count in counts.items():
            if code in ERRORS:
                self._table[0, _CODES.index(code)] = count
