"""Parquet and Arrow files (Feather, saved datasets), checked and rewritten batch by batch."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import IO, Any

from ..materialize.verification import Verifier
from ..wire.errors import MMRawError
from ..wire.rows import RowFile, library, readable
from .counts import Counts
from .job import Done, Job, OnError, Report, Rewriter, pass_on
from .pool import START_SECONDS, worked
from .reader import Block, LineReader


class Table(RowFile):
    """An open file of rows, which can be written again.

    Args:
        file: It can be sought in.
        progress: Called when more of it is read.

    Raises:
        MMRawError: missing_dependency, source_unavailable (it cannot be read).
    """

    def __init__(self, file: IO[bytes], progress: Callable[[], object] = lambda: None) -> None:
        super().__init__(file)
        self._progress = progress

    def blocks(self) -> Iterator[Block]:
        """Batches, each with the number of its first row, from 1."""
        from .columns import bytes_of

        row = 1
        with readable():
            for batch in self.batches():
                yield Block(batch, row, True, size=bytes_of(batch))
                row += batch.num_rows
                self._progress()

    @contextlib.contextmanager
    def writer(self, write: Callable[[bytes], object]) -> Generator[Callable[[Any], None]]:
        """Writes the file again with other rows: takes batches, and keeps where groups end."""
        arrow = library("pyarrow")
        held: list[Any] = []
        rows = 0
        last: Any = None
        with _writable(arrow), self._opened_writer(_Sink(write)) as writer:

            def take(batch: Any) -> None:
                nonlocal rows, last
                if self.parquet is None:
                    last = self._with_dictionary_of(last, batch)
                    writer.write_batch(last)
                    return
                held.append(batch)
                rows += batch.num_rows
                if rows in self.ends:
                    table = arrow.Table.from_batches(held, self.schema)
                    writer.write_table(table, row_group_size=table.num_rows)
                    held.clear()

            yield take

    def _with_dictionary_of(self, last: Any, batch: Any) -> Any:
        """A batch whose dictionaries begin as those before: in a file they may only grow."""
        if last is None or self.is_stream or "dictionary<" not in str(self.schema):
            return batch
        before = last.slice(0, 0)
        table = library("pyarrow").Table.from_batches([before, batch]).unify_dictionaries()
        return [before, *table.to_batches()][-1]

    def _opened_writer(self, sink: _Sink) -> Any:
        if self.parquet is not None:
            options = _parquet_options(self.parquet, self.schema)
            parquet = library("pyarrow.parquet")
            return parquet.ParquetWriter(sink, self.schema, **options)
        ipc = library("pyarrow.ipc")
        options = ipc.IpcWriteOptions(compression=self._codec(ipc), emit_dictionary_deltas=True)
        if self.is_stream:
            return ipc.new_stream(sink, self.schema, options=options)
        more = {"metadata": self.metadata} if self.metadata else {}
        return ipc.new_file(sink, self.schema, options=options, **more)

    def _codec(self, ipc: Any) -> str | None:
        """How batches are compressed: the one that makes the first with rows as long as it is."""
        at = self.file.tell()
        self.file.seek(0)
        batches = enumerate(RowFile(self.file).batches())
        index, batch = next(((n, one) for n, one in batches if one.num_rows), (0, None))
        self.file.seek(0 if self.is_stream else 8)
        wanted = _body(ipc, self.file, index)
        self.file.seek(at)

        def difference(codec: str | None) -> int:
            sink = io.BytesIO()
            options = ipc.IpcWriteOptions(compression=codec)
            with ipc.new_stream(sink, self.schema, options=options) as writer:
                writer.write_batch(batch)
            sink.seek(0)
            return abs(_body(ipc, sink, 0) - wanted)

        return None if batch is None else min((None, "lz4", "zstd"), key=difference)


def _body(ipc: Any, stream: Any, index: int) -> int:
    """Bytes of a batch."""
    messages = ipc.MessageReader.open_stream(stream)
    bodies = (one.body.size for one in messages if one.type == "record batch")
    return next(islice(bodies, index, None), 0)


def check_table(
    table: Table, verifier: Verifier, *, processes: int = 1, start_seconds: float = START_SECONDS
) -> Counts:
    """Checks every row as `validate_batch` does; lines are numbers of rows.

    Raises:
        MMRawError: source_unavailable, decoder_unavailable.
    """
    counts = Counts()
    open_work = functools.partial(functools.partial, _check, verifier=verifier)
    for found in _worked(table, open_work, processes, start_seconds):
        counts.merge(found)
    return counts


def rewrite_table(
    table: Table,
    write: Callable[[bytes], object],
    job: Job,
    *,
    on_error: OnError = "fail",
    processes: int = 1,
    text: bool = False,
    start_seconds: float = START_SECONDS,
) -> Report:
    """Rewrites the strings of a file as `rewrite_batch` does; the file keeps its form.

    Schema, metadata, row groups, the compression and dictionaries of each column stay. A row group
    is held until it is whole.

    Raises:
        MMRawError: source_unavailable, decoder_unavailable, and what `rewrite_batch` raises.
    """
    written = 0

    def counted(data: bytes) -> None:
        nonlocal written
        written += len(data)
        write(data)

    open_work = functools.partial(_open_rewrite, job, text)
    with table.writer(counted) as take:
        parts = _worked(table, open_work, processes, start_seconds)
        report = pass_on(parts, take, on_error)
    report.bytes_written = written
    return report


class _Reader(LineReader):
    """Gives batches where blocks of lines are expected: all of them have a result."""

    def __init__(self, table: Table) -> None:
        super().__init__(lambda size: b"")
        self._blocks = table.blocks()

    def next_block(self) -> Block | None:
        return next(self._blocks, None)


def _worked(
    table: Table, open_work: Callable[[], Any], processes: int, start_seconds: float
) -> Iterator[Any]:
    blocks = worked(_Reader(table), open_work(), open_work, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        yield from (done for _, done in blocks)


def _check(block: Block, verifier: Verifier) -> Counts:
    from .checked_rows import check_rows
    from .results import Results

    results = Results(block.data)
    check_rows(block.data, results, (), verifier)
    return results.of_file(block.line)


def _open_rewrite(job: Job, text: bool) -> Callable[[Block], Done]:
    return functools.partial(_rewrite, rewriter=job.open(), text=text)


def _rewrite(block: Block, rewriter: Rewriter, text: bool) -> Done:
    from .columns import bytes_of
    from .results import Results
    from .rewritten_rows import rewrite_rows

    batch: Any = block.data
    results = Results(batch)
    rows = rewrite_rows(batch, rewriter, results, text=text)
    return Done(rows, bytes_of(batch), bytes_of(rows), results.of_file(block.line))


class _Sink(io.RawIOBase):
    """A file to write to, in order."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write, self._at = write, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._write(part)
        self._at += len(part)
        return len(part)


