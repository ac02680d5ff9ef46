"""The local disk's refusals in this package's words, and directories that last."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar

from ..system.descriptors import open_above
from ..wire.errors import ErrorCode, MMRawError

Result = TypeVar("Result")

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

_CODES: dict[int, tuple[ErrorCode, str]] = {
    errno.ENOSPC: ("store_full", "the disk is full; nothing half-written was left"),
    errno.EDQUOT: ("store_full", "the quota is used up; nothing half-written was left"),
    errno.EFBIG: ("store_full", "the file size limit is reached; nothing half-written was left"),
    errno.EACCES: ("store_permission", "the store's directory refuses access to this process"),
    errno.EPERM: ("store_permission", "the store's directory refuses access to this process"),
    errno.EROFS: ("store_permission", "the store's file system is read-only"),
    errno.ENOENT: ("store_invalid", "the store's directory does not exist"),
    errno.EEXIST: ("store_invalid", "the store's path is no directory"),
    errno.ENOTDIR: ("store_invalid", "a part of the store's path is no directory"),
    errno.ELOOP: ("store_invalid", "a part of the store's path is a symbolic link"),
    errno.ENAMETOOLONG: ("store_invalid", "the store's path is longer than the disk allows"),
    errno.EBADF: ("store_invalid", "other code closed the store's directory; open it again"),
    errno.EMFILE: ("store_unavailable", "this process has too many open files (ulimit -n)"),
    errno.ENFILE: ("store_unavailable", "this machine has too many open files"),
}


def store_error(number: int | None) -> MMRawError:
    """The error for an errno; it carries no path."""
    code, message = _CODES.get(number or 0, ("store_unavailable", "the disk reported an error"))
    return MMRawError(code, message)


def io(work: Callable[[], Result]) -> Result:
    """Returns the result of `work`; an OSError becomes an MMRawError without the path."""
    number: int | None = None
    try:
        return work()
    except OSError as error:
        number = error.errno
    raise store_error(number)


def make_directory(path: str, mode: int, *, durable: bool) -> None:
    """`path` and its missing parents, independent of the umask; the new entries are synced.

    Where something is there already, what it is shows when it is opened.

    Raises:
        OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        # A path that can never be is refused before anything is made.
        os.lstat(path)
    missing = [path]
    while not os.path.lexists(missing[-1]) and (parent := os.path.dirname(missing[-1])):
        missing.append(parent)
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, mode)
            descriptor = open_above(directory, DIRECTORY | os.O_NOFOLLOW)
            try:
                _allow(descriptor, mode)
            finally:
                os.close(descriptor)
    if durable:
        # Also if another process made it: that one may not have synced it yet.
        for directory in missing:
            sync_directory(os.path.dirname(directory))


def open_child(
    parent: int, name: str, *, create_mode: int | None = None, sync_entry: bool = False
) -> int | None:
    """A descriptor of the directory `name` below `parent`, no link followed; None if absent.

    Args:
        parent: A descriptor.
        name: One path segment.
        create_mode: Make it with this mode if it is missing; None leaves it missing.
        sync_entry: Wait for the entry in `parent` to reach the disk, whichever process made it.

    Raises:
        OSError.
    """
    child = _open_directory(parent, name)
    made = False
    if child is None and create_mode is not None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, create_mode, dir_fd=parent)
            made = True
        child = _open_directory(parent, name)
    if child is None:
        return None
    try:
        if made and create_mode is not None:
            _allow(child, create_mode)
        if sync_entry:
            sync(parent)
    except OSError:
        os.close(child)
        raise
    return child


def _open_directory(parent: int, name: str) -> int | None:
    try:
        return open_above(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return None


def _allow(directory: int, mode: int) -> None:
    """Sets permissions if they differ: setting them may end the inheritance of the group."""
    now = os.fstat(directory).st_mode
    group = now & stat.S_ISGID
    if stat.S_IMODE(now) != mode | group:
        os.fchmod(directory, mode | group)


def sync_directory(path: str) -> None:
    """Waits for a directory's entries to reach the disk, as far as this process may open it."""
    with contextlib.suppress(PermissionError):
        descriptor = open_above(path, DIRECTORY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def sync(directory: int) -> None:
    """fsync of a directory; some network file systems have none and order entries themselves."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise


def local_path(place: str | os.PathLike[str]) -> str:
    """An absolute path; a value that cannot be one is refused.

    Raises:
        MMRawError: store_invalid.
    """
    path: str | bytes | None
    try:
        path = os.path.abspath(os.fspath(place)) if place else None
    except (TypeError, ValueError, OSError):
        path = None
    if not isinstance(path, str) or "\x00" in path:
        raise MMRawError("store_invalid", "expected the path of a directory")
    return path
