"""Work on many items in threads, with the results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int, *, most: int
) -> Iterator[Result]:
    """Yields the result of `work` for each item; at most `most` are held at a time.

    Where one fails, or the caller stops, what has not begun is dropped. Where no thread starts, and
    in the child of a fork, which has none of its parent's threads, the caller works by itself.
    """
    owner = os.getpid()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="mmraw")
    waiting: deque[tuple[Item, Future[Result] | None]] = deque()

    def result() -> Result:
        item, future = waiting.popleft()
        return work(item) if future is None or os.getpid() != owner else future.result()

    try:
        for item in items:
            waiting.append((item, _submitted(pool, work, item, owner)))
            if len(waiting) >= most:
                yield result()
        while waiting:
            yield result()
    finally:
        if os.getpid() == owner:
            pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], item: Item, owner: int
) -> Future[Result] | None:
    if os.getpid() != owner:
        return None
    try:
        return pool.submit(work, item)
    except RuntimeError:
        # The system starts no further thread.
        return None
