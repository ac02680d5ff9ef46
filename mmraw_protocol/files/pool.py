"""Blocks of one input, worked on by this process or by workers; results in the input's order."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ..images.worker_start import reason_of
from ..wire.errors import MMRawError
from .handed import folder_for_files, hand_over, leave_with, taken
from .reader import Block, LineReader, PlainFile

R = TypeVar("R")

#: Seconds that this process works alone: a worker needs about as long until it begins.
START_SECONDS = 0.2
#: Blocks under way for each worker, so that none waits for this process.
_AHEAD = 3
#: Bytes that are held until the blocks before them are done, while a worker starts.
_HELD = 48 << 20


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
    # A forked child of a process with threads may hang; a spawned one does not.
    context = multiprocessing.get_context("spawn")
    with folder_for_files() as folder:
        pool = ProcessPoolExecutor(processes - 1, context, _begin, (open_work, folder))
        try:
            yield from _shared(reader, work, pool, _AHEAD * (processes - 1))
            return
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(cancel_futures=True)
    raise _ended("out of memory?")


def _shared(
    reader: LineReader, work: Callable[[Block], Any], pool: ProcessPoolExecutor, ahead: int
) -> Generator[tuple[Block, Any], None, None]:
    """Blocks go to the workers, and to this process while these have enough to do."""
    waiting: deque[tuple[Block, Future[Any]]] = deque()
    is_alone = False
    while True:
        is_wanted = not waiting or (waiting[-1][0].whole and _held(waiting) < _HELD)
        block = reader.next_block() if is_wanted else None
        if block is not None:
            busy = sum(not future.done() for _, future in waiting)
            is_own = is_alone or not block.whole or busy >= ahead
            future = _tried(work, block) if is_own else _submitted(pool, block, reader.plain)
            waiting.append((block, future))
        elif not waiting:
            return
        while waiting and (block is None or waiting[0][1].done()):
            block, future = waiting.popleft()
            result = taken(future.result())
            # The caller reads on behind this block; what comes then is likely to be of its kind.
            is_alone = result is None
            if is_alone and waiting:
                reader.unread(b"".join(one.data for one, _ in waiting), waiting[0][0].line)
                waiting.clear()
            yield block, result


def _held(waiting: Iterable[tuple[Block, Future[Any]]]) -> int:
    """Bytes of blocks, and of what became of those that are done."""
    made = [one.result() for _, one in waiting if one.done() and one.exception() is None]
    return sum(block.size for block, _ in waiting) + sum(getattr(m, "new_size", 0) for m in made)


def _tried(work: Callable[[Block], Any], block: Block) -> Future[Any]:
    """What this process makes of a block; an error waits for what the blocks before it give."""
    done: Future[Any] = Future()
    try:
        done.set_result(work(block) if block.whole else None)
    except MMRawError as error:
        done.set_exception(error)
    return done


def _submitted(pool: ProcessPoolExecutor, block: Block, plain: PlainFile | None) -> Future[Any]:
    try:
        return pool.submit(_do, block._replace(data=b"") if plain else block, plain)
    except OSError as error:
        reason = reason_of(error)
    raise _ended(reason)


def _ended(reason: str) -> MMRawError:
    message = f"a worker process did not start or ended early ({reason}); try with one process"
    return MMRawError("decoder_unavailable", message)


_work: Callable[[Block], Any]
_folder: str | None


def _begin(open_work: Callable[[], Callable[[Block], Any]], folder: str | None) -> None:
    """In a worker: gets ready, and ends with the process that started it."""
    global _work, _folder
    # Ctrl-C in a terminal goes to all; the process that started this one answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=leave_with, args=(parent, folder), daemon=True).start()
    _folder, _work = folder, open_work()


def _do(block: Block, plain: PlainFile | None) -> Any:
    whole = block._replace(data=plain.read(block.at, block.size)) if plain else block
    return hand_over(_work(whole), _folder)
