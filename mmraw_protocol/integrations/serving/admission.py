"""Limits for all requests together, and the work in progress of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from ...system.budget import Budget
from ...wire.errors import MMRawError

Value = TypeVar("Value")

#: Images of one request that are read or decoded at a time; no request fills the server alone.
AT_A_TIME = 8
#: One part in so many of all bytes is left to files that are read and wait: what holds them waits
#: for the rest, and must not take it from itself.
FILES = 8


def room_for(pixels: int, processed: int) -> tuple[int, int]:
    """Bytes that an image takes while it is decoded, and from then until it is processed.

    Args:
        pixels: Width times height.
        processed: Bytes that the server's processor makes of it.
    """
    # Decoders hold up to 8 bytes a pixel, Pillow's RGB has 4.
    kept = 4 * pixels + processed
    return max(8 * pixels, kept), kept


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
    async def slot(self, *, is_begun: bool = False) -> AsyncGenerator[None]:
        """The turn of one image; one that is begun has been in the queue.

        Raises:
            MMRawError: server_unavailable (too many wait already).
        """
        if not is_begun and self._slots.locked() and self._waiting >= self._queue:
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
    """The images of one request that are on their way to the model.

    Attributes:
        held: Bytes of the budget that this request holds.
        few: Images that are read at a time.
    """

    def __init__(self) -> None:
        self.held = 0
        self.few = asyncio.Semaphore(AT_A_TIME)
        self._reading = 0
        self._asking: list[tuple[int, asyncio.Future[bool]]] = []
        self._give: Callable[[int], None] = lambda _: None
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended: BaseException | None = None
        self._closed = False

    async def load(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Returns the result of `work`; `end` ends all work under way.

        Raises:
            BaseException: what `work` raises, or what `end` was given.
        """
        if self._ended is not None:
            raise self._ended.with_traceback(None)
        task = asyncio.ensure_future(work())
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
        # Images of this request that still wait for room ask for their bytes one by one.
        while self._asking:
            _settle(self._asking.pop()[1], False)

    @contextlib.contextmanager
    def reading(self, budget: Budget) -> Generator[None]:
        """Surrounds the reading of an image; when the last one ends, all ask for room together.

        Each for itself, some images of several requests would hold what the others wait for.
        """
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1
            asyncio.get_running_loop().call_soon(self._ask, budget)

    async def room(self, amount: int, budget: Budget) -> None:
        """Takes bytes for an image that was read, with those of all that were begun with it.

        Raises:
            MMRawError: limit_exceeded (there is never so much room).
        """
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._ended is None:
            self._asking.append((amount, turn))
        if self._ended is not None or not await turn:
            await budget.take(amount)

    def _ask(self, budget: Budget) -> None:
        if not self._reading and self._asking:
            task = asyncio.ensure_future(self._take(budget))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, budget: Budget) -> None:
        group, self._asking = self._asking, []
        total, taken = sum(amount for amount, _ in group), False
        most = budget.most - budget.most // FILES
        try:
            if self.held + total > most:
                message = "expected images of a request within MMRAW_INFLIGHT_BYTES, got more"
                for _, turn in group:
                    _settle(turn, MMRawError("limit_exceeded", message))
                return
            await budget.take(total)
            taken = True
        finally:
            for amount, turn in group:
                if not _settle(turn, taken) and taken:
                    budget.give(amount)

    def keep(self, amount: int, budget: Budget) -> int:
        """Takes over bytes until `release`; gives how many it took (none after `close`)."""
        if self._closed:
            return 0
        self._give = budget.give
        self.held += amount
        return amount

    def release(self) -> None:
        """Frees what the request holds: its images are processed."""
        held, self.held = self.held, 0
        self._give(held)

    def close(self) -> None:
        """The request is over."""
        self._closed = True
        self.end(asyncio.CancelledError())
        self.release()


def _settle(turn: asyncio.Future[bool], outcome: bool | MMRawError) -> bool:
    """Gives a turn its outcome; False if nobody waits for it any more."""
    if turn.done():
        return False
    if isinstance(outcome, MMRawError):
        turn.set_exception(outcome)
    else:
        turn.set_result(outcome)
    return True
