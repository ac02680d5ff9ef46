"""Decoding without a waiting caller: a thread cannot be stopped, a worker process can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class _Thread(threading.local):
    """A function for each thread that says whether the caller of its work has gone."""

    asked: Callable[[], bool] | None = None


_thread = _Thread()


def is_abandoned() -> bool:
    """True if no caller waits for what this thread decodes."""
    return _thread.asked is not None and _thread.asked()


def unless_abandoned(asked: Callable[[], bool], work: Callable[[], Value]) -> Value:
    """Returns the result of `work`; ends the workers that decode for it once `asked` says so.

    Raises:
        MMRawError: decode_timeout (it was ended), what `work` raises.
    """
    before, _thread.asked = _thread.asked, asked
    try:
        return work()
    finally:
        _thread.asked = before
