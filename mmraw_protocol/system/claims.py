"""Claims that a call holds for as long as it runs, however it ends.

A lock that is taken must be given back, and an interrupt (Ctrl-C, a signal's exception) between the
two leaves it taken forever. So does a fork, in the child, where another thread held it. A claim
needs no giving back: it is good while the call that made it is on its thread's stack.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
from collections.abc import Callable, Hashable
from types import FrameType
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
AnyClaim = TypeVar("AnyClaim", bound="Claim")

#: Seconds after which a waiting thread looks whether the call is still running.
_LOOK = 0.05
#: A stack that changes while it is walked may look shorter than it is; it is walked again.
_WALKS = 8


class Claim:
    """A claim that a call makes for itself.

    Args:
        frame: The call's own frame.
    """

    def __init__(self, frame: FrameType) -> None:
        self._thread = _thread.get_ident()
        self._frame: FrameType | None = frame
        # Taken until the end: waiting threads sleep on it, and never for longer than one look.
        self._gate = _thread.allocate_lock()
        self._gate.acquire()

    @property
    def is_own(self) -> bool:
        """True if this very thread made it: waiting for it would never end."""
        return self._thread == _thread.get_ident()

    def is_held(self) -> bool:
        """True if the call still runs."""
        return any(self._is_on_stack() for _ in range(_WALKS))

    def _is_on_stack(self) -> bool:
        # A generator that yields meanwhile lets go of its caller, and the walk ends there.
        held = self._frame
        frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
        while held is not None and frame is not None:
            if frame is held:
                return True
            frame = frame.f_back
        return False

    def wait(self) -> None:
        """Sleeps until the call ends, or for a short time; ask again whether it is held."""
        if self._gate.acquire(timeout=_LOOK):
            self._release()

    def end(self) -> None:
        """Wakes the waiting threads; without it they wake by themselves a little later."""
        self._frame = None
        self._release()

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._gate.release()


def own_frame() -> FrameType:
    """The frame of the call that asks."""
    return sys._getframe(1)  # pyright: ignore[reportPrivateUsage]


def drop(claims: dict[Key, AnyClaim], key: Key, claim: AnyClaim) -> None:
    """Ends a claim, and frees its key if that is still its own."""
    if claims.get(key) is claim:
        claims.pop(key, None)
    claim.end()


def hold_one_of(count: int, claims: dict[int, Claim], frame: FrameType) -> Callable[[], None]:
    """Waits until fewer than `count` calls hold a claim, and makes one for the call of `frame`.

    A call within one that holds a claim (from a signal handler) does not wait for itself.

    Returns:
        What ends the claim.
    """
    claim = Claim(frame)
    while True:
        for number in range(count):
            other = claims.setdefault(number, claim)
            if other is claim:
                return lambda: drop(claims, number, claim)
            if not other.is_held():
                drop(claims, number, other)
        held = list(claims.values())
        if any(one.is_own for one in held):
            return lambda: None
        if len(held) == count:
            held[0].wait()
