"""Decoding without a waiting caller: a thread cannot be stopped, a worker process can."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

Value = TypeVar("Value")

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("mmraw_abandoned", default=None)


def is_abandoned() -> bool:
    """Whether no caller waits for what this thread decodes."""
    asked = _asked.get()
    return asked is not None and asked()


def unless_abandoned(asked: Callable[[], bool], work: Callable[[], Value]) -> Value:
    """What `work` gives; workers that decode for it are ended when `asked` says so.

    Raises:
        MMRawError: decode_timeout (it was ended), what `work` raises.
    """
    before = _asked.set(asked)
    try:
        return work()
    finally:
        _asked.reset(before)
