"""Where commands get their input from: an argument, a file, or standard input."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire._generated.messages import ANSWERS, CONVERSATIONS
from ..wire.errors import MMRawError
from ..wire.json import parse_json
from ..wire.msgpack import is_msgpack
from ..wire.msgpack_stream import json_lines
from ..wire.ref import PREFIXES


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
    if argument.startswith((*PREFIXES, "{", "[")):  # pyright: ignore[reportOptionalMemberAccess]
        return str(argument)
    return read_file(str(argument), whole=whole)


def read_file(name: str, *, whole: bool = False) -> str:
    """The text of a file; MessagePack as the JSON that says the same.

    Raises:
        MMRawError: source_unavailable, invalid_encoding, invalid_msgpack, limit_exceeded.
    """
    data: bytes | None = None
    try:
        with Path(name).open("rb") as file:
            data = file.read(DEFAULT_LIMITS.features_bytes + 1)
    except (OSError, ValueError):
        data = None
    if data is None:
        raise MMRawError("source_unavailable", "the file cannot be read")
    return _decode(data, whole=whole)


def _decode(data: bytes, *, whole: bool) -> str:
    if len(data) > DEFAULT_LIMITS.features_bytes:
        raise MMRawError("limit_exceeded", "the input is longer than a features body may be")
    if is_msgpack(data):
        data = b"".join(json_lines(io.BytesIO(data).read))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise MMRawError("invalid_encoding", "the input is not UTF-8")
    if not text.strip():
        raise MMRawError("invalid_json", "the input is empty")
    return text if whole else text.strip()


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
        raise MMRawError("limit_exceeded", f"an image has at most {most} bytes")
    return data


@contextmanager
def opened(name: str) -> Generator[tuple[IO[bytes], int | None], None, None]:
    """A file (or - for standard input) and its size where that is known.

    Raises:
        MMRawError: source_unavailable.
    """
    if name == "-":
        yield sys.stdin.buffer, None
        return
    file: IO[bytes] | None = None
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below; the error must leave no context)
    except (OSError, ValueError):
        file = None
    if file is None:
        raise MMRawError("source_unavailable", "the file cannot be read")
    with file:
        yield file, Path(name).stat().st_size


def is_file(argument: str) -> bool:
    """Whether an argument names an existing file."""
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
        raise MMRawError("placeholder_invalid", "--offsets is a list of numbers like 5,130")
    return [int(number) for number in numbers]
