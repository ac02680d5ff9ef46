"""Files that are broken, told from files that could not be read: these Ray tries again."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...files.results import RESULTS, Names, batch_of, kept_of, with_kept
from ...wire.errors import MMRawError

#: What is wrong with a file of lines, and with one of rows.
BROKEN_LINES = "a compressed file is broken or cut off; its lines from here on were not read"
BROKEN_ROWS = "a Parquet file is broken or cut off; of its rows, some or all were not read"


class Fault(NamedTuple):
    """Stands among the tables that are read of a file where the file is broken.

    Attributes:
        file: Its path or URL, as given.
        rows: A batch with the columns of the file, if they are known: a row for the first line that
            was not read, or none.
        message: What is wrong.
    """

    file: str
    rows: Any
    message: str


def refused_file(fault: Fault, keep: Names) -> Any:
    """The refusal of a broken file, as results: its path is that of the file."""
    row = 0 if len(fault.rows) else None
    code = "source_unavailable"
    line = (row, None, fault.file, "file", code, fault.message, None, 1, 0)
    return with_kept(kept_of(fault.rows, keep), batch_of([line], RESULTS))


def not_read(number: int) -> MMRawError:
    """The error for a file that cannot be read, by its number, whatever stands in it."""
    return MMRawError("source_unavailable", "a file of the input cannot be read", f"$[{number}]")


class Watched:
    """An open file that remembers whether reading it failed: a store may be out of reach.

    What else a reader of its contents raises, the contents are at fault for.

    Attributes:
        failed: Whether it did.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.failed = False

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes.

        Raises:
            OSError: As the file does.
        """
        try:
            return self._file.read(size if size >= 0 else None)
        except OSError:
            self.failed = True
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def close(self) -> None:
        """As of a file."""
        self._file.close()

    @property
    def closed(self) -> bool:
        """As of a file."""
        return self._file.closed

    def readable(self) -> bool:
        """As of a file."""
        return True

    def seekable(self) -> bool:
        """As of a file."""
        return True

    def writable(self) -> bool:
        """As of a file."""
        return False
