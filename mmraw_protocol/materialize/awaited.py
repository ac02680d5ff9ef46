"""Values that requests wait for on the event loop, while threads make them.

`SingleFlightCache` lets threads wait for each other; a server would then lose a thread for every
request that waits for the same slow image, and stop others. Here a thread belongs to one value, and
all who want it wait on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from ..system.forks import forget_after_fork
from ..wire.errors import MMRawError
from .cache import SingleFlightCache

Value = TypeVar("Value")


class _Flight(Generic[Value]):
    """A value that a thread makes, and how many wait for it."""

    def __init__(self, future: Future[Value]) -> None:
        self.future = future
        self.waiting = 0


class AwaitedCache(Generic[Value]):
    """Values up to `capacity` bytes, each made once however many requests want it at a time.

    Args:
        capacity: Most bytes to keep, as the `size` function of `get` counts them; 0 for none.
        workers: Threads.

    One event loop may use it, and any number of threads.
    """

    def __init__(self, capacity: int, workers: int) -> None:
        self._cache: SingleFlightCache[Value] = SingleFlightCache(capacity)
        self._workers = workers
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """Values stay; threads and what they were making belong to one process."""
        self._flights: dict[str, _Flight[Value]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Ends the threads; what waits for one is refused."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def cached_bytes(self) -> int:
        """Bytes that are kept."""
        return self._cache.size

    async def get(self, key: str, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of `key`; one that is kept is given at once, without a thread.

        Who is cancelled takes nothing from others. What nobody waits for any more is not begun.

        Raises:
            MMRawError: what `make` raises, an error of its own for each who waited;
                decoder_unavailable (no thread starts).
        """
        # The flight before the value: who made it keeps it before the flight ends.
        flight = self._flights.get(key)
        if flight is None:
            kept = self._cache.find(key)
            if kept is not None:
                return kept
            flight = self._start(key, make, size)
        failed: MMRawError | None = None
        flight.waiting += 1
        try:
            # Shielded: a cancelled waiter would cancel the future of all.
            return await asyncio.shield(asyncio.wrap_future(flight.future))
        except MMRawError as error:
            failed = error
        finally:
            flight.waiting -= 1
            if not flight.waiting and flight.future.cancel():
                self._drop(key, flight)
        # Raised for several, one object would gather the frames of all.
        raise failed.at("$")

    def get_now(self, key: str, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """`get` for a script that has no event loop; made in the calling thread.

        Raises:
            MMRawError: what `make` raises.
        """
        return self._cache.get(key, make, size)

    def _start(
        self, key: str, make: Callable[[], Value], size: Callable[[Value], int]
    ) -> _Flight[Value]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mmraw")
        future: Future[Value] | None = None
        with contextlib.suppress(RuntimeError):
            future = self._pool.submit(self._cache.get, key, make, size)
        if future is None:
            message = "the system starts no thread to decode in (ulimit -u)"
            raise MMRawError("decoder_unavailable", message)
        flight = self._flights[key] = _Flight(future)
        future.add_done_callback(lambda _: self._drop(key, flight))
        return flight

    def _drop(self, key: str, flight: _Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
