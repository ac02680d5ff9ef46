"""A bounded cache in which each value is made once, however many threads ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeAlias, TypeVar

from ..wire.errors import MMRawError

Value = TypeVar("Value")

#: How making a value ended: the value, the refusal, or None where neither came.
Outcome: TypeAlias = "tuple[Value] | MMRawError | None"


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
        self._flights: dict[str, Future[Outcome[Value]]] = {}
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    @property
    def count(self) -> int:
        """Values that are kept."""
        return len(self._values)

    def get(self, key: str, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of `key`; made by this thread, or by the one that is already at it.

        A refusal of the making thread is that of all who waited, each with an error of its own.
        Where that thread was interrupted instead, the next one tries.

        Raises:
            MMRawError: what `make` raises.
        """
        while True:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    self.hits += 1
                    return self._values[key][0]
                flight = self._flights.get(key)
                mine: Future[Outcome[Value]] = Future()
                if flight is None:
                    self._flights[key] = mine
                    self.misses += 1
                else:
                    self.hits += 1
            if flight is None:
                return self._make(key, mine, make, size)
            outcome = flight.result()
            if isinstance(outcome, MMRawError):
                # Raised in several threads, one object would gather the frames of all.
                raise outcome.at("$")
            if outcome is not None:
                return outcome[0]

    def _make(
        self,
        key: str,
        flight: Future[Outcome[Value]],
        make: Callable[[], Value],
        size: Callable[[Value], int],
    ) -> Value:
        outcome: Outcome[Value] = None
        try:
            value = make()
            outcome = (value,)
        except MMRawError as error:
            outcome = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
                if isinstance(outcome, tuple):
                    self._keep(key, outcome[0], size(outcome[0]))
            flight.set_result(outcome)
        return value

    def _keep(self, key: str, value: Value, size: int) -> None:
        if size > self.capacity:
            return
        self._values[key] = (value, size)
        self._size += size
        while self._size > self.capacity:
            _, (_, freed) = self._values.popitem(last=False)
            self._size -= freed
