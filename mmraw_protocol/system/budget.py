"""A bound on bytes that tasks of one event loop hold: asyncio's own semaphores have no weights."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Budget:
    """A bound on held bytes; a caller that wants more than is free waits, in order.

    Args:
        most: Bytes.
        changed: Called with the bytes that are taken when these have changed.

    Attributes:
        most: Bytes.
        used: Bytes that are taken.
    """

    def __init__(self, most: int, changed: Callable[[int], None] = lambda _: None) -> None:
        self.most = most
        self.used = 0
        self._changed = changed
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, amount: int) -> None:
        """Waits until the bytes are free; a cancelled caller has taken nothing."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        self._grant()
        try:
            await turn
            self._changed(self.used)
        except asyncio.CancelledError:
            # Granted and cancelled in the same step.
            self.give(amount if turn.done() and not turn.cancelled() else 0)
            raise

    def give(self, amount: int) -> None:
        """Frees bytes."""
        self.used -= amount
        self._grant()
        self._changed(self.used)

    def _grant(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if not turn.cancelled():
                if self.used + amount > self.most:
                    return
                self.used += amount
                turn.set_result(None)
            self._waiting.popleft()
