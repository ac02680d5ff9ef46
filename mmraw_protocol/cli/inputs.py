"""Inputs of commands: an argument, a file, or standard input."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ..files.names import open_named
from ..files.reader import CHANGED, PlainFile
from ..files.remote import is_url, state_of
from ..files.tables import Table
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire._generated.messages import ANSWERS, CONVERSATIONS
from ..wire.compression import documents_in
from ..wire.errors import MMRawError
from ..wire.json import parse_json
from ..wire.msgpack import is_msgpack
from ..wire.msgpack_stream import json_lines
from ..wire.ref import PREFIXES
from ..wire.rows import is_table
from .output import Progress, progress_bar


def read_text(argument: str | None, *, whole: bool = False) -> str:
    """The text of `-` or nothing (standard input), of a file, or the argument itself.

    Args:
        argument: As it was given.
        whole: Whether blanks around the text are kept, which places in it count.

    Raises:
        MMRawError: source_unavailable, invalid_encoding, invalid_msgpack, limit_exceeded.
    """
    if argument in (None, "-"):
        return _decode(sys.stdin.buffer.read(DEFAULT_LIMITS.features_bytes + 1), whole=whole)
    text = str(argument)
    # A text that was pasted, such as a line of a log, names no file.
    is_text = not is_file(text) and any(prefix in text for prefix in PREFIXES)
    if is_text or text.startswith(("{", "[")):
        return text
    return read_file(text, whole=whole)


def read_file(name: str, *, whole: bool = False) -> str:
    """The text of a file; MessagePack as the JSON that says the same.

    Raises:
        MMRawError: source_unavailable, invalid_encoding, invalid_msgpack, limit_exceeded.
    """
    data: bytes | None = None
    if os.path.isdir(name):
        message = "expected a file, got a folder; mmraw validate reads all files of one"
        raise MMRawError("source_unavailable", message)
    try:
        with Path(name).open("rb") as file:
            data = file.read(DEFAULT_LIMITS.features_bytes + 1)
            if is_table(data[:4]):
                file.seek(0)
                data = _rows_of(Table(file))
    except (OSError, ValueError) as error:
        if isinstance(error, MMRawError):
            raise
        data = None
    if data is None:
        raise MMRawError("source_unavailable", "expected a readable file, got none")
    return _decode(data, whole=whole)


def _rows_of(table: Table) -> bytes:
    """The rows of a table as lines of JSON, up to what is read of a file; bytes are left out.

    Raises:
        MMRawError: limit_exceeded, unsupported_option (text in unions, columns of one name), and
            what reading a table raises.
    """
    from ..files.checked_rows import text_of
    from ..files.columns import text_columns
    from ..stores.maintenance.row_values import plain_values

    lines: list[str] = []
    size = 0
    for block in table.blocks():
        rows: Any = block.data
        text_columns(rows)
        names = rows.schema.names
        for values in zip(*(plain_values(one, text_of) for one in rows.columns), strict=True):
            row = dict(zip(names, values, strict=True))
            lines.append(json.dumps(row, default=_no_json))
            size += len(lines[-1]) + 1
            if size > DEFAULT_LIMITS.features_bytes:
                most = DEFAULT_LIMITS.features_bytes
                message = f"expected at most {most} bytes of rows, got more; use mmraw validate"
                raise MMRawError("limit_exceeded", message)
    return "\n".join(lines).encode("utf-8")


def _no_json(_: object) -> None:
    """Stands for bytes, which hold nothing of this protocol."""


def _decode(data: bytes, *, whole: bool) -> str:
    if len(data) > DEFAULT_LIMITS.features_bytes:
        message = f"expected at most {DEFAULT_LIMITS.features_bytes} bytes, got more"
        raise MMRawError("limit_exceeded", message)
    read, compression = documents_in(io.BytesIO(data).read)
    if compression is not None:
        data = _read_most(read, DEFAULT_LIMITS.features_bytes)
    if is_msgpack(data):
        data = b"".join(json_lines(io.BytesIO(data).read))
    wrong = 0
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text, wrong = None, error.start
    if text is None:
        message = f"expected UTF-8, got another byte at byte {wrong + 1}"
        raise MMRawError("invalid_encoding", message)
    if not text.strip():
        message = f"expected a ref or a document, got none in {len(text)} characters"
        raise MMRawError("invalid_json", message)
    return text if whole else text.strip()


def _read_most(read: Callable[[int], bytes], most: int) -> bytes:
    """Reads all input up to `most` bytes.

    Raises:
        MMRawError: limit_exceeded.
    """
    parts: list[bytes] = []
    while (size := sum(map(len, parts))) <= most and (data := read(most + 1 - size)):
        parts.append(data)
    if size > most:
        message = f"expected at most {most} bytes, got more"
        raise MMRawError("limit_exceeded", message)
    return b"".join(parts)


def read_image(argument: str) -> str | bytes:
    """The bytes of `-` (standard input); anything else names an image itself.

    Raises:
        MMRawError: limit_exceeded.
    """
    if argument != "-":
        return argument
    most = DEFAULT_LIMITS.inline_image_bytes
    data = sys.stdin.buffer.read(most + 1)
    if len(data) > most:
        raise MMRawError("limit_exceeded", f"expected at most {most} bytes, got more")
    return data


class Input:
    """An input that is read once, from its beginning.

    Attributes:
        file: Its bytes as they are.
        table: Its rows, where it is Parquet or Arrow; there is nothing to read then.
        read: Gives up to so many bytes of what it says, and none at the end.
        compression: How it is compressed; None where it is not.
    """

    def __init__(self, file: IO[bytes], name: str, progress: Progress) -> None:
        self.file = file
        self._name = name
        self._progress = progress
        self._before = _status(name)
        self._done = 0
        self.table: Table | None = None
        self.read, self.compression = self._counted, None
        if self._before is not None:
            head = file.read(4)
            file.seek(0)
            if is_table(head):
                self.table = Table(file, lambda: progress(file.tell()))
                return
        self.read, self.compression = documents_in(self._counted)

    def _counted(self, size: int) -> bytes:
        # Appended data may have no end; it is a change, and is rejected.
        left = size if self._before is None else self._before[0] - self._done
        data = self.file.read(min(size, left))
        self._done += len(data)
        self._progress(self._done)
        return data

    @property
    def plain(self) -> PlainFile | None:
        """The file, where `read` gives its own bytes; None otherwise."""
        if self.compression is None and self._before is not None and not is_url(self._name):
            # A name such as /dev/stdin means another file in another process.
            path, same = os.path.realpath(self._name), self._before[1:3]
            with contextlib.suppress(OSError):
                status = os.stat(path)
                if (status.st_dev, status.st_ino) == same:
                    return PlainFile(path, *same)
        return None

    def check_unchanged(self) -> None:
        """Refuses where another process wrote to the file, or put another in its place, meanwhile.

        Raises:
            MMRawError: source_unavailable.
        """
        if self._before is not None and self._before != _status(self._name):
            raise MMRawError("source_unavailable", CHANGED)


def _status(name: str) -> tuple[Any, ...] | None:
    """Returns what changes with a file or object, its size first; None for other inputs."""
    if is_url(name):
        return state_of(name)
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(name)
        # Files that the system makes up as they are read have no size.
        if name != "-" and stat.S_ISREG(status.st_mode) and status.st_size:
            return status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns
    return None


@contextmanager
def opened(name: str, title: str, *, quiet: bool = False) -> Generator[Input, None, None]:
    """A file (or - for standard input), decompressed; how far it is read is shown meanwhile.

    Args:
        name: Its path, or -.
        title: What is done with it.
        quiet: Shows nothing.

    Raises:
        MMRawError: source_unavailable, missing_dependency.
    """
    file = sys.stdin.buffer if name == "-" else open_named(name)
    with contextlib.nullcontext() if name == "-" else file:
        status = _status(name)
        size = None if status is None else status[0]
        with progress_bar(f"{title} {Path(name).name}", size, quiet=quiet) as progress:
            yield Input(file, name, progress)


def is_file(argument: str) -> bool:
    """True if an argument names an existing file."""
    try:
        return os.path.isfile(argument)
    except ValueError:
        return False


def read_messages(argument: str | None) -> Any:
    """Chat messages: a JSON list of them, or a row that has one under `messages` or `prompt`.

    Raises:
        MMRawError: invalid_type, and what `read_text` and `parse_json` raise.
    """
    document = parse_json(read_text(argument))
    rows = [document]
    if isinstance(document, dict):
        rows = [cast("dict[str, Any]", document).get(name) for name in (*CONVERSATIONS, *ANSWERS)]
    if not any(isinstance(one, list) for one in rows):
        raise MMRawError("invalid_type", "expected a list of messages, or an object that has one")
    return cast(Any, document)


def parse_offsets(text: str) -> list[int]:
    """Offsets as `5,130`.

    Raises:
        MMRawError: placeholder_invalid.
    """
    numbers = text.replace(" ", "").split(",")
    if not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        message = "expected --offsets with numbers like 5,130, got other text"
        raise MMRawError("placeholder_invalid", message)
    return [int(number) for number in numbers]
