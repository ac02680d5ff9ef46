"""Values that requests wait for on the event loop, while threads make them.

`SingleFlightCache` lets threads wait for each other; a server would then lose a thread for every
request that waits for the same slow image, and stop others. Here all callers wait on the event
loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, Generic, TypeVar

from ..images.abandoned import unless_abandoned
from ..system.forks import forget_after_fork
from ..wire.errors import MMRawError
from .cache import SingleFlightCache

Value = TypeVar("Value")


async def in_thread(pool: Executor, work: Callable[[], Value]) -> Value:
    """The result of `work`, from a thread; over only when the thread has ended.

    A thread cannot be stopped, only a worker that decodes for it: a cancelled caller still
    holds what the thread does.

    Raises:
        MMRawError: decoder_unavailable (no thread starts), what `work` raises.
    """
    begun: Future[Value] | None = None
    given_up = threading.Event()
    with contextlib.suppress(RuntimeError):
        begun = pool.submit(unless_abandoned, given_up.is_set, work)
    if begun is None:
        message = "the system cannot start a thread for decoding (ulimit -u)"
        raise MMRawError("decoder_unavailable", message)
    ended = asyncio.wrap_future(begun)
    try:
        await asyncio.wait({ended})
    except asyncio.CancelledError:
        given_up.set()
        # One that has not begun never does.
        if not begun.cancel():
            await asyncio.gather(ended, return_exceptions=True)
        raise
    return ended.result()


class _Flight(Generic[Value]):
    """A value that is made, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Value]) -> None:
        self.task = task
        self.waiting = 0


class AwaitedCache(Generic[Value]):
    """Values up to `capacity` bytes, each made once however many requests want it at a time.

    Args:
        capacity: Most bytes to keep, as the `size` function of `get` counts them; 0 for none.

    One event loop may use it, and any number of threads.
    """

    def __init__(self, capacity: int) -> None:
        self._cache: SingleFlightCache[Value] = SingleFlightCache(capacity)
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """Values stay; what makes one belongs to one process."""
        self._flights: dict[str, _Flight[Value]] = {}

    @property
    def cached_bytes(self) -> int:
        """Bytes that are kept."""
        return self._cache.size

    def find(self, key: str) -> Value | None:
        """The value of `key` if it is kept; never waits."""
        return self._cache.find(key)

    async def get(
        self,
        key: str,
        make: Callable[[], Coroutine[Any, Any, Value]],
        size: Callable[[Value], int],
    ) -> Value:
        """The value of `key`; one that is kept is given at once.

        A cancelled caller does not affect others. Work without a waiting caller is cancelled.

        Raises:
            MMRawError: what `make` raises, a separate error for each caller.
        """
        flight = self._flights.get(key)
        if flight is None:
            kept = self._cache.find(key)
            if kept is not None:
                return kept
            flight = self._start(key, make, size)
        failed: MMRawError | None = None
        flight.waiting += 1
        try:
            # Shielded: a cancelled waiter would cancel the task of all.
            return await asyncio.shield(flight.task)
        except MMRawError as error:
            failed = error
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._drop(key, flight)
                flight.task.cancel()
        # Raised for several, one object would gather the frames of all.
        raise failed.with_path_prefix("$")

    def get_now(self, key: str, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """`get` for a script that has no event loop; made in the calling thread.

        Raises:
            MMRawError: what `make` raises.
        """
        return self._cache.get(key, make, size)

    def _start(
        self,
        key: str,
        make: Callable[[], Coroutine[Any, Any, Value]],
        size: Callable[[Value], int],
    ) -> _Flight[Value]:
        async def made() -> Value:
            value = await make()
            return self._cache.get(key, lambda: value, size)

        flight = self._flights[key] = _Flight(asyncio.ensure_future(made()))

        def ended(task: asyncio.Task[Value]) -> None:
            self._drop(key, flight)
            if not task.cancelled():
                # Looked at, so that asyncio does not report an unawaited result.
                task.exception()

        flight.task.add_done_callback(ended)
        return flight

    def _drop(self, key: str, flight: _Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
