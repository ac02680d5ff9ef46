"""A file that appears only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple

from ..system.descriptors import lift, open_above
from ..wire.errors import ErrorCode, MMRawError
from ..wire.hashes import sha256_hex
from .remote import upload

_CODES: dict[int, tuple[ErrorCode, str]] = {
    errno.ENOSPC: ("store_full", "the disk is full; no output was left"),
    errno.EDQUOT: ("store_full", "the quota is used up; no output was left"),
    errno.EFBIG: ("store_full", "the file size limit is reached; no output was left"),
    errno.ENOENT: ("store_invalid", "the folder of the output does not exist"),
    errno.ENOTDIR: ("store_invalid", "the folder of the output is no folder"),
    errno.EBADF: ("store_invalid", "the descriptor that the output names is not open for writing"),
}


#: Signals that end a process by default; those of a fault in it are left alone.
_ENDING = tuple(
    getattr(signal, name)
    for name in (
        *("SIGHUP", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM"),
        *("SIGPROF", "SIGXCPU", "SIGIO", "SIGPWR", "SIGSTKFLT"),
    )
    if hasattr(signal, name)
)
#: Paths of files that this process has open.
_OPEN_FILE = re.compile(r"(?:/dev/fd|/proc/self/fd)/([0-9]{1,6})")


class Output:
    """Where a document goes: nowhere in a dry run. What is not committed never appears.

    Attributes:
        notes: What a person should know of it besides, in words.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def write(self, data: bytes) -> object:
        """Takes the next bytes."""

    def commit(self) -> None:
        """Makes the whole appear."""

    def discard(self) -> None:
        """Ends it, committed or not."""


@contextlib.contextmanager
def _written() -> Generator[None, None, None]:
    """An OSError becomes an MMRawError that carries none of its path."""
    number: int | None = None
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        number = error.errno or 0
    fallback: tuple[ErrorCode, str] = ("store_permission", "the output cannot be written there")
    if number is not None:
        raise MMRawError(*_CODES.get(number, fallback))


class _File(Output):
    """A temporary file beside the target, renamed over it by `commit`."""

    def __init__(self, target: Path, source: IO[bytes] | None) -> None:
        super().__init__()
        # A link stays a link: what it points to is replaced.
        self.target = Path(os.path.realpath(target))
        self._old = _status_of(self.target)
        self._replaced = _Replaced.of(source, self._old)
        stem = sha256_hex(os.fsencode(self.target.name))[:16]
        self.notes = _remove_leftovers(self.target.parent, stem)
        self._temporary = self.target.with_name(f".mmraw-{stem}{secrets.token_hex(8)}.tmp")
        try:
            with _written():
                self._file = self._create()
        except BaseException:
            self._remove()
            raise

    def _create(self) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        file = open(open_above(self._temporary, flags, 0o600), "wb", buffering=0)  # noqa: SIM115
        # Held as long as this process lives: a leftover is a file that nobody holds.
        with contextlib.suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        with _written():
            while view:
                view = view[self._file.write(view) :]

    def commit(self) -> None:
        with _written():
            descriptor = self._file.fileno()
            if self._old is None:
                os.fchmod(descriptor, 0o666 & ~_umask())
            else:
                self.notes += _keep_ownership(self.target, self._old, descriptor)
            os.fsync(descriptor)
            if self._replaced is not None:
                self._replaced.check(self.target)
            os.rename(self._temporary, self.target)
            self._file.close()
            _sync_folder(self.target.parent)

    def discard(self) -> None:
        self._file.close()
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


class _Replaced(NamedTuple):
    """The file that is read and will be replaced, as it was before it was read."""

    source: int
    size: int
    modified: int

    @classmethod
    def of(cls, source: IO[bytes] | None, target: os.stat_result | None) -> _Replaced | None:
        """None where another file is read than the one that is written."""
        if source is None or target is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            descriptor = source.fileno()
            status = os.fstat(descriptor)
            if os.path.samestat(status, target):
                return cls(descriptor, status.st_size, status.st_mtime_ns)
        return None

    def check(self, target: Path) -> None:
        """Refuses where somebody wrote to the file, or put another in its place, meanwhile.

        Raises:
            MMRawError: source_unavailable.
        """
        held, now = os.fstat(self.source), _status_of(target)
        same = now is not None and os.path.samestat(held, now)
        if not same or (held.st_size, held.st_mtime_ns) != (self.size, self.modified):
            message = "the file was changed meanwhile; nothing was written"
            raise MMRawError("source_unavailable", message)
        if _is_being_written(self.source):
            message = "another process has the file open for writing; nothing was written"
            raise MMRawError("source_unavailable", message)


def _status_of(target: Path) -> os.stat_result | None:
    """Of the regular file at a path; None where there is nothing.

    Raises:
        MMRawError: store_invalid.
    """
    status: os.stat_result | None = None
    with contextlib.suppress(OSError):
        status = os.stat(target)
    if status is not None and not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        message = f"the output is {kind}: name a file, a FIFO, or - for standard output"
        raise MMRawError("store_invalid", message)
    return status


