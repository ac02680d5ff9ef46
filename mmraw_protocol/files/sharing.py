"""One file for several processes: each reads ranges of it, this one as well."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

import msgspec

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.msgpack import is_msgpack
from .checking import OWN_BLOCK, Checked, check, is_part_of_a_document
from .processes import ended_early, start_worker
from .ranges import Part, Task, check_ranges, merge_parts
from .reader import BLOCK, LineReader

if TYPE_CHECKING:
    from subprocess import Popen

#: Workers start where what is left would keep this process for so long: one needs about 0.15 s
#: until it checks. Plain refs come to that from about 16 MiB on, refused ones much earlier.
START_SECONDS = 0.2
#: Ranges of a file at most: what is found in each is kept until all are done.
_MOST_RANGES = 1 << 14


def check_file(
    file: IO[bytes],
    *,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    range_bytes: int = BLOCK,
    start_seconds: float = START_SECONDS,
) -> Checked:
    """Checks an open file as `check` does, with the same result on any number of processes.

    Several processes read a regular file of lines in ranges, each its own. What comes through a
    pipe is read here and handed on in blocks.

    Args:
        file: Open for reading; nobody else may move its offset meanwhile.
        processes: That share the lines, this one among them.
        progress: Told how many bytes are done, about.
        limits: Of refs, envelopes and features.
        range_bytes: Of a range, at least.
        start_seconds: Others start where this process would be busy for so long with what is left.

    Raises:
        MMRawError: decoder_unavailable, where a worker ended early; source_unavailable, where the
            file became shorter while it was read.
    """
    size = _size_of_regular(file) if processes > 1 else None
    if size is None:
        return check(file.read, processes=processes, progress=progress, limits=limits)
    if not _is_of_lines(file):
        return check(file.read, progress=progress, limits=limits)
    range_bytes = max(range_bytes, size // _MOST_RANGES)
    task = Task(file.fileno(), size, range_bytes, limits)
    # Seeking within what a buffer holds moves no offset.
    os.lseek(task.file, 0, os.SEEK_SET)
    parts = _check_shared(task, processes - 1, start_seconds, progress)
    file.seek(0, os.SEEK_END)
    return merge_parts(parts, size)


def _size_of_regular(file: IO[bytes]) -> int | None:
    """The size of a regular file of text that is read from its beginning; None for all else."""
    with contextlib.suppress(OSError):
        status = os.fstat(file.fileno())
        # Files that the system makes up as they are read have no size.
        if stat.S_ISREG(status.st_mode) and status.st_size and file.tell() == 0:
            is_shared = hasattr(os, "pread") and not is_msgpack(os.pread(file.fileno(), 1, 0))
            return status.st_size if is_shared else None
    return None


def _is_of_lines(file: IO[bytes]) -> bool:
    reader = LineReader(file.read, block=OWN_BLOCK)
    first = reader.next_block()
    file.seek(0)
    return first is not None and not is_part_of_a_document(first)


def _check_shared(
    task: Task, most: int, start_seconds: float, progress: Callable[[int], None] | None
) -> list[Part]:
    """What is in all ranges, in any order; up to so many workers take part."""
    workers: list[Popen[bytes]] = []
    parts: list[Part] = []
    started = time.perf_counter()
    try:
        for part in check_ranges(task):
            parts.append(part)
            if any(worker.poll() for worker in workers):
                raise ended_early()
            if progress is not None:
                progress(part.end)
            left = (time.perf_counter() - started) / part.end * (task.size - part.end)
            if not workers and left >= start_seconds:
                ranges = -(-(task.size - part.end) // task.range_bytes)
                workers += [
                    start_worker("range_worker", task, [task.file])
                    for _ in range(min(most, ranges))
                ]
        for worker in workers:
            parts += _answer(worker)
    finally:
        for worker in workers:
            with worker:
                worker.kill()
    if progress is not None:
        progress(task.size)
    return parts


def _answer(worker: Popen[bytes]) -> list[Part]:
    """What a worker found, when it is done."""
    assert worker.stdout is not None
    data = worker.stdout.read()
    if worker.wait():
        raise ended_early()
    return msgspec.json.decode(data, type=list[Part])
