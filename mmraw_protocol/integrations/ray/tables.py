"""Parquet as a Dataset of Ray: a task reads row groups one after the other, in small batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

from ...files.columns import arrow
from ...wire.errors import MMRawError
from ...wire.rows import RowFile, readable
from .blocks import Placed
from .faults import BROKEN_ROWS, Fault, Watched, not_read
from .lines import Ranges, Source, absolute, items_of, located, ranges_of, sources_of, with_ranges

#: Bytes of a file in one task. They are compressed.
TASK_BYTES = 32 << 20


def read_rows(places: Sequence[str] | str, *, task_bytes: int = TASK_BYTES) -> Any:
    """A Dataset of the rows of Parquet files; each keeps its schema.

    Args:
        places: Paths, folders, URLs.
        task_bytes: The row groups of a longer file are read by several tasks.

    Raises:
        MMRawError: source_unavailable.
    """
    return rows_of(sources_of([places] if isinstance(places, str) else places), task_bytes)


def rows_of(
    sources: Sequence[Source],
    task_bytes: int = TASK_BYTES,
    *,
    first: int = 0,
    refuse: bool = False,
) -> Any:
    """The Dataset of files that were looked at.

    The path of an error of one of them is its number: `$[2]`.

    Args:
        sources: The files.
        task_bytes: As for `read_rows`.
        first: The number of the first file.
        refuse: For commands: whether results name files and rows, and have a refusal where a file
            is broken. Otherwise, that is an error.
    """
    parts = [
        {
            "number": number,
            "name": one.path,
            "path": absolute(one.path),
            "start": start,
            "end": end,
        }
        for number, one in enumerate(sources, first)
        for start, end in ranges_of(max(one.size, 1), task_bytes)
    ]
    return with_ranges(Ranges(items_of(parts), partial(_tables, refuse=refuse)))


def _tables(parts: Any, *, refuse: bool) -> Iterator[Any]:
    for part in parts.to_pylist():
        system, path = located(part["path"])
        watched: Watched | None = None
        schema: Any = None
        failed: MMRawError | None = None
        try:
            with readable(), system.open_input_file(path) as opened:
                watched = Watched(opened)
                file = RowFile(cast(Any, watched))
                schema = file.schema
                rows = _rows(file, part)
                yield from rows if refuse else (one.rows for one in rows)
        except MMRawError as error:
            failed = error
        if failed is None:
            continue
        if watched is None or watched.failed:
            raise not_read(part["number"])
        if not refuse:
            raise failed.with_path_prefix(f"$[{part['number']}]")
        # A file whose end is broken has no rows for any task; one of them tells it.
        if schema is not None or not part["start"]:
            yield _fault(schema, part)


def _fault(schema: Any, part: dict[str, Any]) -> Fault:
    """A broken file, of whose rows no column is known where its end is broken."""
    rows = arrow.RecordBatch.from_pylist([], schema=schema or arrow.schema([]))
    return Fault(part["name"], rows, BROKEN_ROWS)


def _rows(file: RowFile, part: dict[str, Any]) -> Iterator[Placed]:
    """The row groups that begin in a range of a file."""
    metadata = file.parquet.metadata
    yield Placed(file.schema.empty_table(), part["name"], 1)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    begins = map(_begin, groups)
    wanted = [index for index, at in enumerate(begins) if part["start"] <= at < part["end"]]
    # Row groups stand in a file in their order: those of a range follow each other.
    row = 1 + sum(group.num_rows for group in groups[: min(wanted, default=0)])
    for batch in file.batches(wanted):
        yield Placed(arrow.Table.from_batches([batch]), part["name"], row)
        row += len(batch)


def _begin(group: Any) -> int:
    """The first byte of a row group's data."""
    columns = [group.column(index) for index in range(group.num_columns)]
    pages = [(one.dictionary_page_offset, one.data_page_offset) for one in columns]
    return min((at for page in pages for at in page if at is not None), default=0)
