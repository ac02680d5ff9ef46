"""Strict reading and canonical writing of JSON.

The usual readers keep the last of duplicate keys, take NaN, lone surrogates and integers that other
languages round, and fall over deep nesting. Here all of that is refused.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn, TypedDict, cast

import msgspec

from .. import fastpath
from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError

#: Keys that may occur nowhere in a raw item: they would carry processed tensors.
PROCESSED_KEYS = frozenset({"pixel_values", "image_embeds", "image_features"})

#: Integers beyond are rounded by readers that hold numbers as doubles.
MAX_INTEGER = 2**53 - 1
#: Nesting of any document but a payload. Ours need six levels.
MAX_DEPTH = 256

# Compiled where it is used (and kept by re): the fast paths do without it.
_SURROGATE_ESCAPE = r"\\u[dD][89a-fA-F]"
#: Documents beyond this many bytes are read in a way that bounds memory.
LARGE = 1 << 18
#: What makes a lawful document large: strings that begin so and are of these characters alone.
_BULK_HEADS = ("data:", "mmraw:v3:")
_BULK_HEADS_BYTES = tuple(head.encode("ascii") for head in _BULK_HEADS)
_BULK_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-:;,\\"
_BULK_LENGTH = 4096
_CHUNK = 1 << 16


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
    raise MMRawError("invalid_json", "not one strict JSON document", path)


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
    rest = _set_aside(text)
    if max_text is not None and len(rest) > max_text:
        message = f"more than {max_text} bytes beside the base64 of images"
        raise MMRawError("limit_exceeded", message, path)
    escape = "\\u" if isinstance(rest, str) else b"\\u"
    if len(rest) > LARGE and not (rest.isascii() and escape not in rest):  # pyright: ignore[reportOperatorIssue]
        # Text beyond Latin takes up to four bytes a character, once for the document and once more.
        message = f"more than {LARGE} bytes of text that is not plain ASCII"
        raise MMRawError("limit_exceeded", message, path)
    _read(rest, max_depth, max_values, path)


def _set_aside(text: str | bytes | memoryview) -> str | bytes:
    """The document with the text of each inline image and ref replaced by its length and checksum.

    The strict reader then works on little text. Equal strings, and so equal keys, stay equal.
    """
    if isinstance(text, str):
        return "".join(_without_bulk(text, '"', _BULK_HEADS))
    return b"".join(_without_bulk(bytes(text), b'"', _BULK_HEADS_BYTES))


def _without_bulk(text: Any, quote: Any, heads: Any) -> Iterator[Any]:
    kept = at = 0
    while (at := text.find(quote, at) + 1) > 0:
        if not text.startswith(heads, at):
            continue
        end = text.find(quote, at)
        if end - at < _BULK_LENGTH or (checksum := _plain_checksum(text, at, end)) is None:
            continue
        yield text[kept:at]
        token = f"{end - at}:{checksum}"
        yield token if isinstance(text, str) else token.encode("ascii")
        kept = at = end
    yield text[kept:] if kept else text


def _plain_checksum(text: str | bytes, start: int, end: int) -> int | None:
    """A checksum of text[start:end]; None where it holds what the strict reader must see."""
    if text[end - 1 : end] in ("\\", b"\\"):
        return None
    checksum = 0
    for at in range(start, end, _CHUNK):
        # One character more, so that no escape is cut in two.
        part = text[at : min(at + _CHUNK + 1, end)]
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part
        if data.translate(None, _BULK_CHARACTERS) or (b"\\" in data and b"\\u" in data):
            return None
        checksum = zlib.crc32(data, checksum)
    return checksum


def _read(text: str | bytes | memoryview, max_depth: int, max_values: int | None, path: str) -> Any:
    document = text if isinstance(text, str) else _utf8(text, path)
    if max_values is not None:
        _check_values(document, max_values, path)
    _check_depth(document, max_depth, path)
    if fastpath.enabled:
        plain = _parse_plainly(document)
        if plain is not _BROKEN:
            return plain
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

#: What may be an integer beyond 2^53-1 or a number beyond the range of doubles.
_RISKY = r"[0-9]{16}|[eE]\+?[0-9]{3}"


def _parse_plainly(document: str) -> Any:
    """The value of a text without escapes, long numbers and doubled keys; _BROKEN for any other.

    Without escapes each key and each string has two quotes, so that a key that stands twice, and is
    lost, is missed when the value is written again. A large text would cost more than three times
    its size that way.
    """
    if len(document) > LARGE or "\\" in document or not document.isascii():
        return _BROKEN
    # Without escapes every second piece between quotes is outside of strings.
    if re.search(_RISKY, " ".join(document.split('"')[::2])):
        return _BROKEN
    try:
        value = msgspec.json.decode(document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _BROKEN
    if msgspec.json.encode(value).count(b'"') != document.count('"'):
        return _BROKEN
    return value


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
    for start, end in _outside_strings(text):
        for at in range(start, end):
            char = text[at]
            if char in "[{":
                depth += 1
                if depth > limit:
                    message = f"nested deeper than {limit} levels"
                    raise MMRawError("limit_exceeded", message, path)
            elif char in "]}":
                depth -= 1


def _check_values(text: str, limit: int, path: str) -> None:
    """Counts what stands before values, for each costs many times its length once it is read."""
    if sum(text.count(mark) for mark in ",[{") <= limit:
        return
    count = 0
    for start, end in _outside_strings(text):
        count += sum(text.count(mark, start, end) for mark in ",[{")
        if count > limit:
            raise MMRawError("limit_exceeded", f"more than {limit} values", path)


def _outside_strings(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every stretch that is in no string."""
    at = 0
    while True:
        quote = text.find('"', at)
        yield at, quote if quote >= 0 else len(text)
        if quote < 0:
            return
        end = text.find('"', quote + 1)
        while end >= 0 and _is_escaped(text, end):
            end = text.find('"', end + 1)
        if end < 0:
            return
        at = end + 1


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


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
