"""State that the child of a fork drops: the one module that handles forks.

A fork copies memory and descriptors, and of the threads the forking one alone. Threads, processes
and waiting calls that an object knows of are the parent's; the child starts with none.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forgets(Protocol):
    """An object that belongs to one process."""

    def forget(self) -> None:
        """Lets go of what only the parent of a fork has; called in the child, and never waits."""
        ...


def forget_after_fork(owner: Forgets) -> None:
    """Has `owner.forget()` called in the child of each fork, for as long as `owner` lives."""
    _OWNERS.add(owner)


def _in_child() -> None:
    for owner in list(_OWNERS):
        owner.forget()


_OWNERS: weakref.WeakSet[Forgets] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
