"""A bounded cache in which each value is made once, however many threads ask for it.

There is no lock: an interrupt or a fork may come between any two steps, and a lock would then stay
taken. Each change is one call into a dict, which nothing divides; what several steps would keep in
order (counters, the order of use) may be off by one afterwards, and no caller waits forever.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, TypeAlias, TypeVar

from ..system.claims import Claim, drop, own_frame
from ..system.forks import forget_after_fork
from ..wire.errors import MMRawError

Value = TypeVar("Value")

#: The outcome of making a value: the value, the rejection, or None if neither came.
Outcome: TypeAlias = "tuple[Value] | MMRawError | None"


class _Flight(Claim, Generic[Value]):
    """The call that makes a value."""

    def __init__(self, frame: FrameType) -> None:
        super().__init__(frame)
        self.outcome: Outcome[Value] = None


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
        self._size = 0
        self.forget()
        forget_after_fork(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"capacity": self.capacity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["capacity"])

    def forget(self) -> None:
        """Values stay; the call that was making one is in another process."""
        self._flights: dict[str, _Flight[Value]] = {}

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

        An error of the making thread is raised to all waiting callers, each as a separate error.
        Where that thread was interrupted instead, the next one tries.

        Raises:
            MMRawError: what `make` raises.
        """
        mine: _Flight[Value] = _Flight(own_frame())
        try:
            while True:
                flight = self._flights.setdefault(key, mine)
                # Checked only now: the maker keeps it before the flight ends.
                kept = self._values.get(key)
                if kept is not None:
                    self._renew(key)
                    self.hits += 1
                    return kept[0]
                if flight is mine or flight.is_own:
                    # A call from within the one that makes the value cannot wait for it.
                    self.misses += 1
                    return self._make(key, mine, make, size)
                self.hits += 1
                outcome = self._wait(key, flight)
                if outcome is not None:
                    return _value_of(outcome)
        finally:
            drop(self._flights, key, mine)

    def find(self, key: str) -> Value | None:
        """The value of `key` if it is kept; never waits."""
        kept = self._values.get(key)
        if kept is None:
            return None
        self._renew(key)
        self.hits += 1
        return kept[0]

    def _renew(self, key: str) -> None:
        with contextlib.suppress(KeyError):
            self._values.move_to_end(key)

    def _wait(self, key: str, flight: _Flight[Value]) -> Outcome[Value]:
        """Returns how the other thread's call ended; None if it was interrupted."""
        while flight.outcome is None and flight.is_held():
            flight.wait()
        if flight.outcome is None:
            drop(self._flights, key, flight)
        return flight.outcome

    def _make(
        self,
        key: str,
        flight: _Flight[Value],
        make: Callable[[], Value],
        size: Callable[[Value], int],
    ) -> Value:
        try:
            value = make()
        except MMRawError as error:
            flight.outcome = error
            raise
        # Kept before it is announced: a caller from now on finds the one or the other.
        self._keep(key, value, size(value))
        flight.outcome = (value,)
        return value

    def _keep(self, key: str, value: Value, size: int) -> None:
        if size > self.capacity:
            return
        self._values[key] = (value, size)
        # Counted over all, so that a change which an interrupt cut off is made up for.
        total = sum(size for _, size in list(self._values.values()))
        with contextlib.suppress(KeyError):
            while total > self.capacity:
                _, (_, freed) = self._values.popitem(last=False)
                total -= freed
        self._size = total


def _value_of(outcome: tuple[Value] | MMRawError) -> Value:
    if isinstance(outcome, MMRawError):
        # Raised in several threads, one object would gather the frames of all.
        raise outcome.with_path_prefix("$")
    return outcome[0]
