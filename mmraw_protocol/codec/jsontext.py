"""Strict reading and canonical writing of JSON.

The usual readers keep the last of duplicate keys, take NaN, lone surrogates and integers that other
languages round, and fall over deep nesting. Here all of that is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import msgspec

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError

#: Keys that may occur nowhere in a raw item: they would carry processed tensors.
PROCESSED_KEYS = frozenset({"pixel_values", "image_embeds", "image_features"})

#: Integers beyond are rounded by readers that hold numbers as doubles.
MAX_INTEGER = 2**53 - 1
#: Nesting of any document but a payload. Ours need six levels.
MAX_DEPTH = 256

# Compiled where they are used (and kept by re): the fast paths do without them.
#: A string; one that is not closed reaches to the end, so that no text is searched twice.
_STRING = r'(?s)"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
_SURROGATE_ESCAPE = r"\\u[dD][89a-fA-F]"


def parse_json(
    text: str | bytes | memoryview, *, max_depth: int = MAX_DEPTH, path: str = "$"
) -> Any:
    """One strict JSON document.

    Raises:
        MMRawError: invalid_encoding, invalid_json, duplicate_key, invalid_value (an integer beyond
            plus or minus 2^53-1), limit_exceeded (nesting).
    """
    document = text if isinstance(text, str) else _utf8(text, path)
    _check_depth(document, max_depth, path)
    # The fast paths do without it, and it takes as long to import as half of this package.
    import json

    reader = _Reader(path)
    try:
        value = reader.decoder.decode(document)
    except json.JSONDecodeError:
        value = _BROKEN
    if value is _BROKEN:
        raise MMRawError("invalid_json", "not one strict JSON document", path)
    if re.search(_SURROGATE_ESCAPE, document) or not document.isascii():
        _check_strings(value, path)
    return value


_BROKEN = object()


class _Reader:
    """A JSON decoder whose hooks refuse what the standard library would let pass."""

    def __init__(self, path: str) -> None:
        import json

        self.path = path
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self.pairs,
            parse_int=self.integer,
            parse_float=self.number,
            parse_constant=self.constant,
        )

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise MMRawError("duplicate_key", "an object holds the same key twice", self.path)
        return result

    def integer(self, digits: str) -> int:
        # The length bounds the cost: a long run of digits would take quadratic time.
        if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
            raise MMRawError("invalid_value", "an integer is beyond 2^53-1", self.path)
        return value

    def number(self, digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise MMRawError("invalid_value", "a number is beyond the range of doubles", self.path)
        return value

    def constant(self, _: str) -> NoReturn:
        raise MMRawError("invalid_json", "NaN and Infinity are not JSON", self.path)


def _utf8(data: bytes | memoryview, path: str) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        pass
    raise MMRawError("invalid_encoding", "not UTF-8", path)


def _check_depth(text: str, limit: int, path: str) -> None:
    """Counts brackets before any parser recurses into them."""
    if text.startswith("\ufeff"):
        raise MMRawError("invalid_encoding", "a byte order mark stands before the JSON", path)
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    for part in _outside_strings(text):
        for char in part:
            if char in "[{":
                depth += 1
                if depth > limit:
                    message = f"nested deeper than {limit} levels"
                    raise MMRawError("limit_exceeded", message, path)
            elif char in "]}":
                depth -= 1


def _outside_strings(text: str) -> Iterator[str]:
    start = 0
    for match in re.finditer(_STRING, text):
        yield text[start : match.start()]
        start = match.end()
    yield text[start:]


def _children(value: Any) -> list[Any] | None:
    """What a container holds, keys apart; None for a leaf."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    if isinstance(value, (list, tuple)):
        return list(cast("list[Any]", value))
    return None


def _walk(value: Any) -> Iterator[tuple[Any, int]]:
    """Every value below `value` with its depth, without recursion."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        yield item, depth
        children = _children(item)
        if children:
            stack.extend((child, depth + 1) for child in children)


def _check_strings(value: Any, path: str) -> None:
    for item, _ in _walk(value):
        _check_leaf(item, path)


def _check_leaf(item: Any, path: str) -> None:
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


def check_payload_value(
    value: Any, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.payload"
) -> dict[str, Any]:
    """An opaque payload: a JSON object within the limits that holds no processed tensors.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded,
            processed_payload.
    """
    if not isinstance(value, dict):
        raise MMRawError("invalid_type", "expected a JSON object", path)
    for count, (item, depth) in enumerate(_walk(cast(Any, value)), start=1):
        if depth > limits.payload_depth and _children(item) is not None:
            message = f"nested deeper than {limits.payload_depth} levels"
            raise MMRawError("limit_exceeded", message, path)
        if count > limits.payload_nodes:
            raise MMRawError("limit_exceeded", f"more than {limits.payload_nodes} values", path)
        _check_leaf(item, path)
        if isinstance(item, dict) and not PROCESSED_KEYS.isdisjoint(cast("dict[str, Any]", item)):
            raise processed_payload(path)
    return cast("dict[str, Any]", value)


def processed_payload(path: str) -> MMRawError:
    """The error for pixel_values and its like."""
    names = ", ".join(sorted(PROCESSED_KEYS))
    return MMRawError("processed_payload", f"raw items carry none of {names}", path)


def holds_processed_key(value: Any) -> bool:
    """Whether a key of processed tensors occurs at any depth."""
    return any(
        isinstance(item, dict) and not PROCESSED_KEYS.isdisjoint(cast("dict[str, Any]", item))
        for item, _ in _walk(value)
    )


def check_json_value(value: Any, *, path: str = "$") -> None:
    """Refuses what a decoded document cannot hold: other types, odd keys, big integers, NaN.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded (nesting).
    """
    for item, depth in _walk(value):
        if depth > MAX_DEPTH:
            raise MMRawError("limit_exceeded", f"nested deeper than {MAX_DEPTH} levels", path)
        _check_leaf(item, path)


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
