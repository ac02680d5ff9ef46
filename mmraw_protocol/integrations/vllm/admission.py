"""What all requests together may hold, and what of one request is under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from ...system.budget import Budget
from ...wire.errors import MMRawError

Value = TypeVar("Value")

#: Images of one request that are read or decoded at a time; no request fills the server alone.
AT_A_TIME = 8


def busy(why: str) -> MMRawError:
    """The refusal of what may pass later (HTTP 503 with Retry-After)."""
    return MMRawError("server_unavailable", why)


class Admission:
    """The budgets of a server.

    Args:
        most_bytes: Bytes of images in flight: encoded, decoded and processed.
        images: Images that are read and decoded at a time.
        queue: Images that may wait for that.
        changed: Called with what is under way, by name, when it has changed.
    """

    def __init__(
        self, most_bytes: int, images: int, queue: int, changed: Callable[..., None]
    ) -> None:
        self.bytes = Budget(most_bytes, lambda used: changed(bytes=used))
        self._slots = asyncio.Semaphore(images)
        self._queue = queue
        self._changed = changed
        self._waiting = self._taken = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """The turn of one image.

        Raises:
            MMRawError: server_unavailable (too many wait already).
        """
        if self._slots.locked() and self._waiting >= self._queue:
            raise busy(f"{self._queue} images wait already (MMRAW_QUEUE)")
        self._count(waiting=1)
        try:
            await self._slots.acquire()
        finally:
            self._count(waiting=-1)
        self._count(taken=1)
        try:
            yield
        finally:
            self._count(taken=-1)
            self._slots.release()

    def _count(self, waiting: int = 0, taken: int = 0) -> None:
        self._waiting += waiting
        self._taken += taken
        self._changed(images=self._taken, queued=self._waiting)


class Loads:
    """The images of one request that are on their way to vLLM.

    Attributes:
        held: Bytes of the budget that this request holds.
    """

    def __init__(self) -> None:
        self.held = 0
        self._give: Callable[[int], None] = lambda _: None
        self._few = asyncio.Semaphore(AT_A_TIME)
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended: BaseException | None = None
        self._closed = False

    async def load(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """What `work` gives; all that is under way ends with `end`.

        Raises:
            BaseException: what `work` raises, or what `end` was given.
        """
        if self._ended is not None:
            raise self._ended.with_traceback(None)

        async def one() -> Value:
            async with self._few:
                return await work()

        task = asyncio.ensure_future(one())
        self._tasks.add(task)
        try:
            await asyncio.wait({task})
            if task.cancelled() and self._ended is not None:
                raise self._ended.with_traceback(None)
            return task.result()
        finally:
            task.cancel()
            self._tasks.discard(task)

    def end(self, why: BaseException) -> None:
        """Ends what is under way, and what begins later; the first reason counts."""
        self._ended = self._ended or why
        for task in self._tasks:
            task.cancel()

    def keep(self, amount: int, budget: Budget) -> int:
        """Takes over bytes until `release`; gives how many it took (none after `close`)."""
        if self._closed:
            return 0
        self._give = budget.give
        self.held += amount
        return amount

    def release(self) -> None:
        """Frees what the request holds: vLLM has processed it."""
        held, self.held = self.held, 0
        self._give(held)

    def close(self) -> None:
        """The request is over."""
        self._closed = True
        self.end(asyncio.CancelledError())
        self.release()
