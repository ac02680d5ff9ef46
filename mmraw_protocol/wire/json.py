"""Strict reading and canonical writing of JSON.

The usual readers keep the last of duplicate keys, take NaN, lone surrogates and integers that other
languages round, and fall over deep nesting. Here all of that is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypedDict, cast

import msgspec

from . import fastpath, jsonbulk
from ._generated.limits import Limits
from .errors import MMRawError
from .jsonbulk import MAX_INTEGER as MAX_INTEGER
from .jsonlarge import set_aside

#: Keys that may occur nowhere in a raw item: they would carry processed tensors.
PROCESSED_KEYS = frozenset({"pixel_values", "image_embeds", "image_features"})
PROCESSED_KEYS_BYTES = frozenset(name.encode("ascii") for name in PROCESSED_KEYS)

#: Nesting of any document but a payload. Ours need six levels.
MAX_DEPTH = 256

# Compiled where it is used (and kept by re): the fast paths do without it.
_SURROGATE_ESCAPE = rb"\\u[dD][89a-fA-F]"
_SURROGATE_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
#: Documents beyond this many bytes are read in a way that bounds memory.
LARGE = 1 << 18


def parse_json(
    text: str | bytes | memoryview,
    *,
    max_depth: int = MAX_DEPTH,
    max_values: int | None = None,
    max_text: int | None = None,
    path: str = "$",
) -> Any:
    """One strict JSON document.

    Args:
        text: The document.
        max_depth: Most levels of arrays and objects.
        max_values: Most values in it; where it is given, memory is bounded by the document's size.
        max_text: Most bytes beside the base64 of images and refs.
        path: For errors.

    Raises:
        MMRawError: invalid_encoding, invalid_json, duplicate_key, invalid_value (an integer beyond
            plus or minus 2^53-1), limit_exceeded (nesting, values, text).
    """
    if max_values is None or len(text) <= LARGE:
        return _read(text, max_depth, max_values, path)
    check_large_json(text, max_depth=max_depth, max_values=max_values, max_text=max_text, path=path)
    # The strict reader has seen all but plain base64, and the values are few: any reader will do.
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    raise jsonbulk.not_json(path)


class Bounds(TypedDict):
    """Most values of a document, and most bytes beside the base64 of images."""

    max_values: int
    max_text: int


def document_bounds(limits: Limits) -> Bounds:
    """What a ref or envelope may hold: its payload, and a little more."""
    return {"max_values": limits.payload_nodes + 64, "max_text": limits.payload_bytes + LARGE}


def check_large_json(
    text: str | bytes | memoryview,
    *,
    max_values: int,
    max_text: int | None,
    max_depth: int = MAX_DEPTH,
    path: str = "$",
) -> None:
    """What `parse_json` refuses, but for faults within long base64; builds next to nothing.

    Raises:
        MMRawError: what `parse_json` raises.
    """
    rest = set_aside(text)
    if max_text is not None and len(rest) > max_text:
        message = f"more than {max_text} bytes beside the base64 of images"
        raise MMRawError("limit_exceeded", message, path)
    escape = "\\u" if isinstance(rest, str) else b"\\u"
    if len(rest) > LARGE and not (rest.isascii() and escape not in rest):  # pyright: ignore[reportOperatorIssue]
        # Text beyond Latin takes up to four bytes a character, once for the document and once more.
        message = f"more than {LARGE} bytes of text that is not plain ASCII"
        raise MMRawError("limit_exceeded", message, path)
    _read(rest, max_depth, max_values, path)


def _read(text: str | bytes | memoryview, max_depth: int, max_values: int | None, path: str) -> Any:
    data = utf8_of(text, path)
    if _is_strict(data, max_depth, max_values, path):
        try:
            return msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    return _read_slowly(text, data, path)


def check_json(
    data: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_values: int | None = None,
    max_text: int | None = None,
    path: str = "$",
) -> None:
    """Refuses what `parse_json` refuses; where it can, builds no value.

    Raises:
        MMRawError: what `parse_json` raises.
    """
    if max_values is not None and len(data) > LARGE:
        parse_json(data, max_depth=max_depth, max_values=max_values, max_text=max_text, path=path)
    elif not _is_strict(utf8_of(data, path), max_depth, max_values, path):
        _read_slowly(data, data, path)


def check_raw_json(
    data: bytes,
    *,
    max_values: int,
    max_text: int | None = None,
    path: str = "$",
    is_json: bool | None = None,
) -> None:
    """What is refused before any other fault of a document; where it can, builds no value.

    `is_json` says whether msgspec read the text, whatever type it wanted; None: it did not try.

    Raises:
        MMRawError: what `parse_json` raises; processed_payload (at any depth).
    """
    if len(data) > LARGE:
        parse_json(data, max_values=max_values, max_text=max_text, path=path)
    elif not _is_strict(utf8_of(data, path), MAX_DEPTH, max_values, path, is_json):
        _read_slowly(data, data, path)
    if b"\\u00" not in data and not any(name in data for name in PROCESSED_KEYS_BYTES):
        return
    value = msgspec.json.decode(data)
    if names_processed(value) and holds_processed_key(value):
        raise processed_payload(path)


def _is_strict(
    data: bytes,
    max_depth: int,
    max_values: int | None,
    path: str,
    is_json: bool | None = None,
) -> bool:
    """Whether searches over the whole of a text prove it strict; large texts are not searched.

    Raises:
        MMRawError: what they prove to be wrong.
    """
    if max_values is not None and jsonbulk.holds_more(data, max_values):
        raise MMRawError("limit_exceeded", f"more than {max_values} values", path)
    if data.startswith(b"\xef\xbb\xbf"):
        raise MMRawError("invalid_encoding", "a byte order mark stands before the JSON", path)
    if jsonbulk.is_deeper(data, max_depth):
        raise MMRawError("limit_exceeded", f"nested deeper than {max_depth} levels", path)
    # Cut into pieces, a large text would take too much memory.
    if not fastpath.enabled or len(data) > LARGE:
        return False
    if is_json is False or (is_json is None and not jsonbulk.is_json(data)):
        raise jsonbulk.broken(data, path)
    fault = jsonbulk.fault(data, path)
    if fault is not None:
        raise fault
    return True


def utf8_of(text: str | bytes | memoryview, path: str) -> bytes:
    """The text as bytes.

    Raises:
        MMRawError: invalid_encoding.
    """
    if isinstance(text, str):
        # A surrogate in it is named when all else is right; until then only marks are counted.
        if text.isascii() or len(text) <= LARGE:
            return text.encode("utf-8", "surrogatepass")
        # At once, an encoder takes four bytes for each character of a text beyond Latin.
        steps = range(0, len(text), jsonbulk.WINDOW)
        parts = (text[at : at + jsonbulk.WINDOW] for at in steps)
        return b"".join([part.encode("utf-8", "surrogatepass") for part in parts])
    data = bytes(text)
    if jsonbulk.is_utf8(data):
        return data
    raise MMRawError("invalid_encoding", "not UTF-8", path)


def _read_slowly(text: str | bytes | memoryview, data: bytes, path: str) -> Any:
    """The value, by hooks that note what the standard library would let pass."""
    document = text if isinstance(text, str) else str(data, "utf-8")
    reader = _Reader(path, data)
    value = reader.read(document)
    if _holds_lone_surrogate(data):
        raise MMRawError("invalid_encoding", "a string holds a lone surrogate", path)
    if reader.number_fault is not None:
        raise reader.number_fault
    if reader.holds_key_twice:
        raise jsonbulk.key_twice(path)
    return value


def _holds_lone_surrogate(data: bytes) -> bool:
    """Whether JSON text holds one as it is, or escaped."""
    if not jsonbulk.is_utf8(data):
        return True
    if b"\\u" not in data:
        return False
    rest = re.sub(_SURROGATE_PAIR, b"_", data.replace(b"\\\\", b"__"))
    return re.search(_SURROGATE_ESCAPE, rest) is not None


class _Reader:
    """A JSON decoder whose hooks note numbers out of range and keys that occur twice."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.number_fault: MMRawError | None = None
        self.holds_key_twice = False
        # Where no number can be too long, none is looked at: hooks take most of the time.
        self.parse_int = self.integer if jsonbulk.has_long_integers(data) else None
        self.parse_float = self.number if jsonbulk.has_long_numbers(data) else None

    def read(self, document: str) -> Any:
        # The fast paths do without it, and it takes as long to import as half of this package.
        import json

        decoder = json.JSONDecoder(
            object_pairs_hook=self.pairs,
            parse_int=self.parse_int,
            parse_float=self.parse_float,
            parse_constant=self.constant,
        )
        try:
            return decoder.decode(document)
        except json.JSONDecodeError:
            pass
        raise jsonbulk.not_json(self.path)

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        self.holds_key_twice |= len(result) != len(pairs)
        return result

    def integer(self, digits: str) -> int:
        return int(digits) if len(digits) < 16 or self.is_in_range(digits) else 0

    def number(self, digits: str) -> float:
        return float(digits) if self.is_in_range(digits) else 0.0

    def is_in_range(self, digits: str) -> bool:
        fault = jsonbulk.number_fault(digits.encode("ascii"), self.path)
        self.number_fault = self.number_fault or fault
        return fault is None

    def constant(self, _: str) -> NoReturn:
        raise jsonbulk.not_json(self.path)


