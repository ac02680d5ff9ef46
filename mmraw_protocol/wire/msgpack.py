"""Strict reading of MessagePack: what a strict JSON document could say, and nothing else.

A usual reader takes an array's length from four bytes and sets memory aside for it, keeps the last
of equal keys, and calls its caller's hooks. Here each value is counted before it is read.

Source: spec/README.md, section "Refs as URLs".
"""

from __future__ import annotations

import math
import struct
from typing import Any

from .errors import MMRawError
from .json_scan import MAX_INTEGER, too_deep, too_many

#: Nesting; the documents that are read need four levels.
_MAX_DEPTH = 32
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_STRINGS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
_LITERALS = {0xC0: None, 0xC2: False, 0xC3: True}
#: First bytes of binary data and extensions, which JSON has not.
_NOT_JSON = frozenset({*range(0xC4, 0xCA), *range(0xD4, 0xD9)})


def is_msgpack(data: bytes) -> bool:
    """True if bytes begin as an array or object of MessagePack, as no JSON document does."""
    return bool(data) and (0x80 <= data[0] <= 0x9F or 0xDC <= data[0] <= 0xDF)


def parse_msgpack(data: bytes, *, max_values: int, path: str = "$") -> Any:
    """The value of one MessagePack document.

    Args:
        data: The document.
        max_values: Most values in it.
        path: For errors.

    Raises:
        MMRawError: invalid_msgpack (cut off, followed by more, or no MessagePack), invalid_type
            (binary data, extensions, keys that are no strings), invalid_encoding, invalid_value (a
            number out of range), duplicate_key, limit_exceeded.
    """
    reader = _Reader(data, max_values, path)
    value = reader.value(1)
    if reader.at != len(data):
        raise reader.broken()
    return value


class _Reader:
    def __init__(self, data: bytes, max_values: int, path: str) -> None:
        self.at = 0
        self._data = data
        self._path = path
        self._max_values = max_values
        self._left = max_values

    def broken(self) -> MMRawError:
        return MMRawError(
            "invalid_msgpack",
            f"expected a valid MessagePack document, got {len(self._data)} bytes of something else",
            self._path,
        )

    def value(self, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise too_many(self._max_values, self._path)
        first = self._take(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _LITERALS:
            return _LITERALS[first]
        if first in _NUMBERS:
            return self._number(_NUMBERS[first])
        if first in _NOT_JSON:
            message = "expected JSON values, got binary data or an extension"
            raise MMRawError("invalid_type", message, self._path)
        return self._long(first, depth)

    def _long(self, first: int, depth: int) -> Any:
        """A string, an array or an object."""
        if 0xA0 <= first <= 0xBF:
            return self._text(first - 0xA0)
        if first in _STRINGS:
            return self._text(self._unpack(_STRINGS[first]))
        if first == 0xC1:  # the one byte that begins nothing
            raise self.broken()
        if depth > _MAX_DEPTH:
            raise too_deep(_MAX_DEPTH, self._path)
        if 0x90 <= first <= 0x9F:
            return self._array(first - 0x90, depth)
        if first in _ARRAYS:
            return self._array(self._unpack(_ARRAYS[first]), depth)
        return self._map(self._unpack(_MAPS[first]) if first in _MAPS else first - 0x80, depth)

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise self.broken()
        data = self._data[self.at : end]
        self.at = end
        return data

    def _unpack(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _number(self, form: str) -> int | float:
        number = self._unpack(form)
        is_float = isinstance(number, float)
        if not math.isfinite(number) if is_float else abs(number) > MAX_INTEGER:
            message = "expected numbers within 2^53-1 and the range of doubles, got one beyond"
            raise MMRawError("invalid_value", message, self._path)
        return number

    def _text(self, count: int) -> str:
        text: str | None = None
        data = self._take(count)
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            text = None
        if text is None:
            message = "expected strings in UTF-8, got other bytes"
            raise MMRawError("invalid_encoding", message, self._path)
        return text

    def _array(self, count: int, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(count)]

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            # A key is no value, as in JSON.
            self._left += 1
            if not isinstance(key, str):
                message = "expected strings as keys of an object, got another key"
                raise MMRawError("invalid_type", message, self._path)
            if key in found:
                message = "expected each key once in an object, got a duplicate key"
                raise MMRawError("duplicate_key", message, self._path)
            found[key] = self.value(depth + 1)
        return found
