"""Attributes an exception to the image, the machine, or other code in the process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from ..wire.errors import MMRawError
from .worker_start import reason_of

Result = TypeVar("Result")

#: Exceptions that the machine is to blame for: memory, a full stack, unreadable modules.
_MACHINES = (MemoryError, RecursionError, ImportError)
_DECODERS = frozenset({"builtins", "struct", "zlib", "PIL", "mmraw_protocol"})


def is_images(error: Exception) -> bool:
    """True if a decoder threw it because of what is in the image.

    Decoders throw anything: SyntaxError, KeyError, struct.error. They never throw a fault of the
    machine, nor what other code throws into a thread at any time, as handlers of signals do.
    """
    return not isinstance(error, MMRawError) and not _is_machines(error) and not _is_foreign(error)


def machine_error(error: Exception, path: str = "$") -> MMRawError | None:
    """The error for a fault of the machine; None for what other code threw."""
    if not _is_machines(error):
        return None
    reason = reason_of(error) or "a module, the stack or the disk gave out"
    return MMRawError("decoder_unavailable", f"this process cannot decode now: {reason}", path)


def guarded(work: Callable[[], Result], path: str = "$") -> Result:
    """Returns the result of `work`; a fault of the machine becomes an MMRawError.

    Raises:
        MMRawError: decoder_unavailable, and what `work` raises.
        Exception: what other code threw into it, unchanged.
    """
    failed: MMRawError | None = None
    try:
        return work()
    except MMRawError:
        raise
    except Exception as error:
        failed = machine_error(error, path)
        if failed is None:
            raise
    raise failed


def _is_machines(error: Exception) -> bool:
    if isinstance(error, OSError):
        # Decoders throw OSError with a text; only the system sets a number.
        return error.errno is not None
    return isinstance(error, _MACHINES)


def _is_foreign(error: Exception) -> bool:
    """True if it is of a kind that no decoder throws, or was thrown by a function of other code."""
    kind = type(error)
    if kind is Exception or isinstance(error, (TimeoutError, InterruptedError)):
        return True
    return _owner(kind.__module__) not in _DECODERS or _has_foreign_frame(error.__traceback__)


def _has_foreign_frame(trace: TracebackType | None) -> bool:
    while trace is not None:
        owner = _owner(trace.tb_frame.f_globals.get("__name__", ""))
        if owner not in _DECODERS and owner not in sys.stdlib_module_names:
            return True
        trace = trace.tb_next
    return False


def _owner(module: object) -> str:
    return str(module).partition(".")[0]