def children(value: Any) -> list[Any] | None:
    """What a container holds, keys apart; None for a leaf."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    if isinstance(value, (list, tuple)):
        return list(cast("list[Any]", value))
    return None


def walk(value: Any) -> Iterator[tuple[Any, int]]:
    """Every value below `value` with its depth, without recursion."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        yield item, depth
        below = children(item)
        if below:
            stack.extend((child, depth + 1) for child in below)


def check_leaf(item: Any, path: str) -> None:
    """Refuses what has no place in JSON: by type, by range, by lone surrogates."""
    if item is None or isinstance(item, bool):
        return
    if isinstance(item, str):
        _check_text(item, path)
    elif isinstance(item, dict):
        for key in cast("dict[Any, Any]", item):
            if not isinstance(key, str):
                raise MMRawError("invalid_type", "object keys are strings", path)
            _check_text(key, path)
    elif isinstance(item, int):
        if abs(item) > MAX_INTEGER:
            raise MMRawError("invalid_value", "an integer is beyond 2^53-1", path)
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise MMRawError("invalid_value", "NaN and Infinity are not JSON", path)
    elif not isinstance(item, (list, tuple)):
        raise MMRawError("invalid_type", "not a JSON value", path)


def _check_text(text: str, path: str) -> None:
    # isprintable, isascii and the like do not see a lone surrogate; encoding does.
    if text.isascii():
        return
    try:
        text.encode("utf-8")
        return
    except UnicodeEncodeError:
        pass
    raise MMRawError("invalid_encoding", "a string holds a lone surrogate", path)


