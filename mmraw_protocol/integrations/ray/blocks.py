"""The work on a block of a Dataset: in small batches, whose lines are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

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
#: of a file does not know how many stand before it; the sum over all ranges does.
LINES_READ = "lines_read"
#: Ray's type for what Arrow has no type for.
_PICKLED = "ray.data.arrow_pickled_object"


class Placed(NamedTuple):
    """Rows of a file that follow each other, of which results are to name file and number.

    Attributes:
        rows: A table.
        file: Its path or URL, as given.
        first: The number of the first row, from 1.
    """

    rows: Any
    file: str
    first: int


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
        read: Gives the tables of rows that a block tells where to find, some of them placed, and
            faults among them.
        most: Rows of a batch.
        keep: The columns of rows that results have.
        counts: Whether the rows are lines that follow each other in a file. `row` of results is
            then the number of the line in the block, and the last results are `LINES_READ`. Of
            placed rows, results have `file`, and `row` is the number in it.

    Raises:
        MMRawError: What `work` and `read` raise; unsupported_option (what Ray pickles).
    """
    lines = 0
    begin: dict[str, Any] | None = None
    results: Any = None
    for batch, place, fault in _batches(read(block), most):
        done = work(batch) if fault is None else Rewritten(None, refused_file(fault, keep))
        if place is not None:
            done = Rewritten(done.rows, _named(_moved(done.results, place.first), place.file))
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


def _batches(tables: Iterable[Any], most: int) -> Iterator[tuple[Any, Placed | None, Fault | None]]:
    for table in tables:
        if isinstance(table, Fault):
            yield table.rows, Placed(None, table.file, 0), table
            continue
        place = table if isinstance(table, Placed) else None
        rows: Any = table if place is None else place.rows
        for batch in small_batches(rows, most) or [_empty(rows.schema)]:
            yield batch, place, None
            if place is not None:
                place = place._replace(first=place.first + len(batch))


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


def _named(results: Any, file: str) -> Any:
    """Results with the column `file`, unless one of that name is kept."""
    if "file" in results.schema.names:
        return results
    names = arrow.array([file] * len(results), arrow.string()).dictionary_encode()
    columns = [names, *results.columns]
    return arrow.RecordBatch.from_arrays(columns, ["file", *results.schema.names])
