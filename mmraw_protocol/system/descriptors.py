"""Descriptors that no other code of the process can mistake for its own, or replace unseen.

Where a process closed its standard streams, the next file that is opened becomes 0, 1 or 2, and
any printing code writes into it. Code that daemonizes closes descriptors by number, and the numbers
lead to other files afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os

_FIRST = 3


def open_above(
    path: str | bytes | os.PathLike[str],
    flags: int,
    mode: int = 0o777,
    *,
    dir_fd: int | None = None,
) -> int:
    """`os.open` with O_CLOEXEC whose descriptor is never one of the standard streams.

    Raises:
        OSError.
    """
    return lift(os.open(path, flags | getattr(os, "O_CLOEXEC", 0), mode, dir_fd=dir_fd))


def lift(descriptor: int) -> int:
    """The same open file under a number above 2; the one that was given is closed if it moved.

    Raises:
        OSError.
    """
    if descriptor >= _FIRST:
        return descriptor
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    finally:
        os.close(descriptor)


class Descriptor:
    """Holds a file open; knows it by device and inode, and closes it when this object goes.

    Args:
        number: An open descriptor, which this object owns from now on.

    Raises:
        OSError.
    """

    def __init__(self, number: int) -> None:
        self._is_open = False
        self._number = lift(number)
        #: Device and inode.
        self.identity = identity_of(self._number)
        self._is_open = True

    @property
    def is_ours(self) -> bool:
        """True if the number still leads to the file that was opened."""
        if not self._is_open:
            return False
        try:
            return identity_of(self._number) == self.identity
        except OSError:
            return False

    @property
    def number(self) -> int:
        """The number, after a look at whether it still leads to the same file.

        Raises:
            OSError: EBADF where other code closed it, or gave its number to another file.
        """
        if not self.is_ours:
            raise OSError(errno.EBADF, "other code closed this descriptor")
        return self._number

    def close(self) -> None:
        """Closes the file, unless the number leads to another one by now."""
        is_ours, self._is_open = self.is_ours, False
        if is_ours:
            os.close(self._number)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def pipe() -> tuple[Descriptor, Descriptor]:
    """A pipe: the end to read from, and the end to write to.

    Raises:
        OSError.
    """
    read, write = os.pipe()
    # The first may fail to move; the second must not stay open then.
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, write)
        reader = Descriptor(read)
        stack.pop_all()
    return reader, Descriptor(write)


def shared_file(name: str) -> Descriptor:
    """Opens an anonymous file, backed by memory where supported; `name` appears in /proc.

    Raises:
        OSError.
    """
    if hasattr(os, "memfd_create"):
        return Descriptor(os.memfd_create(name))
    import tempfile

    with tempfile.TemporaryFile() as file:
        return Descriptor(os.dup(file.fileno()))


def identity_of(number: int) -> tuple[int, int]:
    """Device and inode of an open file.

    Raises:
        OSError.
    """
    status = os.fstat(number)
    return status.st_dev, status.st_ino
