"""A file in ranges: processes that hold it open take one after the other and check its lines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import msgspec

from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from .checking import MOST_REFUSALS, OWN_BLOCK, Checked, check_blocks
from .processes import ended_early
from .reader import LineReader

#: (most bytes, offset): the bytes of the file from there on, as `os.pread` gives them.
ReadAt = Callable[[int, int], bytes]

_STEP = 1 << 16


class Task(msgspec.Struct, frozen=True):
    """The file that processes share.

    Attributes:
        file: The descriptor; its offset, where the next range begins, is the same for all.
        size: Of the file when it was opened.
        range_bytes: Of a range.
        limits: Of refs, envelopes and features.
    """

    file: int
    size: int
    range_bytes: int
    limits: Limits


class Part(msgspec.Struct):
    """What is in the lines that begin in a range.

    Attributes:
        start, end: The range in bytes; a line belongs to where it begins.
        lines: How many lines end here, so that the numbers of later ones are known.
        checked: What was found; line 1 is the first that begins here.
        complete: Whether the file could be read as far as its size.
    """

    start: int
    end: int
    lines: int
    checked: Checked
    complete: bool


def check_ranges(task: Task) -> Iterator[Part]:
    """Checks ranges as long as there are some that no other process has taken.

    Refusals beyond those that a report names are counted and not kept.
    """

    def read_at(size: int, at: int) -> bytes:
        return os.pread(task.file, size, at)

    named = 0
    while (start := _take(task)) < task.size:
        end = min(start + task.range_bytes, task.size)
        part = check_range(read_at, start, end, task.size, task.limits)
        if named >= MOST_REFUSALS:
            part.checked.refusals.clear()
        named += len(part.checked.refusals)
        yield part


def _take(task: Task) -> int:
    """Where the next range begins, which is now this process's."""
    # Moving an offset is atomic (POSIX 2.9.7), and reading with pread leaves it where it is.
    return os.lseek(task.file, task.range_bytes, os.SEEK_CUR) - task.range_bytes


def check_range(read_at: ReadAt, start: int, end: int, size: int, limits: Limits) -> Part:
    """Checks the lines that begin in a range.

    Args:
        read_at: Reads the file.
        start: Of the range, in bytes.
        end: Of the range.
        size: Of the file when it was opened. A range that ends there is the last one: it takes
            what was added since, as one who reads from the beginning to the end does.
        limits: Of refs, envelopes and features.
    """
    lines = _Lines(read_at, start, end, size)
    reader = LineReader(lines.read, block=OWN_BLOCK)
    checked = Checked()
    check_blocks(reader, checked, limits)
    return Part(start, end, reader.line - 1, checked, not lines.cut)


def merge_parts(parts: list[Part], size: int) -> Checked:
    """What is in the whole file, as one process finds it.

    Raises:
        MMRawError: source_unavailable, where the file ended before its size; decoder_unavailable,
            where ranges are missing.
    """
    checked = Checked()
    end = lines = 0
    for part in sorted(parts, key=lambda one: one.start):
        if not part.complete:
            message = "the file became shorter while it was read, or cannot be read to its end"
            raise MMRawError("source_unavailable", message)
        if part.start != end:
            raise ended_early()
        checked.merge(part.checked, lines_before=lines)
        end, lines = part.end, lines + part.lines
    if end != size:
        raise ended_early()
    return checked


class _Lines:
    """The bytes of the lines that begin in a range, as a stream."""

    def __init__(self, read_at: ReadAt, start: int, end: int, size: int) -> None:
        self._source = read_at
        self._size = size
        #: Whether the file ended before its size, or could not be read.
        self.cut = False
        self._at = self._line_from(start, end) if start else 0
        #: Where the last line ends; None is the end of the file.
        self._stop: int | None = None
        if self._at >= end:
            # A line from before covers the range. Its reader looks for its end, once.
            self._stop = self._at
        elif end < size:
            self._stop = self._line_from(end, None)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, and none at the end."""
        wanted = size if self._stop is None else min(size, self._stop - self._at)
        data = self._read_at(wanted, self._at) if wanted > 0 else b""
        self._at += len(data)
        return data

    def _line_from(self, offset: int, most: int | None) -> int:
        """Where the first line from `offset` on begins: `most` if that is not before it."""
        at = offset - 1
        while most is None or at < most:
            data = self._read_at(_STEP if most is None else min(_STEP, most - at), at)
            end = data.find(b"\n")
            if end >= 0:
                return at + end + 1
            if not data:
                break
            at += len(data)
        return at

    def _read_at(self, size: int, at: int) -> bytes:
        data = b""
        with contextlib.suppress(OSError):
            data = self._source(size, at)
        self.cut = self.cut or (not data and at < self._size)
        return data
