"""A strict JSON reader that looks at every character and value: slow and obvious.

The package's reader counts and searches before it builds a value; this one does neither.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from mmraw_protocol import MMRawError

MAX_INTEGER = 2**53 - 1


def read(text: str | bytes, max_depth: int, max_values: int | None, path: str) -> Any:
    """The value, or the error of the first kind of fault that the text has."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise MMRawError("invalid_encoding", "not UTF-8", path) from None
    if re.search("[\ud800-\udfff]", text):
        raise MMRawError("invalid_encoding", "a lone surrogate", path)
    _count(text, max_depth, max_values, path)

    objects: list[Any] = []
    numbers: list[str] = []
    twice: list[str] = []

    def pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        objects.append(pairs)
        if len(dict(pairs)) != len(pairs):
            twice.append("an object has a duplicate key")
        return dict(pairs)

    def integer(digits: str) -> int:
        if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
            numbers.append("an integer is beyond 2^53-1")
            return 0
        return int(digits)

    def number(digits: str) -> float:
        if math.isinf(float(digits)):
            numbers.append("a number is beyond the range of doubles")
            return 0.0
        return float(digits)

    def constant(_: str) -> NoReturn:
        raise MMRawError("invalid_json", "not a valid JSON document", path)

    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_int=integer,
            parse_float=number,
            parse_constant=constant,
        )
    except json.JSONDecodeError:
        raise MMRawError("invalid_json", "not a valid JSON document", path) from None
    if re.search("[\ud800-\udfff]", json.dumps([objects, value], ensure_ascii=False)):
        raise MMRawError("invalid_encoding", "a string holds a lone surrogate", path)
    if numbers:
        raise MMRawError("invalid_value", numbers[0], path)
    if twice:
        raise MMRawError("duplicate_key", twice[0], path)
    return value


def _count(text: str, max_depth: int, max_values: int | None, path: str) -> None:
    outside = "".join(_outside_strings(text))
    if text.startswith("\ufeff"):
        raise MMRawError("invalid_encoding", "a byte order mark precedes the JSON", path)
    # Each value has at most one key, and each string two quotes.
    quotes = sum(1 for _ in _quotes(text))
    if max_values is not None and quotes > 4 * max_values + 4:
        raise MMRawError("limit_exceeded", f"more than {max_values} values", path)
    if "\\" in outside:
        raise MMRawError("invalid_json", "a backslash outside of strings", path)
    if max_values is not None and sum(map(outside.count, ",[{")) > max_values:
        raise MMRawError("limit_exceeded", f"more than {max_values} values", path)
    depth = 0
    for char in outside:
        depth += (char in "[{") - (char in "]}")
        if depth > max_depth:
            raise MMRawError("limit_exceeded", f"nested deeper than {max_depth} levels", path)


def _quotes(text: str) -> Iterator[str]:
    """The quotes that no backslash escapes."""
    is_escaped = False
    for char in text:
        if char == '"' and not is_escaped:
            yield char
        is_escaped = char == "\\" and not is_escaped


def depth_and_count(value: Any) -> tuple[int, int]:
    """Returns the nesting depth of a value, and how many values it contains, itself counted."""
    if not isinstance(value, (dict, list)):
        return 0, 1
    below = [depth_and_count(v) for v in (value.values() if isinstance(value, dict) else value)]
    return 1 + max((d for d, _ in below), default=0), 1 + sum(count for _, count in below)


def _outside_strings(text: str) -> Iterator[str]:
    is_inside = is_escaped = False
    for char in text:
        if not is_inside:
            yield char
            is_inside, is_escaped = char == '"', False
        elif is_escaped:
            is_escaped = False
        elif char == "\\":
            is_escaped = True
        elif char == '"':
            is_inside = False


def holds_key(value: Any, names: frozenset[str]) -> bool:
    """True if one of the names is a key at any depth."""
    if isinstance(value, dict):
        return not names.isdisjoint(value) or any(holds_key(v, names) for v in value.values())
    return isinstance(value, list) and any(holds_key(item, names) for item in value)
