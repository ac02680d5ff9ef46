"""What searches over a whole JSON text tell of it, without a value built and without a Python loop.

- msgspec passes over a value that nobody asked for, and refuses what is no JSON as well as escapes
  of lone surrogates. It lets pass integers beyond 2^53-1, numbers beyond doubles and keys that
  occur twice.
- Cut at its quotes, every second piece of a text is in no string. Numbers are searched there.
- What is read keeps one of equal keys: written again, the text has fewer colons.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgspec

from .errors import MMRawError

#: Integers beyond are rounded by readers that hold numbers as doubles.
MAX_INTEGER = 2**53 - 1

#: A text is cut in windows of so many bytes, and a little more: the pieces take some memory.
WINDOW = 1 << 16
#: Brackets are counted in blocks; one by one only in a block that could hold the excess.
_BLOCK = 128
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")
_NO_OPENING = bytes(range(256)).translate(None, b"[{")
#: All but what stands before values.
_NO_MARKS = bytes(range(256)).translate(None, b",[{")
#: All digits alike; behind a plus as behind the letter of an exponent.
_ALIKE = bytes.maketrans(b"123456789E+", b"000000000ee")
_LONG = b"0" * 16
#: All that ends a number alike.
_TOKENS = bytes.maketrans(b'[]{}:" \t\r\n', b",,,,,,,,,,")
_SURROGATE = rb"\xed[\xa0-\xbf][\x80-\xbf]"
_ESCAPED_COLON = rb"\\u003[aA]"

_pass_over = msgspec.json.Decoder(msgspec.Raw).decode
_decode = msgspec.json.Decoder(float_hook=str).decode
_encode = msgspec.json.Encoder().encode
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)


def is_json(data: bytes) -> bool:
    """Whether text is one JSON document in UTF-8 without lone surrogates."""
    try:
        _pass_over(data)
    except _Refusal:
        return False
    # What is passed over may be any bytes.
    return is_utf8(data)


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, by windows: as text they may take four times the memory."""
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), WINDOW):
            decoder.decode(data[at : at + WINDOW])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def broken(data: bytes, path: str) -> MMRawError:
    """Why text is refused by `is_json`; nothing but surrogates may keep it from being UTF-8."""
    if b"\\u" in data or b"\xed" in data:
        # Without its surrogates it may be JSON. An escaped backslash begins no other escape.
        rest = data.replace(b"\\\\", b"__").replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")
        rest = re.sub(_SURROGATE, b"_", rest) if b"\xed" in rest else rest
        if is_json(rest):
            return MMRawError("invalid_encoding", "a string holds a lone surrogate", path)
    return not_json(path)


def not_json(path: str) -> MMRawError:
    """The error for text that is no JSON, NaN and Infinity among it."""
    return MMRawError("invalid_json", "not one strict JSON document", path)


def key_twice(path: str) -> MMRawError:
    """The error for an object that holds a key twice."""
    return MMRawError("duplicate_key", "an object holds the same key twice", path)


def _cut(data: bytes) -> list[bytes]:
    """JSON text cut at the quotes of its strings: outside, a string, outside, and so on."""
    if b"\\" not in data or b'\\"' not in data:
        # No quote is escaped.
        return data.split(b'"')
    # No string of JSON holds these bytes: strings that differ differ still.
    if b"\\\\" in data:
        data = data.replace(b"\\\\", b"\0\0")
    return data.replace(b'\\"', b"\0\1").split(b'"')


def _is_clear(pieces: list[bytes]) -> bool:
    """Whether a text that may be no JSON was cut at the right quotes: no escape is outside."""
    outside = b"".join(pieces[::2])
    return b"\\" not in outside and b"\0" not in outside


def outside_strings(
    data: bytes, window_size: int | None = None, is_json: bool = False
) -> Iterator[bytes]:
    """What stands in no string, window by window, from a small one on if `window_size` says so.

    `is_json` says that the text is JSON.
    """
    size = window_size or WINDOW
    first = at = 0
    while at < len(data):
        end = min(at + size, len(data))
        # No escape is cut in two.
        while end < len(data) and data[end - 1] == ord("\\"):
            end += 1
        window = data[at:end]
        pieces = _cut(window if not first else b'"' + window)
        if not is_json and b'\\"' in window and not _is_clear(pieces):
            yield b"".join(data[start:stop] for start, stop in _stretches(data, at, bool(first)))
            return
        yield b'"'.join(pieces[::2])
        # An even number of pieces ends within a string, in which the next window begins.
        first = (len(pieces) + 1) % 2
        at = end
        size = min(4 * size, WINDOW)


def _stretches(data: bytes, at: int, is_inside: bool) -> Iterator[tuple[int, int]]:
    """Start and end of every stretch behind `at` that is in no string, found one by one."""
    quote = at - 1 if is_inside else -1
    while True:
        if not is_inside:
            quote = data.find(b'"', at)
            yield at, quote if quote >= 0 else len(data)
            if quote < 0:
                return
        is_inside = False
        end = data.find(b'"', quote + 1)
        while end >= 0 and _is_escaped(data, end, quote + 1):
            end = data.find(b'"', end + 1)
        if end < 0:
            return
        at = end + 1


