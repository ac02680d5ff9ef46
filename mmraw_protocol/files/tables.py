"""Parquet and Arrow files (Feather, saved datasets), checked and rewritten batch by batch."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import IO, Any, cast

from ..materialize.verification import Verifier
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from .checking import MOST_REFUSALS, Checked, Refused
from .pool import START_SECONDS, worked
from .reader import Block, LineReader
from .rewriting import MOST_PLACES, Job, OnError, Refusal, Report, Rewriter, Tally

#: How Parquet, Arrow files (Feather version 2) and Arrow streams (saved datasets) begin.
_MAGIC = (b"PAR1", b"ARRO", b"\xff\xff\xff\xff")
#: Bytes of rows that are taken at once, and how many rows at most.
_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 1 << 14


def is_table(head: bytes) -> bool:
    """Whether a file that begins with these four bytes is Parquet or Arrow."""
    return head in _MAGIC


class Table:
    """An open file of rows.

    Args:
        file: It can be sought in.
        progress: Called when more of it is read.

    Raises:
        MMRawError: missing_dependency, source_unavailable (it cannot be read).
    """

    def __init__(self, file: IO[bytes], progress: Callable[[], object] = lambda: None) -> None:
        arrow = _library("pyarrow")
        self._file = file
        self._progress = progress
        self._parquet: Any = None
        self._ends: set[int] = set()
        head = file.read(4)
        file.seek(0)
        with _readable(arrow):
            if head == b"PAR1":
                self._parquet = _library("pyarrow.parquet").ParquetFile(file, pre_buffer=False)
                self.schema = self._parquet.schema_arrow
            else:
                ipc = _library("pyarrow.ipc")
                self._is_file = head == b"ARRO"
                self._ipc = (ipc.open_file if self._is_file else ipc.open_stream)(file)
                self.schema = self._ipc.schema

    def blocks(self) -> Iterator[Block]:
        """Batches, each with the number of its first row, from 1."""
        row = 1
        with _readable(_library("pyarrow")):
            for batch in self._batches():
                yield Block(batch, row, True)
                row += batch.num_rows
                self._progress()

    def _batches(self) -> Iterator[Any]:
        if self._parquet is None:
            count = self._ipc.num_record_batches if self._is_file else 0
            yield from map(self._ipc.get_batch, range(count)) if self._is_file else self._ipc
            return
        end, metadata = 0, self._parquet.metadata
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            end += group.num_rows
            self._ends.add(end)
            rows = _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)
            size = min(max(rows, 1), _BATCH_ROWS)
            yield from self._parquet.iter_batches(batch_size=size, row_groups=[index])

    @contextlib.contextmanager
    def writer(self, write: Callable[[bytes], object]) -> Generator[Callable[[Any], None]]:
        """Writes the file again with other rows: takes batches, and keeps where groups end."""
        arrow = _library("pyarrow")
        held: list[Any] = []
        rows = 0
        with self._opened_writer(_Sink(write)) as writer:

            def take(batch: Any) -> None:
                nonlocal rows
                if self._parquet is None:
                    writer.write_batch(batch)
                    return
                held.append(batch)
                rows += batch.num_rows
                if rows in self._ends:
                    table = arrow.Table.from_batches(held, self.schema)
                    writer.write_table(table, row_group_size=table.num_rows)
                    held.clear()

            yield take

    def _opened_writer(self, sink: _Sink) -> Any:
        if self._parquet is not None:
            options = _parquet_options(self._parquet)
            parquet = _library("pyarrow.parquet")
            return parquet.ParquetWriter(sink, self.schema, **options)
        ipc = _library("pyarrow.ipc")
        options = ipc.IpcWriteOptions(compression=self._codec(ipc), emit_dictionary_deltas=True)
        made = ipc.new_file if self._is_file else ipc.new_stream
        return made(sink, self.schema, options=options)

    def _codec(self, ipc: Any) -> str | None:
        """How batches are compressed: the one that makes the first batch as long as it is."""
        at = self._file.tell()
        self._file.seek(8 if self._is_file else 0)
        wanted = _first_body(ipc, self._file)
        self._file.seek(0)
        batch = next(iter(Table(self._file)._batches()), None)
        self._file.seek(at)

        def difference(codec: str | None) -> int:
            sink = io.BytesIO()
            options = ipc.IpcWriteOptions(compression=codec)
            with ipc.new_stream(sink, self.schema, options=options) as writer:
                writer.write_batch(batch)
            sink.seek(0)
            return abs(_first_body(ipc, sink) - wanted)

        return None if batch is None else min((None, "lz4", "zstd"), key=difference)


def _first_body(ipc: Any, stream: Any) -> int:
    """Bytes of the first batch."""
    messages = ipc.MessageReader.open_stream(stream)
    return next((one.body.size for one in messages if one.type == "record batch"), 0)


def check_table(
    table: Table,
    *,
    processes: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
    start_seconds: float = START_SECONDS,
) -> Checked:
    """Checks every row as `validate_batch` does; lines are numbers of rows.

    Raises:
        MMRawError: source_unavailable, decoder_unavailable.
    """
    checked = Checked()
    work = functools.partial(_check, limits=limits, verifier=verifier)
    open_work = functools.partial(functools.partial, _check, limits=limits, verifier=verifier)
    for _, found in _worked(table, work, open_work, processes, start_seconds):
        checked.merge(found)
    return checked


def rewrite_table(
    table: Table,
    write: Callable[[bytes], object],
    job: Job,
    *,
    on_error: OnError = "fail",
    processes: int = 1,
    note: Callable[[list[tuple[str, int]]], None] | None = None,
    start_seconds: float = START_SECONDS,
) -> Report:
    """Rewrites the strings of a file as `rewrite_batch` does; the file keeps its form.

    Schema, metadata, row groups, the compression and dictionaries of each column stay. A row group
    is held until it is whole.

    Raises:
        MMRawError: source_unavailable, decoder_unavailable, and what `rewrite_batch` raises.
    """
    report = Report()

    def counted(data: bytes) -> None:
        report.bytes_written += len(data)
        write(data)

    work, open_work = _open_rewrite(job), functools.partial(_open_rewrite, job)
    with table.writer(counted) as take:
        for block, (rows, tally) in _worked(table, work, open_work, processes, start_seconds):
            report.tally.add(tally)
            if note is not None and tally.notes:
                note(tally.notes)
            if tally.refused and on_error == "fail":
                return report
            report.bytes_read += cast(Any, block.data).nbytes
            take(rows)
    report.complete = True
    return report


class _Reader(LineReader):
    """Gives batches where blocks of lines are expected: all of them have a result."""

    def __init__(self, table: Table) -> None:
        super().__init__(lambda size: b"")
        self._blocks = table.blocks()

    def next_block(self) -> Block | None:
        return next(self._blocks, None)


@contextlib.contextmanager
def _readable(arrow: Any) -> Generator[None, None, None]:
    failed = False
    try:
        yield
    except (arrow.ArrowException, OSError):
        failed = True
    if failed:
        message = "the Parquet or Arrow file is broken or cut off"
        raise MMRawError("source_unavailable", message)


def _library(name: str) -> Any:
    with contextlib.suppress(ImportError):
        return import_module(name)
    raise MMRawError("missing_dependency", "Parquet and Arrow need mmraw-protocol[arrow]")


def _worked(
    table: Table, work: Any, open_work: Any, processes: int, start_seconds: float
) -> Iterator[tuple[Block, Any]]:
    blocks = worked(_Reader(table), work, open_work, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        yield from blocks


def _check(block: Block, limits: Limits, verifier: Verifier | None) -> Checked:
    from .batches import validate_batch

    checked = Checked()
    for one in validate_batch(block.data, limits=limits, verifier=verifier).to_pylist():
        kind, code = one["kind"], one["code"]
        checked.counts[kind] = checked.counts.get(kind, 0) + one["count"]
        if code is None:
            continue
        checked.refused[code] = checked.refused.get(code, 0) + 1
        if len(checked.refusals) < MOST_REFUSALS:
            line, column = block.line + one["row"], one["column"] or ""
            refused = Refused(line, kind, code, one["path"], one["message"], column)
            checked.refusals.append(refused)
    return checked


def _open_rewrite(job: Job) -> Callable[[Block], tuple[Any, Tally]]:
    return functools.partial(_rewrite, rewriter=_Noting(job.open()))


class _Noting:
    """A rewriter, and a job that is open already, which keeps what is noted."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self.heads, self.most, self.rewrite = rewriter.heads, rewriter.most, rewriter.rewrite
        self.notes: list[tuple[str, int]] = []

    def take_notes(self) -> list[tuple[str, int]]:
        notes = self._rewriter.take_notes()
        self.notes += notes
        return notes

    def open(self) -> _Noting:
        return self


