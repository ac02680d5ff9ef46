"""Processes that share the work on a file, and end with this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..images import worker_start
from ..wire.errors import MMRawError

if TYPE_CHECKING:
    from subprocess import Popen

_ADVICE = "try with one process"


def start_worker(module: str, setup: msgspec.Struct, files: Sequence[int]) -> Popen[bytes]:
    """A process that runs `main(setup)` of a module of this folder, `setup` being JSON text.

    Args:
        module: Its name.
        setup: What it is told.
        files: Descriptors that it has in common with this process.

    Raises:
        MMRawError: decoder_unavailable, where none starts.
    """
    from subprocess import PIPE

    return worker_start.start_python(
        f"{__package__}.{module}",
        msgspec.json.encode(setup).decode(),
        advice=_ADVICE,
        keep=files,
        bufsize=0,
        stdin=PIPE,
        stdout=PIPE,
    )


def does_not_start(reason: str) -> MMRawError:
    """The error for a worker that does not start."""
    return worker_start.does_not_start(reason, _ADVICE)


def ended_early(reason: str = "") -> MMRawError:
    """The error that stands for a worker's end."""
    why = reason or "out of memory?"
    message = f"a worker process ended early ({why}); {_ADVICE}"
    return MMRawError("decoder_unavailable", message)
