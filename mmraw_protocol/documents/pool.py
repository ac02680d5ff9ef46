"""Worker processes that end with their parent."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import MMRawError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


@contextmanager
def open_pool(
    processes: int, start: Callable[[], object] | None = None
) -> Generator[ProcessPoolExecutor, None, None]:
    """A pool of workers; what is not yet begun is given up when the block is left.

    Args:
        processes: How many.
        start: Called once in each; it must be picklable.

    Raises:
        MMRawError: decoder_unavailable, where a worker ended early.
    """
    import multiprocessing
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

    # Spawned, not forked: this process may have threads (the progress bar is one).
    context = multiprocessing.get_context("spawn")
    broken = False
    with ProcessPoolExecutor(processes, context, _start, (start,)) as pool:
        try:
            yield pool
        except BrokenExecutor:
            broken = True
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if broken:
        raise ended_early()


def ended_early() -> MMRawError:
    """The error that stands for a worker's end."""
    message = "a worker process ended early (out of memory?); try with one process"
    return MMRawError("decoder_unavailable", message)


def _start(start: Callable[[], object] | None) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if start is not None:
        start()


def _leave_with_parent() -> None:
    """Ends a worker whose parent was killed: nobody else would."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