def _rewrite(block: Block, rewriter: _Noting) -> tuple[Any, Tally]:
    from .batches import rewrite_batch

    rows, results = rewrite_batch(block.data, rewriter)
    tally = Tally(notes=rewriter.notes)
    rewriter.notes = []
    for one in results.to_pylist():
        code = one["code"]
        if code is None:
            tally.changed += one["count"] if one["kind"] == "changed" else 0
            tally.unchanged += one["count"] if one["kind"] == "unchanged" else 0
            continue
        tally.refused[code] = tally.refused.get(code, 0) + 1
        if len(tally.refusals) < MOST_PLACES:
            place = block.line + one["row"], one["byte"] or 1
            refusal = Refusal(*place, code, one["path"], one["message"], one["column"] or "")
            tally.refusals.append(refusal)
    return rows, tally


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


def _parquet_options(file: Any) -> dict[str, Any]:
    """Options with which a file is written as another one was."""
    metadata = file.metadata
    options: dict[str, Any] = {
        "version": "1.0" if metadata.format_version == "1.0" else "2.6",
        "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
    }
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        encoded = [c.path_in_schema for c in columns if any("DICT" in e for e in c.encodings)]
        options |= {
            "compression": {c.path_in_schema: _codec_name(c.compression) for c in columns},
            "use_dictionary": encoded or False,
            "write_statistics": [c.path_in_schema for c in columns if c.is_stats_set] or False,
            "sorting_columns": group.sorting_columns or None,
        }
    return options


def _codec_name(name: str) -> str:
    return "NONE" if name == "UNCOMPRESSED" else name
