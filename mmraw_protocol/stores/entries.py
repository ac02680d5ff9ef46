"""The files of one directory of a store, reached through its descriptor.

No symbolic link is followed, nothing waits for a FIFO, and a name appears only when it is whole.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat

from ..system.descriptors import open_above
from ..wire.errors import MMRawError
from . import disk
from .base import StoredObject

_TEMPORARY = ".mmraw-"
_TEMPORARY_LENGTH = len(_TEMPORARY) + 32 + len(".tmp")
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
#: Errors of opening a name without an object: absent, a link, a socket, an absent device.
NO_OBJECT = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR)


def read(directory: int, name: str, most: int) -> bytes:
    """A regular file of at most `most` bytes.

    Raises:
        MMRawError: source_unavailable (absent, or no regular file), limit_exceeded, and the codes
            of `disk.store_error`.
    """
    data: bytes | None = None
    number: int | None = None
    try:
        descriptor = open_above(name, _READ, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                data = _read_all(descriptor, min(status.st_size, most) + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        number = error.errno
    if data is None:
        if number is not None and number not in NO_OBJECT:
            raise disk.store_error(number)
        message = "no stored image of that name (or it is not a regular file)"
        raise MMRawError("source_unavailable", message, "$.raw_image_id")
    if len(data) > most:
        message = f"expected at most {most} bytes in a stored image, got more"
        raise MMRawError("limit_exceeded", message)
    return data


def holds(directory: int, name: str, data: bytes) -> bool:
    """True if the file is there with exactly these bytes."""
    found: bytes | None = None
    with contextlib.suppress(MMRawError, OSError):
        found = read(directory, name, len(data))
    return found == data


def renew(directory: int, name: str, *, durable: bool) -> bool:
    """Makes an existing file young again; False if that fails or it just went away.

    `remove_older` looks at the age after it took the name away: either it sees the new age and
    gives the name back, or the name is gone here and the object is written again.

    Raises:
        OSError.
    """
    try:
        descriptor = open_above(name, _READ, dir_fd=directory)
        try:
            os.utime(descriptor)
            if durable:
                # Another process may have written it a moment ago and not yet have synced it.
                os.fsync(descriptor)
            held = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if durable:
            disk.sync(directory)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        # Gone, or another user's, or on a disk that is read-only.
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return False
    return os.path.samestat(held, found)


def write(directory: int, name: str, data: bytes, *, mode: int, durable: bool) -> None:
    """Writes a file, once more if the temporary one went away: it may have been swept.

    Raises:
        OSError.
    """
    try:
        _write_once(directory, name, data, mode, durable)
    except FileNotFoundError:
        _write_once(directory, name, data, mode, durable)


def _write_once(directory: int, name: str, data: bytes, mode: int, durable: bool) -> None:
    """Temporary name, write, sync, rename, sync; on any failure the temporary is removed."""
    temporary = _temporary_name()
    try:
        descriptor = open_above(temporary, _WRITE, mode, dir_fd=directory)
        try:
            os.fchmod(descriptor, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _replace(directory, temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    if durable:
        disk.sync(directory)


def _replace(directory: int, temporary: str, name: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except IsADirectoryError:
        # A directory under a valid name is somebody's mistake or attack; it is never an image.
        os.rename(name, f"{temporary}.dir", src_dir_fd=directory, dst_dir_fd=directory)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def names_in(directory: int) -> list[str]:
    """Regular files that are not hidden, in order.

    Raises:
        OSError.
    """
    with os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
        )


def entries_in(directory: int) -> list[StoredObject]:
    """The same with sizes and ages.

    Raises:
        OSError.
    """
    found: list[StoredObject] = []
    for name in names_in(directory):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            found.append(StoredObject(name, status.st_size, status.st_mtime))
    return found


def remove_older(directory: int, name: str, before: float) -> bool:
    """Removes the object if it was last put before that time; True if it did.

    Raises:
        OSError.
    """
    temporary = _temporary_name()
    try:
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime > before:
            return False
        os.rename(name, temporary, src_dir_fd=directory, dst_dir_fd=directory)
        young = os.stat(temporary, dir_fd=directory, follow_symlinks=False).st_mtime > before
        if young:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.unlink(temporary, dir_fd=directory)
    except FileNotFoundError:
        # Deleted by somebody else, before or after its name was taken away.
        return False
    return not young


def sweep(directory: int, before: float, most: int | None = None) -> int:
    """Removes temporary files last written before that time; returns how many.

    At most `most` entries of the directory are looked at; None looks at all.

    Raises:
        OSError.
    """
    removed = 0
    with os.scandir(directory) as entries:
        seen = itertools.islice(entries, most)
        names = [entry.name for entry in seen if is_temporary(entry.name)]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime < before:
                os.unlink(name, dir_fd=directory)
                removed += 1
    return removed


def is_temporary(name: str) -> bool:
    """True if a name is one under which `write` begins."""
    return len(name) == _TEMPORARY_LENGTH and name.startswith(_TEMPORARY) and name.endswith(".tmp")


def _temporary_name() -> str:
    return f"{_TEMPORARY}{secrets.token_hex(16)}.tmp"


def _read_all(descriptor: int, size: int) -> bytes:
    """Reads up to `size` bytes; a file that grows meanwhile is cut there and fails its hash."""
    parts: list[bytes] = []
    left = size
    while left > 0:
        part = os.read(descriptor, left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
