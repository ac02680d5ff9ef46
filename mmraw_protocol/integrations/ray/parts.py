"""The output of a rewriting: a folder of parts, one for each task, and one of what was refused."""

from __future__ import annotations

import contextlib
import uuid
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any, Literal

import msgspec

from ...files.batches import Rewritten
from ...files.columns import arrow, bytes_of, joined_lines, rows_in
from ...files.facts import Facts
from ...files.results import FACTS_KIND
from ...system.shown import Shown
from ...wire.errors import MMRawError
from ...wire.extras import required_module
from .blocks import LINES_READ
from .lines import located

#: `lines` writes the last column of JSON lines as it is.
Form = Literal["parquet", "lines"]
#: Bytes of Parquet that are written together.
ROW_GROUP = 8 << 20
#: Bytes of a page of Parquet. A reader holds a page twice, and pyarrow ends one after 1,024 rows.
PAGE = 1 << 20
#: Refusals that a summary names one by one; it counts them all.
MOST_REFUSALS = 100
Datasink: Any = required_module("ray.data", "ray", "for data sets of Ray").Datasink
#: How parts and refusals are named. Refusals of files may lack columns that are kept of rows; they
#: come last in the order of names, because readers take the columns of the first.
_PART, _REFUSED, _REFUSED_FILE = "part", "refused", "refused-file"
_ENDINGS: dict[str | None, str] = {None: "", "gzip": ".gz", "zstd": ".zst"}


class Summary(Shown, msgspec.Struct):
    """The result of a run over a Dataset.

    Attributes:
        counts: Things of each kind, as `Counts` of files has them: refused ones, too.
        bytes: Of images, by kind.
        refused: Refusals by code; one thing may have several.
        refusals: The first of them, as lines of results. The `path` of a broken file is its own.
        facts: What was noted of images, where that was asked for.
        rows: That were written.
        parts: Files that were written.
        lines: Of each file, how many were read from an offset on; none after `place`.
    """

    counts: dict[str, int] = {}
    bytes: dict[str, int] = {}
    refused: dict[str, int] = {}
    refusals: list[dict[str, Any]] = []
    facts: Facts = msgspec.field(default_factory=Facts)
    rows: int = 0
    parts: int = 0
    lines: dict[str, dict[int, int]] = {}

    def add(self, results: Any) -> None:
        """Counts a batch or table of results."""
        names = ("kind", "code", "count", "bytes", "message")
        columns = [results.column(name).to_pylist() for name in names]
        for index, (kind, code, count, size, message) in enumerate(zip(*columns, strict=True)):
            if kind == FACTS_KIND:
                self.facts.merge(msgspec.json.decode(message, type=Facts))
                continue
            if kind == LINES_READ:
                (one,) = results.slice(index, 1).to_pylist()
                self.lines.setdefault(one["file"], {})[one["start"]] = count
                continue
            _add(self.counts, kind, count)
            _add(self.bytes, kind, size)
            if code is not None:
                # Further faults of the same thing have the count 0.
                _add(self.refused, code, max(count, 1))
            if code is not None and len(self.refusals) < MOST_REFUSALS:
                self.refusals += results.slice(index, 1).to_pylist()

    def merge(self, other: Summary) -> None:
        """Adds what another task did."""
        for name in ("counts", "bytes", "refused"):
            for key, count in getattr(other, name).items():
                _add(getattr(self, name), key, count)
        self.facts.merge(other.facts)
        self.refusals += other.refusals[: MOST_REFUSALS - len(self.refusals)]
        self.rows += other.rows
        self.parts += other.parts
        for file, counts in other.lines.items():
            self.lines.setdefault(file, {}).update(counts)

    def place(self) -> None:
        """Gives refusals in lines that were counted a `line`, from 1, when all tasks are added."""
        for one in self.refusals if self.lines else ():
            counts = self.lines[one["file"]]
            starts = sorted(counts)
            before = starts[: bisect_right(starts, one["start"]) - 1]
            one["line"] = 1 + one["row"] + sum(counts[start] for start in before)
        self.lines = {}


def _add(counts: dict[str, int], key: str, count: int) -> None:
    if count:
        counts[key] = counts.get(key, 0) + count


def _as_table(block: Any) -> Any:
    return block if isinstance(block, arrow.Table) else arrow.Table.from_pandas(block)


