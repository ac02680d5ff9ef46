"""Bytes that a worker hands over in a file.

Through a pipe, 1 MB costs some 4 ms of the system's time, and the worker waits while the other
process is busy.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..images.worker_start import reason_of
from ..wire.errors import MMRawError

#: Fewer bytes go through the pipe.
_LEAST = 1 << 16


@contextlib.contextmanager
def folder_for_files() -> Generator[str | None, None, None]:
    """A new folder, which is removed in the end; None where there can be none."""
    folder: str | None = None
    with contextlib.suppress(OSError):
        folder = tempfile.mkdtemp(prefix="mmraw-")
    try:
        yield folder
    finally:
        _remove(folder)


def leave_with(parent: Any, folder: str | None) -> None:
    """Ends this process when its parent ends, which may have removed nothing."""
    parent.join()
    _remove(folder)
    os._exit(1)


def _remove(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def hand_over(result: Any, folder: str | None) -> Any:
    """The result, whose `data` are a file's path in place of many bytes."""
    data = getattr(result, "data", None)
    if folder is None or not isinstance(data, bytes) or len(data) < _LEAST:
        return result
    # Where there is no room for a file, the pipe takes the bytes.
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(dir=folder)
        with open(handle, "wb") as file:
            file.write(data)
        result.data = Path(name)
    return result


def taken(result: Any) -> Any:
    """The result with its bytes again.

    Raises:
        MMRawError: source_unavailable (somebody removed the file).
    """
    path = getattr(result, "data", None)
    if not isinstance(path, Path):
        return result
    try:
        result.data = path.read_bytes()
        path.unlink()
        return result
    except OSError as error:
        reason = reason_of(error)
    message = f"expected a worker's file in the folder for temporary files, got none ({reason})"
    raise MMRawError("source_unavailable", message)
