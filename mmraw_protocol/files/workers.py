"""Processes that this one starts, and that end with it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..wire.errors import MMRawError

if TYPE_CHECKING:
    from subprocess import Popen

#: Python without site-wide surprises: no PYTHON* variables, no current directory.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from mmraw_protocol.files.{module} import main; main(sys.argv[2])"
)


def start_worker(module: str, setup: msgspec.Struct, files: Sequence[int]) -> Popen[bytes]:
    """A process that runs `main(setup)` of a module of this folder, `setup` being JSON text.

    Args:
        module: Its name.
        setup: What it is told.
        files: Descriptors that it has in common with this process.

    Raises:
        MMRawError: decoder_unavailable, where none starts.
    """
    from subprocess import PIPE, Popen

    path = [os.path.abspath(entry) for entry in sys.path]
    arguments = [msgspec.json.encode(path).decode(), msgspec.json.encode(setup).decode()]
    with contextlib.suppress(OSError, ValueError):
        return Popen(
            [sys.executable, "-I", "-c", _BOOT.format(module=module), *arguments],
            bufsize=0,
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=files,
            # Ctrl-C in a terminal is for the parent, which ends its workers itself.
            start_new_session=True,
        )
    raise ended_early()


def ended_early() -> MMRawError:
    """The error that stands for a worker's end."""
    message = "a worker process ended early (out of memory?); try with one process"
    return MMRawError("decoder_unavailable", message)