class Parts(Datasink):
    """Rewrites the blocks of a task and writes them as one part, named by the task's number.

    A task that is done once more, because its worker died, writes the same part again: a part is
    there whole or not at all, and once. `summary` tells after the end.

    Args:
        work: Rewrites a block, as `worked` does.
        out: The folder, a path or URL; it must be empty or absent.
        refused: The folder of Parquet files with the refusals.
        form: Of the parts.
        compression: Of lines: None, gzip or zstd; of Parquet, as pyarrow takes it.
    """

    def __init__(
        self,
        work: Callable[[Any], Iterable[Rewritten]],
        out: str,
        refused: str,
        form: Form,
        compression: str | None,
    ) -> None:
        self._work, self._out, self._refused = work, out, refused
        self._form, self._compression = form, compression
        self.summary = Summary()

    def check(self) -> None:
        """Makes the folders.

        Raises:
            MMRawError: source_unavailable, unsupported_option (a folder holds something).
        """
        for place in (self._out, self._refused):
            system, path = located(place)
            if system.get_file_info(path).is_file or _entries(system, path):
                message = "expected empty folders for the output and the rejected values"
                raise MMRawError("unsupported_option", message)
            if system.type_name == "local":
                system.create_dir(path)

    def write(self, blocks: Iterable[Any], ctx: Any) -> Summary:
        """Writes the part of a task."""
        summary = Summary()
        with contextlib.ExitStack() as stack:
            writers: dict[str, Any] = {}
            for rows, results in self._rewritten(blocks):
                summary.add(results)
                told = results.filter(results["code"].is_valid())
                tables = {_REFUSED_FILE: told}
                if rows is not None:
                    summary.rows += len(rows)
                    tables = {_PART: rows, _REFUSED: told}
                for name, table in tables.items():
                    if name not in writers and len(table):
                        opened = self._writer(name, ctx.task_idx, table)
                        writers[name] = stack.enter_context(opened)
                    if len(table):
                        writers[name](table)
            summary.parts = int(_PART in writers)
        return summary

    def _rewritten(self, blocks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Tables of rows and results: each batch, or row groups of Parquet; results alone, too."""
        done: list[Rewritten] = []
        size = 0
        most = ROW_GROUP if self._form == "parquet" else 0
        for one in chain.from_iterable(map(self._work, map(_as_table, blocks))):
            if one.rows is None:
                yield None, arrow.Table.from_batches([one.results])
                continue
            done.append(one)
            size += bytes_of(one.rows)
            if size > most:
                yield _tables(done)
                done, size = [], 0
        if done:
            yield _tables(done)

    def on_write_complete(self, write_result: Any) -> None:
        """Adds up what the tasks did."""
        for one in write_result.write_returns:
            self.summary.merge(one)
        self.summary.place()
        self._clear()

    def on_write_failed(self, error: Exception) -> None:
        """Leaves the parts that are whole."""
        self._clear()

    def _clear(self) -> None:
        """Removes what attempts left behind that did not end."""
        for place in (self._out, self._refused):
            system, path = located(place)
            for info in _entries(system, path):
                if info.base_name.startswith(".mmraw-"):
                    system.delete_file(info.path)

    @contextmanager
    def _writer(self, name: str, number: int, first: Any) -> Generator[Any, None, None]:
        """The writer for the tables of a part, or of its refusals, of which `first` is one."""
        parquet: Any = import_module("pyarrow.parquet")
        is_part = name == _PART
        place = self._out if is_part else self._refused
        kind = self._compression
        if is_part and self._form == "lines":
            with _whole(place, f"part-{number:06d}.jsonl{_ENDINGS[kind]}") as file:
                packed = file if kind is None else arrow.CompressedOutputStream(file, kind)
                yield partial(_write_lines, packed)
                if packed is not file:
                    packed.close()
            return
        pages = {"write_batch_size": min(rows_in(first, PAGE), 1024)}
        options: dict[str, Any] = {"compression": kind or "snappy", **pages}
        with (
            _whole(place, f"{name}-{number:06d}.parquet") as file,
            parquet.ParquetWriter(file, first.schema, **options) as writer,
        ):
            yield writer.write_table


def _entries(system: Any, path: str) -> list[Any]:
    fs: Any = import_module("pyarrow.fs")
    return system.get_file_info(fs.FileSelector(path, allow_not_found=True))


def _tables(done: Sequence[Rewritten]) -> tuple[Any, Any]:
    rows = arrow.Table.from_batches([one.rows for one in done])
    return rows, arrow.Table.from_batches([one.results for one in done])


def _write_lines(file: Any, table: Any) -> None:
    for lines in table.column(table.num_columns - 1).chunks:
        for text in joined_lines(lines, len(lines)):
            file.write(text)
            file.write(b"\n")


@contextmanager
def _whole(place: str, name: str) -> Generator[Any, None, None]:
    """A file that is there when it is whole: an object store's are, a directory's are renamed."""
    system, path = located(place)
    is_local = system.type_name == "local"
    begun = f"{path}/.mmraw-{uuid.uuid4().hex}" if is_local else f"{path}/{name}"
    file = system.open_output_stream(begun, compression=None)
    try:
        yield file
    except BaseException:
        # An object that is not closed is not made.
        if is_local:
            file.close()
            system.delete_file(begun)
        raise
    file.close()
    if is_local:
        system.move(begun, f"{path}/{name}")
