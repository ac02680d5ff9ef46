"""A file of lines that other programs append to."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import cast

from ..files.names import open_named
from ..files.remote import is_url
from ..wire.compression import compression_of
from ..wire.errors import MMRawError
from ..wire.msgpack import is_msgpack
from ..wire.rows import is_table

#: Seconds between two looks at the file.
SECONDS_BETWEEN_LOOKS = 0.5


class Followed:
    """Gives the lines of a file and waits for more at its end; the lines of a pipe to its end.

    Attributes:
        rest: The bytes of a last line that has no end yet.
    """

    def __init__(self, file: BufferedReader, name: str) -> None:
        self.rest = b""
        self._file, self._name = file, name
        self._done = 0

    def read(self, size: int) -> bytes:
        """Reads whole lines of about `size` bytes, none at the end of a pipe.

        Raises:
            MMRawError: source_unavailable (the file was made shorter, or its name is that of
                another one by now), unsupported_option (it is no file of lines).
        """
        while b"\n" not in self.rest:
            data = self._file.read1(size)
            if data and not self._done:
                _check_head(data[:4])
            self._done += len(data)
            self.rest += data
            if not data:
                if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                    break
                self._check_same()
                time.sleep(SECONDS_BETWEEN_LOOKS)
        end = self.rest.rfind(b"\n") + 1
        lines, self.rest = self.rest[:end], self.rest[end:]
        return lines

    def _check_same(self) -> None:
        held, is_same = os.fstat(self._file.fileno()), False
        with suppress(OSError):
            is_same = os.path.samestat(os.stat(self._name), held)
        if not is_same or held.st_size < self._done:
            message = "expected a file that only grows; it became shorter or was replaced"
            raise MMRawError("source_unavailable", message)


@contextmanager
def followed(name: str) -> Generator[Followed, None, None]:
    """Opens a file to follow.

    Raises:
        MMRawError: source_unavailable, unsupported_option (an object of a store).
    """
    if is_url(name):
        raise MMRawError("unsupported_option", "expected a local file to follow, got a URL")
    with open_named(name) as file:
        yield Followed(cast(BufferedReader, file), name)


def _check_head(head: bytes) -> None:
    if is_table(head) or is_msgpack(head) or compression_of(head):
        message = (
            "expected a file of lines to follow, got a compressed file, a table or MessagePack"
        )
        raise MMRawError("unsupported_option", message)
