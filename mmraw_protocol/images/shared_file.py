"""Files without a name, which a process shares with those that it starts."""

from __future__ import annotations

import os
import tempfile


def shared_file(name: str) -> int:
    """A new one's descriptor, in memory where the system has such; debuggers show `name`."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