def _is_escaped(data: bytes, at: int, start: int) -> bool:
    before = at
    while before > start and data[before - 1] == ord("\\"):
        before -= 1
    return (at - before) % 2 == 1


def is_deeper(data: bytes, limit: int) -> bool:
    """Whether brackets open more than `limit` levels, counted before any parser recurses."""
    opened = len(data.translate(None, _NO_OPENING))
    if opened <= limit:
        return False
    # Of brackets that close at once, none holds another: without them there is one level less.
    if 4 * opened > len(data) and opened - data.count(b"[]") - data.count(b"{}") < limit:
        return False
    depth = 0
    for part in outside_strings(data):
        brackets = part.translate(None, _NO_BRACKETS)
        for at in range(0, len(brackets), _BLOCK):
            block = brackets[at : at + _BLOCK]
            opened = block.count(b"[") + block.count(b"{")
            if depth + opened > limit:
                steps = map(_STEPS.__getitem__, block)
                if max(accumulate(steps, initial=depth)) > limit:
                    return True
            depth += 2 * opened - len(block)
    return False


def holds_more(data: bytes, limit: int, is_json: bool = False) -> bool:
    """Whether more than `limit` marks stand before values: commas and opening brackets."""
    if len(data) <= limit or len(data.translate(None, _NO_MARKS)) <= limit:
        return False
    count = 0
    # Where there are too many, the first window may show it; escaped quotes are cut out at once.
    window_size = WINDOW if b'\\"' in data else min(WINDOW, 8 * limit)
    for part in outside_strings(data, window_size, is_json):
        count += len(part.translate(None, _NO_MARKS))
        if count > limit:
            return True
    return False


def fault(data: bytes, path: str) -> MMRawError | None:
    """What is wrong with JSON text (see `is_json`): its numbers, else its keys."""
    found = number_fault_of(data, path)
    if found is not None:
        return found
    if b"\\" not in data:
        pieces = _cut(data)
        if len(set(pieces[1::2])) == len(pieces) // 2:
            return None
    return key_twice(path) if holds_key_twice(data, build(data)) else None


def number_fault_of(data: bytes, path: str) -> MMRawError | None:
    """The fault of a number in JSON text, where one is out of range."""
    alike = data.translate(_ALIKE)
    # From its end, such a text is searched in half the time.
    has_long_exponent = alike.rfind(b"e000") >= 0
    # Cutting the text takes longest: what stands in strings is looked at, too, at first.
    if not has_long_exponent and (_LONG not in alike or not _suspects(data, False)):
        return None
    outside = b'"'.join(_cut(data)[::2])
    found = (number_fault(token, path) for token in _suspects(outside, has_long_exponent))
    return next(filter(None, found), None)


def _suspects(text: bytes, has_long_exponent: bool) -> list[bytes]:
    """The numbers of a text that may be out of range."""
    tokens = text.translate(_TOKENS).split(b",")
    if has_long_exponent:
        return [token for token in tokens if len(token) > 4 and token[-1:].isdigit()]
    # With fewer digits, no number with a shorter exponent is beyond doubles.
    return [
        t
        for t in tokens
        if len(t) > 15
        and (t.lstrip(b"-").isdigit() if len(t) <= 200 else not 0 < t.find(b".") <= 200)
    ]


def is_spelt_as_key(name: bytes, data: bytes) -> bool:
    """Whether JSON text holds a key of that name, spelt without escapes."""
    if name not in data:
        return False
    found = re.finditer(b'"' + name + rb'"[ \t\r\n]*:', data)
    # What stands before the quote that opens a string is no backslash.
    return any(data[match.start() - 1] != ord("\\") for match in found)


def number_fault(digits: bytes, path: str) -> MMRawError | None:
    """Why a number of JSON is refused."""
    if not digits.lstrip(b"-").isdigit():
        if not math.isinf(float(digits)):
            return None
        return MMRawError("invalid_value", "a number is beyond the range of doubles", path)
    # The length bounds the cost: a long run of digits would take quadratic time.
    if len(digits) <= 17 and abs(int(digits)) <= MAX_INTEGER:
        return None
    return MMRawError("invalid_value", "an integer is beyond 2^53-1", path)


def has_long_integers(text: bytes) -> bool:
    """Whether digits stand in a row that may be an integer beyond 2^53-1."""
    return _LONG in text.translate(_ALIKE)


def has_long_numbers(text: bytes) -> bool:
    """Whether digits stand so that a number may be beyond doubles, or an integer beyond 2^53-1."""
    alike = text.translate(_ALIKE)
    return _LONG in alike or b"e000" in alike


def build(data: bytes) -> Any:
    """The value of JSON text whose numbers are in range, floats as text: some take long to read."""
    return _decode(data)


def holds_key_twice(data: bytes, value: Any, keys: int | None = None) -> bool:
    """Whether JSON text, of which `build` made the value, holds a key twice in one object.

    `keys` is the number of keys in the value, where it is known.
    """
    # Each key has its colon.
    colons = data.count(b":")
    if colons == keys:
        return False
    # Colons in strings are written as they are.
    if b"\\" in data and b"u003" in data:
        colons += len(re.findall(_ESCAPED_COLON, data.replace(b"\\\\", b"")))
    return _encode(value).count(b":") != colons