def processed_payload(path: str) -> MMRawError:
    """The error for pixel_values and its like."""
    names = ", ".join(sorted(PROCESSED_KEYS))
    return MMRawError("processed_payload", f"raw items carry none of {names}", path)


def names_processed(value: Any) -> bool:
    """Whether the name of a key of processed tensors occurs anywhere, in a string perhaps."""
    try:
        # Written again, no key is escaped.
        text = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True
    return any(name in text for name in PROCESSED_KEYS_BYTES)


def holds_processed_key(value: Any) -> bool:
    """Whether a key of processed tensors occurs at any depth."""
    return any(
        isinstance(item, dict) and not PROCESSED_KEYS.isdisjoint(cast("dict[str, Any]", item))
        for item, _ in walk(value)
    )


def check_json_value(value: Any, *, path: str = "$") -> None:
    """Refuses what a decoded document cannot hold: other types, odd keys, big integers, NaN.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded (nesting).
    """
    for item, depth in walk(value):
        if depth > MAX_DEPTH:
            raise MMRawError("limit_exceeded", f"nested deeper than {MAX_DEPTH} levels", path)
        check_leaf(item, path)


def canonical_json(value: Any, *, path: str = "$") -> str:
    """Canonical JSON: keys sorted by code point, `,` and `:`, non-ASCII escaped, finite numbers.

    Floats are written as Python's repr does (`1e+16`, `1.0`); an integer stays an integer. msgspec
    structs are written as the objects they stand for.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded (nesting).
    """
    plain = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    check_json_value(plain, path=path)
    import json

    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