def _is_being_written(source: int) -> bool:
    """Whether a process holds the file open for writing, as far as the system tells.

    It would go on writing to a file that has no name any more. Linux grants a lease only where
    nobody writes.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # The signal of a lease that is broken in between; by default it is ignored.
        fcntl.fcntl(source, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def _keep_ownership(target: Path, old: os.stat_result, descriptor: int) -> list[str]:
    """Gives a new file the owner, group, extended attributes and mode of the one it replaces.

    Returns:
        What could not be kept, in words.
    """
    lost: list[str] = []
    for what, user, group in (("group", -1, old.st_gid), ("owner", old.st_uid, -1)):
        try:
            os.fchown(descriptor, user, group)
        except OSError:
            lost.append(what)
    try:
        for name in os.listxattr(target) if hasattr(os, "listxattr") else ():
            os.setxattr(descriptor, name, os.getxattr(target, name))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            lost.append("extended attributes")
    # Last: a change of owner takes some permissions away.
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return [f"could not keep the {what} of the file" for what in lost]


def _remove_leftovers(folder: Path, stem: str) -> list[str]:
    """Removes temporary files for this target whose command was killed; says which."""
    notes: list[str] = []
    with contextlib.suppress(OSError):
        for path in folder.glob(f".mmraw-{stem}*.tmp"):
            with contextlib.suppress(OSError):
                descriptor = open_above(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(path)
                finally:
                    os.close(descriptor)
                notes.append(f"removed {path.name}, left by a command that was killed")
    return notes


class _Stream(Output):
    """Held back in a nameless file, and copied to the stream by `commit`."""

    def __init__(self, stream: IO[bytes], *, is_own: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._is_own = is_own
        with _written():
            self._held = tempfile.TemporaryFile()  # noqa: SIM115

    def write(self, data: bytes) -> None:
        with _written():
            self._held.write(data)

    def commit(self) -> None:
        with _written():
            self._held.seek(0)
            shutil.copyfileobj(self._held, self._stream, 1 << 20)
            self._stream.flush()

    def discard(self) -> None:
        self._held.close()
        if self._is_own:
            with contextlib.suppress(OSError):
                self._stream.close()


class _Object(_Stream):
    """Held back in a nameless file, and put into an object store by `commit`."""

    def __init__(self, url: str) -> None:
        super().__init__(io.BytesIO())
        self._url = url

    def commit(self) -> None:
        self._held.seek(0)
        upload(self._url, self._held)


@contextlib.contextmanager
def whole_output(
    target: Path | str | IO[bytes] | None, source: IO[bytes] | None = None
) -> Generator[Output, None, None]:
    """Somewhere to write to that shows nothing until `commit`, and nothing at all without it.

    Args:
        target: A file: written under a temporary name in the same folder, synced and renamed, so
            that it is absent (or what it was) or whole, also when the process is killed. It keeps
            owner, group, mode and extended attributes of the file that it replaces, as far as this
            process may set them. A stream, or the path of a FIFO or of a device like /dev/null:
            held back in a temporary file. The URL of an object: likewise. None: nowhere.
        source: The file that is read. Where it is the target itself, it is not replaced if it
            changed since this call, or if another process has it open for writing.

    Raises:
        MMRawError: store_full, store_permission, store_invalid, source_unavailable (changed
            meanwhile).
    """
    output: Output | None = None
    with ended_by_signals():
        try:
            output = _open(target, source)
            yield output
        finally:
            if output is not None:
                output.discard()


def _open(target: Path | str | IO[bytes] | None, source: IO[bytes] | None) -> Output:
    if target is None:
        return Output()
    if isinstance(target, str):
        return _Object(target)
    if not isinstance(target, Path):
        return _Stream(target)
    descriptor: int | None = None
    with _written():
        descriptor = _descriptor_of(target)
    if descriptor is None:
        return _File(target, source)
    return _Stream(open(descriptor, "wb"), is_own=True)


def _descriptor_of(target: Path) -> int | None:
    """A descriptor of what is written to as a stream; None for files, present or not."""
    named = _OPEN_FILE.fullmatch(str(target))
    if named is not None:
        return lift(os.dup(int(named.group(1))))
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            return open_above(target, os.O_WRONLY | os.O_NOCTTY)
    return None


@contextlib.contextmanager
def ended_by_signals() -> Generator[None, None, None]:
    """Signals that would end the process unwind the stack, so that the temporary file goes too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_leaving = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal is_leaving
        if not is_leaving:
            is_leaving = True
            sys.exit(128 + number)

    # Those that are ignored (nohup) or handled by other code stay so.
    taken = [one for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL]
    for one in taken:
        signal.signal(one, leave)
    try:
        yield
    finally:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)


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
