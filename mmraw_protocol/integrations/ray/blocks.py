"""The work on a block of a Dataset: in small batches, whose lines are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from ...files.batches import Rewritten
from ...files.columns import arrow, rows_in
from ...files.results import Names
from ...wire.errors import MMRawError
from .faults import Fault, refused_file

#: Bounds of what is rewritten together (rows, bytes of the input).
#: A row of which images are inlined may grow by megabytes.
BATCH_ROWS = 4096
INLINED_ROWS = 32
BATCH_BYTES = 1 << 20
#: Of results that say how many lines of a file were read, from the first one's offset on. A range
#: of a file does not know how many stand before it; whoever has all of these does.
LINES_READ = "lines_read"
#: Ray's type for what Arrow has no type for.
_PICKLED = "ray.data.arrow_pickled_object"


def worked(
    block: Any,
    *,
    work: Callable[[Any], Rewritten],
    read: Callable[[Any], Iterable[Any]],
    most: int,
    keep: Names,
    counts: bool,
) -> Iterator[Rewritten]:
    """What is done with the batches of a block. Results that are of no batch are without rows.

    Args:
        block: Of a Dataset.
        work: Rewrites a batch.
        read: Gives the tables of rows that a block tells where to find, and faults among them.
        most: Rows of a batch.
        keep: The columns of rows that results have.
        counts: Whether the rows are lines that follow each other in a file. `row` of results is
            then the number of the line in the block, and the last results are `LINES_READ`.

    Raises:
        MMRawError: What `work` and `read` raise; unsupported_option (what Ray pickles).
    """
    lines = 0
    begin: dict[str, Any] | None = None
    results: Any = None
    for batch, fault in _batches(read(block), most):
        done = work(batch) if fault is None else Rewritten(None, refused_file(fault, keep))
        if counts:
            if begin is None and len(batch):
                begin = batch.slice(0, 1).select(["file", "start"]).to_pylist()[0]
            results = _moved(done.results, lines)
            done = Rewritten(done.rows, results)
            lines += len(batch) if fault is None else 0
        yield done
    if begin is not None:
        line = {**begin, "kind": LINES_READ, "count": lines}
        yield Rewritten(None, arrow.RecordBatch.from_pylist([line], schema=results.schema))


def _batches(tables: Iterable[Any], most: int) -> Iterator[tuple[Any, Fault | None]]:
    for table in tables:
        if isinstance(table, Fault):
            yield table.rows, table
            continue
        for batch in small_batches(table, most) or [_empty(table.schema)]:
            yield batch, None


def small_batches(table: Any, most: int = BATCH_ROWS) -> list[Any]:
    """The rows of a table in batches that a process can hold rewritten.

    Raises:
        MMRawError: unsupported_option (objects of Python, which Ray pickles).
    """
    if any(_PICKLED in str(kind) for kind in table.schema.types):
        message = "expected values of one type in each column, got several, which Ray pickles"
        raise MMRawError("unsupported_option", message)
    return table.to_batches(max_chunksize=min(rows_in(table, BATCH_BYTES), most))


def _empty(schema: Any) -> Any:
    return arrow.RecordBatch.from_pylist([], schema=schema)


def _moved(results: Any, lines: int) -> Any:
    """Results whose rows have so many lines before them."""
    rows = import_module("pyarrow.compute").add(results["row"], lines)
    return results.set_column(results.schema.names.index("row"), results.schema.field("row"), rows)
