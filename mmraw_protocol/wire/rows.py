"""Parquet and Arrow files (Feather, saved datasets): their rows, in batches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Generator, Iterator
from typing import IO, Any

from .errors import MMRawError
from .extras import extra_module

#: The beginnings of Parquet, Arrow files (Feather version 2) and Arrow streams (saved datasets).
_STREAM = b"\xff\xff\xff\xff"
_MAGIC = (b"PAR1", b"ARRO", _STREAM)
#: The end of a stream: the sign of a message, and no bytes of one.
_STREAM_END = _STREAM + bytes(4)
#: Bytes of rows that are taken at once, and how many rows at most.
_BATCH_BYTES = 2 << 20
_BATCH_ROWS = 1 << 14


def is_table(head: bytes) -> bool:
    """True if a file that begins with these four bytes is Parquet or Arrow."""
    return head in _MAGIC


class RowFile:
    """An open file of rows.

    Args:
        file: It can be sought in.

    Attributes:
        schema: As pyarrow reads it.
        parquet: The open Parquet file; None where it is Arrow.
        is_stream: Whether Arrow's batches stand one behind the other, without a table of them.
        ends: How many rows there are up to the end of each row group that was begun.
        metadata: What an Arrow file says of itself beside its schema; None for the other forms.

    Raises:
        MMRawError: missing_dependency, source_unavailable (it cannot be read).
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.parquet: Any = None
        self.ends: set[int] = set()
        self.metadata: Any = None
        head = file.read(4)
        file.seek(0)
        self.is_stream = head == _STREAM
        if self.is_stream:
            self._check_end()
        with readable():
            if head == b"PAR1":
                self.parquet = library("pyarrow.parquet").ParquetFile(file, pre_buffer=False)
                self.schema = self.parquet.schema_arrow
            else:
                ipc = library("pyarrow.ipc")
                self._ipc = (ipc.open_stream if self.is_stream else ipc.open_file)(file)
                self.schema = self._ipc.schema
                # Old versions of pyarrow do not tell.
                self.metadata = getattr(self._ipc, "metadata", None)

    def _check_end(self) -> None:
        """A stream that was cut off between two batches reads like a whole one but for its end."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(size - len(_STREAM_END), 0))
        is_whole = self.file.read() == _STREAM_END
        self.file.seek(0)
        if not is_whole:
            message = "the Arrow stream has no end mark: it was cut off, or is still being written"
            raise MMRawError("source_unavailable", message)

    def batches(self, groups: Collection[int] | None = None) -> Iterator[Any]:
        """The rows in order, or those of some row groups of Parquet.

        Reading raises what `readable` turns into MMRawError.
        """
        if self.is_stream:
            yield from self._ipc
            if self.file.read(1):
                message = "expected one Arrow stream, got more data behind its end"
                raise MMRawError("source_unavailable", message)
            return
        if self.parquet is None:
            yield from map(self._ipc.get_batch, range(self._ipc.num_record_batches))
            return
        end, metadata = 0, self.parquet.metadata
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            end += group.num_rows
            self.ends.add(end)
            rows = _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)
            size = min(max(rows, 1), _BATCH_ROWS)
            if groups is None or index in groups:
                yield from self.parquet.iter_batches(batch_size=size, row_groups=[index])


@contextlib.contextmanager
def readable() -> Generator[None, None, None]:
    """Turns what pyarrow raises while it reads into MMRawError (source_unavailable)."""
    arrow = library("pyarrow")
    failed = False
    try:
        yield
    except (arrow.ArrowException, OSError):
        failed = True
    if failed:
        message = "the Parquet or Arrow file is broken or cut off"
        raise MMRawError("source_unavailable", message)


def library(name: str) -> Any:
    """A module of pyarrow.

    Raises:
        MMRawError: missing_dependency.
    """
    return extra_module(name, "arrow", "for Parquet and Arrow")
