"""Blocks of one input, worked on by this process or by workers; results in the input's order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from .reader import Block, LineReader
from .workers import Workers, started

R = TypeVar("R")

#: Seconds that this process works alone: a worker needs about as long until it begins.
START_SECONDS = 0.2
#: Blocks under way for each worker, so that none waits for this process.
_AHEAD = 3
#: Blocks for each process that are held until those before them are done, while a worker starts.
_HELD = 16


def worked(
    reader: LineReader,
    work: Callable[[Block], R | None],
    open_work: Callable[[], Callable[[Block], R | None]],
    processes: int,
    *,
    start_seconds: float = START_SECONDS,
) -> Generator[tuple[Block, R | None], None, None]:
    """Each block with what became of it.

    Where that is None the caller reads the block itself, and then as much behind it as belongs to
    it: no later block is taken out of the reader then. A line too long for a block is such a one.

    Args:
        reader: Gives the blocks.
        work: What this process does with a block.
        open_work: Gives what a worker does with one; it can be pickled, and each calls it once.
        processes: This one and its workers, which start where this one alone is not done soon.
        start_seconds: How soon that is.

    Raises:
        MMRawError: decoder_unavailable, where a worker does not start or ends early.
        Exception: What the work raises, here or there.
    """
    deadline = time.perf_counter() + start_seconds
    while block := reader.next_block():
        yield block, work(block) if block.whole else None
        if processes > 1 and time.perf_counter() >= deadline:
            break
    else:
        return
    with started(open_work, processes - 1) as workers:
        yield from _shared(reader, work, workers, processes)


#: A block under way: with a worker, or with what this process made of it.
_Waiting = tuple[Block, "Future[Any] | None", Any]


def _shared(
    reader: LineReader, work: Callable[[Block], Any], workers: Workers, processes: int
) -> Generator[tuple[Block, Any], None, None]:
    """Blocks go to the workers, and to this process while these have enough to do."""
    waiting: deque[_Waiting] = deque()
    is_ended = is_alone = False
    while waiting or not is_ended:
        block = None
        if len(waiting) < _HELD * processes and (not waiting or waiting[-1][0].whole):
            block = reader.next_block()
            is_ended = block is None
        if block is not None:
            busy = sum(not _is_done(one) for one in waiting)
            if is_alone or not block.whole or busy >= _AHEAD * (processes - 1):
                waiting.append((block, None, work(block) if block.whole else None))
            else:
                waiting.append((block, workers.submit(block), None))
        while waiting and (block is None or _is_done(waiting[0])):
            block, future, result = waiting.popleft()
            result = result if future is None else workers.result(future)
            # The caller reads on behind this block; what comes then is likely to be of its kind.
            is_alone = result is None
            if is_alone and waiting:
                reader.unread(b"".join(one.data for one, _, _ in waiting), waiting[0][0].line)
                workers.forget(future for _, future, _ in waiting if future is not None)
                waiting.clear()
            is_ended = is_ended and not is_alone
            yield block, result


def _is_done(one: _Waiting) -> bool:
    return one[1] is None or one[1].done()
