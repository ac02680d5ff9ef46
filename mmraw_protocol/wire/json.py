"""Strict reading and canonical writing of JSON.

Usual readers keep the last of duplicate keys, accept NaN, lone surrogates and integers that other
languages round, and fail on deep nesting. Here all of that is rejected, by one rule each.

Source: spec/README.md, sections "JSON", "Canonical JSON" and "Order of checks".
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, cast

import msgspec

from .errors import MMRawError
from .json_scan import MAX_INTEGER, Facts, not_json, scan, too_deep, too_many, utf8_of

#: Nesting of any document; ours need six levels.
MAX_DEPTH = 256
#: Keys that no raw item holds at any depth: they would carry processed tensors.
TENSOR_KEYS = frozenset({"image_embeds", "image_features", "pixel_values"})

CONTAINERS = (dict, list, tuple)
SCALARS = frozenset({bool, float, int, str, type(None)})


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError
    return value


# msgspec itself takes ten times as long for some floats: those with large exponents.
_decode = msgspec.json.Decoder(float_hook=_finite).decode
_decode_simple = msgspec.json.Decoder()

#: Stands for a value that holds a number out of range.
_OUT_OF_RANGE = object()


class Document:
    """A JSON text that was read, with facts that only the text has.

    Attributes:
        value: The decoded value; something else if a number in it is out of range.
        marks: Commas and opening brackets outside of strings: about as many as values.
    """

    def __init__(self, value: Any, text: str | bytes, facts: Facts, path: str) -> None:
        self.value = value
        self.marks = facts.marks
        self._text = text
        self._facts = facts
        self._path = path

    def spells_tensor_key(self) -> bool:
        """True if a tensor key is written in the text without escapes."""
        # No backslash precedes the quote that opens a string.
        pattern = rf'(?<!\\)"(?:{"|".join(sorted(TENSOR_KEYS))})"[ \t\r\n]*:'
        if isinstance(self._text, str):
            return re.search(pattern, self._text) is not None
        return re.search(pattern.encode("ascii"), self._text) is not None

    def member(self, name: str) -> Any:
        """The value of a key of the outermost object; None if there is none."""
        if self.value is not _OUT_OF_RANGE:
            is_object = isinstance(self.value, dict)
            return cast("dict[str, Any]", self.value).get(name) if is_object else None
        found: dict[str, msgspec.Raw] = {}
        with contextlib.suppress(msgspec.MsgspecError):
            found = msgspec.json.decode(self._text, type=dict[str, msgspec.Raw])
        with contextlib.suppress(KeyError, msgspec.MsgspecError, ValueError):
            return _decode(found[name])
        return None

    def check(self, *, tensors: bool = True) -> Any:
        """The value, after its numbers, its keys and then its tensor keys were checked.

        Args:
            tensors: Whether keys of processed tensors may occur.

        Raises:
            MMRawError: invalid_value, duplicate_key, processed_payload.
        """
        if self.value is _OUT_OF_RANGE or self._facts.has_big_integer:
            raise _out_of_range(self._path)
        if not self._facts.colons:
            return self.value
        keys, has_tensor = 0, False
        for level in _levels(self.value):
            objects = _objects(level)
            keys += sum(map(len, objects))
            has_tensor = has_tensor or not all(map(TENSOR_KEYS.isdisjoint, objects))
        # Each key has its colon, and of equal keys a reader keeps one.
        if self._facts.colons != keys:
            message = "expected each key once in an object, got a duplicate key"
            raise MMRawError("duplicate_key", message, self._path)
        if has_tensor and not tensors:
            raise processed_payload(self._path)
        return self.value


def parse_json(
    text: str | bytes | memoryview,
    *,
    max_depth: int = MAX_DEPTH,
    max_values: int | None = None,
    path: str = "$",
) -> Any:
    """The value of one strict JSON document.

    Args:
        text: The document.
        max_depth: Most levels of arrays and objects.
        max_values: Most values in it; None for any number.
        path: For errors.

    Raises:
        MMRawError: invalid_encoding, limit_exceeded, invalid_json, invalid_value (a number out of
            range), duplicate_key, in this order.
    """
    return read_json(text, max_depth=max_depth, max_values=max_values, path=path).check()


def read_json(
    text: str | bytes | memoryview,
    *,
    max_depth: int = MAX_DEPTH,
    max_values: int | None = None,
    path: str = "$",
) -> Document:
    """`parse_json` up to whether the text is JSON; `Document.check` does the rest.

    Raises:
        MMRawError: invalid_encoding, limit_exceeded, invalid_json.
    """
    data: str | bytes = utf8_of(text, path)
    # Before anything is built of it: a value takes many times the memory of its text.
    facts = scan(data, max_depth, max_values, path)
    if isinstance(text, str) and text.isascii():
        # The decoder reads ASCII strings as they are.
        data = text
    value: Any = _OUT_OF_RANGE
    with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
        value = _decode(data) if facts.has_exponent else _decode_simple.decode(data)
    if value is _OUT_OF_RANGE:
        _check_json(data, path)
    return Document(value, data, facts, path)


def parse_json_rows(data: bytes) -> list[dict[str, Any]] | None:
    """The values of lines that are one strict JSON object each, without blanks around them.

    None where one is anything else, or may be: the lines are read one by one then.
    """
    with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError, MMRawError):
        facts = scan(utf8_of(data, "$"), MAX_DEPTH, None, "$")
        if facts.has_exponent or not (data.startswith(b"{") and data.endswith(b"}")):
            return None
        rows = cast("list[dict[str, Any]]", _decode_simple.decode_lines(data))
        # A line break within a value, or two values on a line, would change one of the counts.
        if not len(rows) - 1 == data.count(b"\n") == data.count(b"}\n{"):
            return None
        # Rows without objects in them have as many keys as colons.
        if sum(map(len, rows)) != facts.colons or facts.has_big_integer:
            Document(rows, data, facts, "$").check()
        return rows
    return None


def _check_json(data: str | bytes, path: str) -> None:
    """Passes if only numbers that are out of range keep a text from being read.

    Raises:
        MMRawError: invalid_json, or invalid_encoding if only surrogates keep it from being JSON.
    """
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        return
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    text = data if isinstance(data, str) else str(data, "utf-8")
    if "\\ud" not in text and "\\uD" not in text:
        raise not_json(path, data)
    # The standard library's reader accepts lone surrogates. It takes long to import.
    import json

    has_surrogate = False
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_refuse)
        has_surrogate = True
    except (ValueError, RecursionError):
        pass
    if has_surrogate:
        message = "expected strings of whole characters, got a lone surrogate"
        raise MMRawError("invalid_encoding", message, path)
    raise not_json(path, data)


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _out_of_range(path: str) -> MMRawError:
    message = "expected numbers within 2^53-1 and the range of doubles, got one beyond"
    return MMRawError("invalid_value", message, path)


def _levels(value: Any) -> Iterator[list[Any]]:
    """The containers of a value that are not empty, level by level."""
    level: list[Any] = [value] if isinstance(value, CONTAINERS) else []
    while level:
        yield level
        level = [
            child
            for item in level
            # Long arrays are of numbers alone.
            if not SCALARS.issuperset(map(type, children := _children(item)))
            for child in children
            if child and isinstance(child, CONTAINERS)
        ]


def _children(item: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", item.values() if isinstance(item, dict) else item)


def _objects(level: list[Any]) -> list[dict[Any, Any]]:
    return [item for item in level if isinstance(item, dict)]


def has_tensor_key(value: Any) -> bool:
    """True if a key of processed tensors occurs at any depth."""
    return not all(
        TENSOR_KEYS.isdisjoint(item) for level in _levels(value) for item in _objects(level)
    )


def processed_payload(path: str) -> MMRawError:
    """The error for pixel_values and its like."""
    names = ", ".join(sorted(TENSOR_KEYS))
    return MMRawError("processed_payload", f"raw items must not contain {names}", path)


def check_json_value(
    value: Any, *, max_depth: int = MAX_DEPTH, max_values: int | None = None, path: str = "$"
) -> None:
    """Rejects what a strict text cannot hold: other types, odd keys, big integers, NaN, surrogates.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded.
    """
    level: list[Any] = [value]
    depth = count = 0
    while level:
        depth += 1
        count += len(level)
        if max_values is not None and count > max_values:
            raise too_many(max_values, path)
        below: list[Any] = []
        for item in level:
            children = _checked(item, path)
            if children is not None:
                if depth > max_depth:
                    raise too_deep(max_depth, path)
                below += children
        level = below


def _checked(item: Any, path: str) -> Iterable[Any] | None:
    """Returns the items of a container, None for a leaf.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding.
    """
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, str):
        _check_text(item, path)
    elif isinstance(item, dict):
        found = cast("dict[Any, Any]", item)
        for key in found:
            if not isinstance(key, str):
                message = "expected strings as keys of an object, got another key"
                raise MMRawError("invalid_type", message, path)
            _check_text(key, path)
        return found.values()
    elif isinstance(item, (list, tuple)):
        return cast("list[Any]", item)
    elif isinstance(item, int):
        if abs(item) > MAX_INTEGER:
            raise _out_of_range(path)
    elif not isinstance(item, float):
        raise MMRawError("invalid_type", "expected a JSON value, got one of another type", path)
    elif not math.isfinite(item):
        raise MMRawError("invalid_value", "expected a finite number, got NaN or Infinity", path)
    return None


def _check_text(text: str, path: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
        return
    except UnicodeEncodeError:
        pass
    message = "expected strings of whole characters, got a lone surrogate"
    raise MMRawError("invalid_encoding", message, path)


def canonical_json(value: Any, *, path: str = "$") -> str:
    """Canonical JSON: keys sorted by code point, `,` and `:`, non-ASCII escaped, finite numbers.

    Floats are written as Python's repr does (`1e+16`, `1.0`); an integer stays an integer. msgspec
    structs are written as the objects they represent.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded (nesting).
    """
    document = to_builtins(value)
    check_json_value(document, path=path)
    import json

    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_builtins(value: Any) -> Any:
    """Structs and tuples as the objects and lists of JSON; anything else as it is."""
    if isinstance(value, (msgspec.Struct, tuple)):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value
