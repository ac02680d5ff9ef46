"""Where commands get their input from: an argument, a file, or standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .._generated.limits import DEFAULT_LIMITS
from ..errors import MMRawError


def read_text(argument: str | None) -> str:
    """The text of `-` or nothing (standard input), of a file, or the argument itself.

    Raises:
        MMRawError: source_unavailable, invalid_encoding, limit_exceeded.
    """
    if argument in (None, "-"):
        return _decode(sys.stdin.buffer.read(DEFAULT_LIMITS.features_bytes + 1))
    if argument.startswith(("mmraw:", "{", "[")):  # pyright: ignore[reportOptionalMemberAccess]
        return str(argument)
    return read_file(str(argument))


def read_file(name: str) -> str:
    """The text of a file.

    Raises:
        MMRawError: source_unavailable, invalid_encoding, limit_exceeded.
    """
    data: bytes | None = None
    try:
        with Path(name).open("rb") as file:
            data = file.read(DEFAULT_LIMITS.features_bytes + 1)
    except (OSError, ValueError):
        data = None
    if data is None:
        raise MMRawError("source_unavailable", "the file cannot be read")
    return _decode(data)


def _decode(data: bytes) -> str:
    if len(data) > DEFAULT_LIMITS.features_bytes:
        raise MMRawError("limit_exceeded", "the input is longer than a features body may be")
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        pass
    raise MMRawError("invalid_encoding", "the input is not UTF-8")


def is_file(argument: str) -> bool:
    """Whether an argument names an existing file."""
    try:
        return os.path.isfile(argument)
    except ValueError:
        return False
