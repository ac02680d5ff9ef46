"""A file that appears only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import IO, Protocol, TypeVar

from ..wire.errors import ErrorCode, MMRawError

Result = TypeVar("Result")

_CODES: dict[int, tuple[ErrorCode, str]] = {
    errno.ENOSPC: ("store_full", "the disk is full; no output was left"),
    errno.EDQUOT: ("store_full", "the quota is used up; no output was left"),
    errno.EFBIG: ("store_full", "the file size limit is reached; no output was left"),
    errno.ENOENT: ("store_invalid", "the folder of the output does not exist"),
    errno.ENOTDIR: ("store_invalid", "the folder of the output is no folder"),
}


class Output(Protocol):
    """Where a document goes; what is not committed never appears."""

    def write(self, data: bytes) -> object:
        """Takes the next bytes."""
        ...

    def commit(self) -> None:
        """Makes the whole appear."""
        ...


def _io(work: Callable[[], Result]) -> Result:
    """What `work` gives; an OSError becomes an MMRawError that carries none of its path."""
    number: int | None = None
    try:
        return work()
    except BrokenPipeError:
        raise
    except OSError as error:
        number = error.errno
    fallback: tuple[ErrorCode, str] = ("store_permission", "the output cannot be written there")
    raise MMRawError(*_CODES.get(number or 0, fallback))


class _File:
    """A temporary file beside the target, renamed over it by `commit`."""

    def __init__(self, target: Path) -> None:
        # A link stays a link: what it points to is replaced.
        self.target = Path(os.path.realpath(target))
        self._mode = self._mode_of_target()
        self._temporary = self.target.with_name(f".mmraw-{secrets.token_hex(16)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = _io(lambda: os.open(self._temporary, flags, 0o600))
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 (closed by commit, discard)

    def _mode_of_target(self) -> int | None:
        """Permissions of the file that is replaced; None for a new one."""
        status: os.stat_result | None = None
        with contextlib.suppress(OSError):
            status = os.stat(self.target)
        if status is None:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise MMRawError("store_invalid", "the output is there and is no regular file")
        return stat.S_IMODE(status.st_mode)

    def write(self, data: bytes) -> None:
        def all_of_it() -> None:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

        _io(all_of_it)

    def commit(self) -> None:
        def appear() -> None:
            mode = 0o666 & ~_umask() if self._mode is None else self._mode
            os.fchmod(self._file.fileno(), mode)
            os.fsync(self._file.fileno())
            self._file.close()
            os.rename(self._temporary, self.target)
            _sync_folder(self.target.parent)

        _io(appear)

    def discard(self) -> None:
        self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


class _Stream:
    """Held back in a nameless file, and copied to the stream by `commit`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held = _io(tempfile.TemporaryFile)

    def write(self, data: bytes) -> None:
        _io(lambda: self._held.write(data))

    def commit(self) -> None:
        def copy() -> None:
            self._held.seek(0)
            shutil.copyfileobj(self._held, self._stream, 1 << 20)
            self._stream.flush()

        _io(copy)

    def discard(self) -> None:
        self._held.close()


class _Nothing:
    """A dry run."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None: ...

    def discard(self) -> None: ...


@contextlib.contextmanager
def whole_output(target: Path | IO[bytes] | None) -> Generator[Output, None, None]:
    """Somewhere to write to that shows nothing until `commit`, and nothing at all without it.

    Args:
        target: A file: written under a temporary name in the same folder, synced and renamed, so
            that it is absent (or what it was) or whole, also when the process is killed. A stream:
            held back in a temporary file. None: nowhere.

    Raises:
        MMRawError: store_full, store_permission, store_invalid.
    """
    if target is None:
        output = _Nothing()
    else:
        output = _File(target) if isinstance(target, Path) else _Stream(target)
    try:
        with _terminated_is_an_exception():
            yield output
    finally:
        output.discard()


@contextlib.contextmanager
def _terminated_is_an_exception() -> Generator[None, None, None]:
    """SIGTERM unwinds the stack, so that the temporary file goes too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _umask() -> int:
    """The mask of this process: reading it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