@contextlib.contextmanager
def _writable(arrow: Any) -> Generator[None]:
    """Turns what pyarrow raises while it writes into MMRawError (unsupported_option)."""
    failed = False
    try:
        yield
    except arrow.ArrowException:
        failed = True
    if failed:
        message = "pyarrow cannot write rows of these types in the form of the file"
        raise MMRawError("unsupported_option", message)


def _parquet_options(file: Any, schema: Any) -> dict[str, Any]:
    """Options with which a file is written as another one was."""
    metadata = file.metadata
    options: dict[str, Any] = {
        "version": "1.0" if metadata.format_version == "1.0" else "2.6",
        "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
    }
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        # Other writers have other names for the items of lists.
        is_compliant = _leaves(schema) == [column.path_in_schema for column in columns]
        options["use_compliant_nested_type"] = is_compliant
        named = dict(zip(_leaves(schema, **options), columns, strict=True))
        options |= {
            "compression": {name: _codec_name(c.compression) for name, c in named.items()},
            "use_dictionary": _names_of(named, lambda c: any("DICT" in e for e in c.encodings)),
            "write_statistics": _names_of(named, lambda c: c.is_stats_set),
            "write_page_index": any(column.has_column_index for column in columns),
            "use_deprecated_int96_timestamps": any(c.physical_type == "INT96" for c in columns),
            "sorting_columns": group.sorting_columns or None,
        }
    return options


def _leaves(schema: Any, **options: Any) -> list[str]:
    """The names that pyarrow gives to the columns of a Parquet file, fields of structs included."""
    parquet = library("pyarrow.parquet")
    sink = io.BytesIO()
    parquet.ParquetWriter(sink, schema, **options).close()
    columns = parquet.ParquetFile(sink).schema
    return [columns.column(index).path for index in range(len(columns))]


def _names_of(columns: dict[str, Any], fits: Callable[[Any], bool]) -> list[str] | bool:
    """The names of the columns that fit; False if there is none."""
    return [name for name, column in columns.items() if fits(column)] or False


def _codec_name(name: str) -> str:
    return "NONE" if name == "UNCOMPRESSED" else name
