"""Permissions of what a store makes: given, or from the environment, or the defaults."""

from __future__ import annotations

import os
import re
from typing import Any

from ..wire.check import expected
from ..wire.errors import MMRawError

FILE_MODE_ENV = "MMRAW_STORE_FILE_MODE"
DIR_MODE_ENV = "MMRAW_STORE_DIR_MODE"
_FILE_MODE, _DIR_MODE = 0o640, 0o750
_OCTAL = re.compile(r"(?:0o)?[0-7]{3,5}")


def file_mode_of(given: int | None) -> int:
    """Permissions of files.

    Raises:
        MMRawError: invalid_type, unsupported_option.
    """
    return _mode(given, FILE_MODE_ENV, _FILE_MODE)


def dir_mode_of(given: int | None) -> int:
    """Permissions of directories.

    Raises:
        MMRawError: invalid_type, unsupported_option.
    """
    return _mode(given, DIR_MODE_ENV, _DIR_MODE)


def parse_mode(text: str) -> int:
    """Permissions as `0664`, in octal digits.

    Raises:
        MMRawError: unsupported_option.
    """
    if not _OCTAL.fullmatch(text):
        kinds = "0664 for files and 2775 for directories"
        message = f"expected octal digits, such as {kinds}; got {len(text)} characters"
        raise MMRawError("unsupported_option", message)
    return int(text.removeprefix("0o"), 8)


def _mode(given: int | None, name: str, default: int) -> int:
    if given is None:
        text = os.environ.get(name, "")
        given = parse_mode(text) if text else default
    value: Any = given
    if isinstance(value, bool) or not isinstance(value, int):
        raise MMRawError("invalid_type", expected("permissions, a number such as 0o640", value))
    if not 0 <= given <= 0o7777:
        message = "expected permissions from 0 to 0o7777, got another integer"
        raise MMRawError("unsupported_option", message)
    return given
