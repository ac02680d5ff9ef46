"""A bounded cache in which each value is made once, however many threads ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SingleFlightCache(Generic[Value]):
    """Least recently used values up to `capacity` bytes; failures are never kept.

    Attributes:
        capacity: Most bytes, as the `size` function of `get` counts them.
        hits: Answers that were there or being made by another thread.
        misses: Answers that were made.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._flights: dict[str, Future[Value]] = {}
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def get(self, key: str, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of `key`; made by this thread, or by the one that is already at it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                self.hits += 1
                return self._values[key][0]
            flight = self._flights.get(key)
            mine: Future[Value] = Future()
            if flight is not None:
                self.hits += 1
            else:
                self.misses += 1
                self._flights[key] = mine
        if flight is not None:
            return flight.result()
        return self._make(key, mine, make, size)

    def _make(
        self,
        key: str,
        flight: Future[Value],
        make: Callable[[], Value],
        size: Callable[[Value], int],
    ) -> Value:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._flights[key]
            flight.set_exception(error)
            raise
        with self._lock:
            del self._flights[key]
            self._keep(key, value, size(value))
        flight.set_result(value)
        return value

    def _keep(self, key: str, value: Value, size: int) -> None:
        if size > self.capacity:
            return
        self._values[key] = (value, size)
        self._size += size
        while self._size > self.capacity:
            _, (_, freed) = self._values.popitem(last=False)
            self._size -= freed
