"""Processes of this Python that run a module of this package, and end with this process."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..wire.errors import MMRawError

if TYPE_CHECKING:
    from subprocess import Popen

#: Python without site-wide surprises: no PYTHON* variables, no current directory.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from {module} import main; main(sys.argv[2])"
)
#: Set in every process that is started here. A process that has it starts none: if it is not the
#: worker that was meant but a whole application, it would run forever.
_MARK = "MMRAW_STARTED_WORKER"
_INTERPRETER = re.compile(
    r"(?:python|pypy|graalpy)[0-9.]*(?:[dmtuw]{0,3}|-?(?:dbg|debug|intel64|arm64))(?:\.exe)?",
    re.IGNORECASE,
)
_REASONS = {
    errno.EMFILE: "this process has too many open files (ulimit -n)",
    errno.ENFILE: "this machine has too many open files",
    errno.EAGAIN: "this user has too many processes (ulimit -u)",
    errno.ENOMEM: "the machine has no memory left",
    errno.EFBIG: "the file size limit is reached (ulimit -f)",
    errno.ENOSPC: "the memory or disk that processes share is full",
    errno.EDQUOT: "the quota is used up",
    errno.EBADF: "other code closed the descriptors of this package",
}


def start_python(
    module: str, argument: str, *, advice: str, keep: Sequence[int] = (), **streams: Any
) -> Popen[bytes]:
    """A process that runs `main(argument)` of a module of this package.

    Args:
        module: Its full name.
        argument: A text.
        advice: What to do if none starts, for the error.
        keep: Descriptors that it has in common with this process, under the same numbers.
        streams: stdin, stdout and stderr, and bufsize, as `subprocess.Popen` takes them.

    Raises:
        MMRawError: decoder_unavailable, with the reason, if this process has no Python
            interpreter to run (a frozen or embedding application) or none starts.
    """
    interpreter = _interpreter(advice)
    failed: Exception | None = None
    try:
        from subprocess import Popen

        started: Any = Popen(
            [interpreter, "-I", "-c", _BOOT.format(module=module), _search_path(), argument],
            pass_fds=keep,
            env={**os.environ, _MARK: "1"},
            # Ctrl-C in a terminal is for this process, which ends its workers itself.
            start_new_session=True,
            **streams,
        )
        return started
    except Exception as error:  # noqa: BLE001
        # To the caller, every reason why it does not start is the same.
        failed = error
    raise does_not_start(reason_of(failed), advice)


def does_not_start(reason: str, advice: str) -> MMRawError:
    """The error for a worker that does not start."""
    why = reason or "see that this Python can run itself"
    return MMRawError("decoder_unavailable", f"no worker process can start: {why}; {advice}")


def reason_of(error: BaseException) -> str:
    """Describes a fault of the machine in words without a path; empty if nothing is known."""
    if isinstance(error, MemoryError):
        return _REASONS[errno.ENOMEM]
    number = error.errno if isinstance(error, OSError) else None
    return _REASONS.get(number or 0, "")


def _interpreter(advice: str) -> str:
    """The file of the Python interpreter, never that of an application which contains one."""
    name: Any = sys.executable
    reason = ""
    if os.environ.get(_MARK):
        reason = "this process is itself a decoding worker"
    elif not isinstance(name, str) or not name:
        reason = "sys.executable names no Python"
    elif getattr(sys, "frozen", False) or hasattr(sys.modules.get("__main__"), "__compiled__"):
        reason = "sys.executable is a frozen application"
    elif not _INTERPRETER.fullmatch(os.path.basename(name)):
        reason = "sys.executable is an application, not Python"
    if reason:
        raise does_not_start(reason, advice)
    return name


def _search_path() -> str:
    """sys.path as JSON, absolute; what Python does not import from is left out."""
    found: list[str] = []
    entries: list[Any] = list(sys.path)
    for entry in entries:
        try:
            found.append(os.path.abspath(entry) if isinstance(entry, str) else "")
        except (OSError, ValueError):
            # Relative to a working directory that was removed.
            continue
    return json.dumps([entry for entry in found if entry])
