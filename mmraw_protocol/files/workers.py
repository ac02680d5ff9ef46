"""Worker processes of Python's own pool, and the file through which blocks and results go.

Through pipes, a block of 1 MB costs some 4 ms of the system's time, half as much as checking it;
and a thread that reads a pipe piece by piece waits at each piece for the one that works.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import count
from typing import Any, NamedTuple

from ..images.worker_start import reason_of
from ..wire.errors import MMRawError
from .reader import Block

#: Bytes of a slot of the file. A longer thing goes through the pipe; what is not written takes no
#: room on the disk.
_SLOT = 64 << 20


class _Left(NamedTuple):
    """Something that stands in a slot."""

    slot: int
    size: int


class Workers:
    """A pool, and a file with a slot for each block under way."""

    def __init__(self, pool: ProcessPoolExecutor, descriptor: int) -> None:
        self._pool, self._descriptor = pool, descriptor
        self._free: list[int] = []
        self._new = count()

    def submit(self, block: Block) -> Future[Any]:
        """Gives a block to a worker.

        Raises:
            MMRawError: decoder_unavailable.
        """
        slot = self._free.pop() if self._free else next(self._new)
        reason = ""
        try:
            return self._pool.submit(_do, _put(self._descriptor, slot, block), slot)
        except OSError as error:
            reason = reason_of(error)
        except BrokenProcessPool:
            reason = "out of memory?"
        raise _ended(reason)

    def result(self, future: Future[Any]) -> Any:
        """What became of a block.

        Raises:
            MMRawError: decoder_unavailable.
            Exception: What the work raises.
        """
        with contextlib.suppress(BrokenProcessPool):
            slot, sent = future.result()
            result = _get(self._descriptor, sent)
            self._free.append(slot)
            return result
        raise _ended("out of memory?")

    def forget(self, futures: Iterable[Future[Any]]) -> None:
        """Nobody waits for these any more; their slots are free when workers have done them."""
        for future in futures:
            future.add_done_callback(self._forgotten)

    def _forgotten(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._free.append(future.result()[0])


@contextlib.contextmanager
def started(open_work: Callable[[], Any], number: int) -> Generator[Workers, None, None]:
    """Workers, which end with this process.

    Args:
        open_work: Gives what a worker does with a block; it can be pickled.
        number: Of workers.
    """
    # A forked child of a process with threads may hang; a spawned one does not.
    context = multiprocessing.get_context("spawn")
    with tempfile.NamedTemporaryFile(prefix="mmraw-") as file:
        begin = (open_work, file.name)
        pool = ProcessPoolExecutor(number, context, initializer=_begin, initargs=begin)
        try:
            yield Workers(pool, file.fileno())
        finally:
            pool.shutdown(cancel_futures=True)


def _ended(reason: str) -> MMRawError:
    message = f"a worker process did not start or ended early ({reason}); try with one process"
    return MMRawError("decoder_unavailable", message)


def _put(descriptor: int, slot: int, thing: Any) -> Any:
    """What to send for a thing: where it was left, or itself, also where the disk is full."""
    data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    with contextlib.suppress(OSError):
        if len(data) <= _SLOT and os.pwrite(descriptor, data, slot * _SLOT) == len(data):
            return _Left(slot, len(data))
    return thing


def _get(descriptor: int, sent: Any) -> Any:
    if not isinstance(sent, _Left):
        return sent
    return pickle.loads(os.pread(descriptor, sent.size, sent.slot * _SLOT))


_work: Callable[[Block], Any]
_file: int


def _begin(open_work: Callable[[], Callable[[Block], Any]], path: str) -> None:
    """In a worker: gets ready, and ends with the process that started it."""
    global _work, _file
    # Ctrl-C in a terminal goes to all; the process that started this one answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, args=(path,), daemon=True).start()
    _file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    _work = open_work()


def _leave_with_parent(path: str) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    with contextlib.suppress(OSError):
        os.unlink(path)
    os._exit(1)


def _do(sent: Any, slot: int) -> tuple[int, Any]:
    return slot, _put(_file, slot, _work(_get(_file, sent)))
