"""Batches of results: what was found in the rows of other batches."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from ..wire.errors import MMRawError
from .columns import arrow
from .counts import MOST_REFUSALS, Counts, Refusal
from .facts import Facts

#: Names of columns.
Names = Collection[str]
#: Columns of results: the row in the batch, the column, where within its value (a path, or the byte
#: from 1); the kind of thing; code and message of a refusal; how many, and bytes of images. Where
#: facts are asked for, they are the message of a line of the kind `facts`, as JSON.
RESULTS: Any = arrow.schema(
    [("row", arrow.int64())]
    + [(name, arrow.string()) for name in ("column", "path", "kind", "code", "message")]
    + [(name, arrow.int64()) for name in ("byte", "count", "bytes")]
)
#: Of lines that say what was noted of images.
FACTS_KIND = "facts"
#: Columns of references: the first row of the batch that names the image.
REFERENCES: Any = arrow.schema(
    [("row", arrow.int64())]
    + [(name, arrow.string()) for name in ("raw_image_id", "run_id", "mm_hash")]
)
#: Columns of facts; `mm_hash` of an image without a ref is its sha256.
FACTS: Any = arrow.schema(
    [("row", arrow.int64())]
    + [(name, arrow.string()) for name in ("kind", "code", "dialect", "family", "mm_hash")]
    + [(name, arrow.int64()) for name in ("tokens", "bytes")]
)

#: No row is at fault: an engine tries the batch again.
STORE_FAILS = ("store_unavailable", "store_full", "store_permission")


class Results:
    """Collects the lines of a batch of results.

    Attributes:
        facts: What was noted of images.

    Raises:
        MMRawError: unsupported_option (the name of a column to keep is taken).
    """

    def __init__(self, batch: Any, keep: Names = ()) -> None:
        if not set(RESULTS.names).isdisjoint(keep):
            message = "a column of the batch has the name of one of the results; rename it"
            raise MMRawError("unsupported_option", message)
        self.facts = Facts()
        self._kept = kept_of(batch, keep)
        self._rows: list[tuple[Any, ...]] = []
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def add(
        self,
        row: int,
        column: str | None,
        kind: str,
        error: MMRawError | None,
        size: int = 0,
        byte: int | None = None,
        number: int = 1,
    ) -> None:
        """One thing, and why it is refused; another fault of a thing that was added counts none."""
        if error is None:
            self.count(kind, 1, size)
            return
        if error.code in STORE_FAILS:
            raise error
        why = (error.path, kind, error.code, error.message)
        self._rows.append((row, column, *why, byte, number, size))

    def count(self, kind: str, number: int, size: int = 0) -> None:
        """Things with which all is well."""
        self._counts[kind] += number
        self._bytes[kind] += size

    def of_file(self, first: int) -> Counts:
        """The results so far, where `first` is the number of the batch's first row in a file."""
        counts = Counts(facts=self.facts)
        for kind, number in self._counts.items():
            counts.count(kind, number)
        for row, column, path, kind, code, message, byte, number, _ in self._rows:
            counts.count(kind, number)
            counts.refused[code] = counts.refused.get(code, 0) + max(number, 1)
            if len(counts.refusals) < MOST_REFUSALS:
                place = kind, byte or 0, column or ""
                counts.refusals.append(Refusal(first + row, code, path, message, *place))
        return counts

    def batch(self) -> Any:
        """The results so far."""
        facts = self.facts
        sizes = {**self._bytes, "image": self._bytes["image"] + facts.moved.image_bytes}
        counts = {**self._counts, "image": self._counts["image"] + facts.moved.images}
        rows: list[tuple[Any, ...]] = [
            (None, None, None, kind, None, None, None, number, sizes[kind])
            for kind, number in counts.items()
            if number
        ]
        if facts.by:
            text = msgspec.json.encode(facts).decode()
            rows.append((None, None, None, FACTS_KIND, None, text, None, 0, 0))
        lines = batch_of(self._rows + rows, RESULTS)
        return with_kept(self._kept, lines)


def kept_of(batch: Any, keep: Names) -> Any:
    """The columns to keep; none of a batch without columns, which engines have for no rows."""
    return batch.select([name for name in keep if batch.schema.names])


def with_kept(kept: Any, lines: Any) -> Any:
    """Lines of results behind columns of the rows that they are about."""
    columns = [_taken(column, lines["row"]) for column in kept.columns]
    fields = [*(field.with_nullable(True) for field in kept.schema), *lines.schema]
    return arrow.RecordBatch.from_arrays([*columns, *lines.columns], schema=arrow.schema(fields))


def _taken(column: Any, rows: Any) -> Any:
    with contextlib.suppress(NotImplementedError):
        return column.take(rows)
    # Arrow takes no values of views.
    values = [None if row is None else column[row].as_py() for row in rows.to_pylist()]
    return arrow.array(values, column.type)


def batch_of(rows: Sequence[Sequence[Any]], schema: Any) -> Any:
    """A batch of rows."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [arrow.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)
