"""The switch of the fast paths.

What is written plainly is read and written by short ways that prove, by one comparison, that none
of the strict reader's rules can be broken; whatever they cannot prove they leave to the careful
way. Both give the same values and refuse the same texts: tests turn the switch to compare them.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

#: Read at every call; turned off only to compare both ways.
enabled = True


@contextmanager
def disabled() -> Generator[None, None, None]:
    """Everything goes the careful way; for tests and measurements, and for the whole process."""
    global enabled
    saved, enabled = enabled, False
    try:
        yield
    finally:
        enabled = saved
