"""A byte stream in blocks of whole lines."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import IO, NamedTuple

from ..wire.errors import MMRawError

#: Bytes of a block, and so about what one worker gets at once.
BLOCK = 1 << 20
#: The message where a file is no longer what it was when reading began.
CHANGED = "the file was changed while it was read; wait until its writer is done"
#: A line beyond this is no part of a block: it is scanned as it streams by.
LONGEST_LINE = 8 << 20


class Block(NamedTuple):
    """Some of the input.

    Attributes:
        data: Whole lines, or the beginning of one that is too long for a block.
        line: The number of the first line, from 1.
        whole: Whether the lines are whole.
        at: Its first byte in the input, from 0.
        size: In bytes.
    """

    data: bytes
    line: int
    whole: bool
    at: int = 0
    size: int = 0


class PlainFile(NamedTuple):
    """A regular file whose bytes are the input, for processes that read its blocks themselves.

    Attributes:
        path: Its absolute path.
        device, inode: Which file has that path.
    """

    path: str
    device: int
    inode: int

    def read(self, at: int, size: int) -> bytes:
        """Some of its bytes.

        Raises:
            MMRawError: source_unavailable (another file has its path, or it became shorter).
        """
        data = b""
        try:
            file = _opened(self)
            file.seek(at)
            data = file.read(size)
        except OSError:
            pass
        if len(data) != size:
            raise MMRawError("source_unavailable", CHANGED)
        return data


@functools.lru_cache(maxsize=1)
def _opened(plain: PlainFile) -> IO[bytes]:
    file = open(plain.path, "rb")  # noqa: SIM115 - open as long as the process works
    status = os.fstat(file.fileno())
    if (status.st_dev, status.st_ino) != (plain.device, plain.inode):
        raise FileNotFoundError
    return file


class LineReader:
    """Reads blocks of lines and takes back what was read too far.

    Attributes:
        block: Bytes that are read for a block; a line may make it longer.
        plain: The file whose bytes `read` gives from its beginning; None if it is another input.
    """

    def __init__(
        self, read: Callable[[int], bytes], *, block: int = BLOCK, plain: PlainFile | None = None
    ) -> None:
        self.block = block
        self.plain = plain
        self._read = read
        self._held = b""
        self._line = 1
        self._taken = 0

    @property
    def line(self) -> int:
        """The number of the next line."""
        return self._line

    def _source(self, size: int) -> bytes:
        data = self._read(size)
        self._taken += len(data)
        return data

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, and none at the end."""
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        return self._source(size)

    def unread(self, data: bytes, line: int) -> None:
        """Puts `data` back, which begins at `line`."""
        self._held = data + self._held
        self._line = line

    def next_block(self) -> Block | None:
        """The next lines, or None at the end."""
        if len(self._held) < self.block:
            more = self._source(self.block)
            end = more.rfind(b"\n") + 1
            if end:
                data = b"".join((self._held, memoryview(more)[:end]))
                self._held = more[end:]
                return self._counted(data, whole=True)
            self._held += more
        data = self.read(self.block)
        while data:
            end = data.rfind(b"\n") + 1
            if end:
                self._held = data[end:] + self._held
                return self._counted(data[:end], whole=True)
            if len(data) > LONGEST_LINE:
                return self._counted(data, whole=False)
            # Asking for as much as is held keeps the copying linear in the line's length.
            wanted = min(max(self.block, len(data)), LONGEST_LINE + 1 - len(data))
            more = self.read(wanted)
            if not more:
                return self._counted(data, whole=True)
            data += more
        return None

    def _counted(self, data: bytes, *, whole: bool) -> Block:
        at = self._taken - len(self._held) - len(data)
        block = Block(data, self._line, whole, at, len(data))
        self._line += data.count(b"\n")
        return block
