"""Blocks of one input, worked on by this process or by workers; results in the input's order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ..images.worker_start import reason_of
from ..wire.errors import MMRawError
from .reader import Block, LineReader

R = TypeVar("R")

#: Seconds that this process works alone: a worker needs about as long until it begins.
START_SECONDS = 0.2
#: Blocks under way for each worker, so that none waits for this process.
_AHEAD = 3


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
        processes: Workers, if more than one; they start where this process alone is not done soon.
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
    with _pool(open_work, processes) as pool:
        yield from _pooled(reader, pool, _AHEAD * processes)


def _pooled(
    reader: LineReader, pool: ProcessPoolExecutor, most: int
) -> Generator[tuple[Block, Any], None, None]:
    waiting: deque[tuple[Block, Future[Any] | None]] = deque()
    while True:
        while len(waiting) < most and (not waiting or waiting[-1][0].whole):
            block = reader.next_block()
            if block is None:
                break
            waiting.append((block, _submitted(pool, block) if block.whole else None))
        if not waiting:
            return
        block, future = waiting.popleft()
        result = None if future is None else _result(future)
        if result is None and waiting:
            reader.unread(b"".join(one.data for one, _ in waiting), waiting[0][0].line)
            waiting.clear()
        yield block, result


@contextlib.contextmanager
def _pool(
    open_work: Callable[[], Any], processes: int
) -> Generator[ProcessPoolExecutor, None, None]:
    # A forked child of a process with threads may hang; a spawned one does not.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(open_work,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, block: Block) -> Future[Any]:
    reason = ""
    try:
        return pool.submit(_do, block)
    except OSError as error:
        reason = reason_of(error)
    except BrokenProcessPool:
        reason = "out of memory?"
    raise _ended(reason)


def _result(future: Future[Any]) -> Any:
    with contextlib.suppress(BrokenProcessPool):
        return future.result()
    raise _ended("out of memory?")


def _ended(reason: str) -> MMRawError:
    message = f"a worker process did not start or ended early ({reason}); try with one process"
    return MMRawError("decoder_unavailable", message)


_work: Callable[[Block], Any]


def _begin(open_work: Callable[[], Callable[[Block], Any]]) -> None:
    """In a worker: gets ready, and ends with the process that started it."""
    global _work
    # Ctrl-C in a terminal goes to all; the process that started this one answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _work = open_work()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(block: Block) -> Any:
    return _work(block)
