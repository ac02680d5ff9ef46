"""What searches over a whole JSON text tell of it, without a value built and without a Python loop.

- msgspec passes over a value that nobody asked for, and refuses what is no JSON as well as lone
  surrogates. It lets pass integers beyond 2^53-1, numbers beyond doubles and keys that occur twice.
- Cut at its quotes, every second piece of a text is in no string. Numbers are searched there, and
  a string before a colon is a key.
- Whatever is not plain by this (escaped keys, two kinds of faults in one text) is left to a reader
  that goes by the order of the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from ..errors import MMRawError

#: Integers beyond are rounded by readers that hold numbers as doubles.
MAX_INTEGER = 2**53 - 1

#: A text is cut in windows of so many bytes, and a little more: the pieces take some memory.
WINDOW = 1 << 16
#: Brackets are counted in blocks; one by one only in a block that could hold the excess.
_BLOCK = 64
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")
#: All digits alike.
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG = b"0" * 16
# Compiled where it is used (and kept by re): few texts have such numbers.
_SUSPECT_NUMBER = rb"[0-9][0-9.eE+-]{15,}|[0-9][0-9.]*[eE]\+?[0-9]{3,}"
#: Pieces are looked at one by one up to this many; a value is built faster than that of more.
_FEW = 128
_SPACE = b" \t\r\n"

_pass_over = msgspec.json.Decoder(msgspec.Raw).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)

#: No verdict: the order of the text decides, or something is not plain.
UNSURE: Final = "unsure"


def is_json(data: bytes) -> bool:
    """Whether UTF-8 text is one JSON document without lone surrogates."""
    try:
        _pass_over(data)
    except _Refusal:
        return False
    return True


def cut(data: bytes) -> list[bytes] | None:
    """The text cut at the quotes of its strings: outside, a string, outside, and so on.

    None where a backslash outside strings makes that unclear: the text is no JSON.
    """
    if b"\\" not in data or b'\\"' not in data:
        # No quote is escaped.
        return data.split(b'"')
    # No string of JSON holds these bytes: strings that differ differ still.
    data = data.replace(b"\\\\", b"\0\0")
    data = data.replace(b'\\"', b"\0\1")
    pieces = data.split(b'"')
    outside = b"".join(pieces[::2])
    return None if b"\\" in outside or b"\0" in outside else pieces


def outside_strings(data: bytes) -> Iterator[bytes]:
    """What stands in no string, block by block."""
    first = at = 0
    while at < len(data):
        end = min(at + WINDOW, len(data))
        # No escape is cut in two.
        while end < len(data) and data[end - 1] == ord("\\"):
            end += 1
        window = data[at:end]
        pieces = cut(window if not first else b'"' + window)
        if pieces is None:
            yield b"".join(data[start:stop] for start, stop in _stretches(data, at, bool(first)))
            return
        yield b'"'.join(pieces[::2])
        # An even number of pieces ends within a string, in which the next window begins.
        first = (len(pieces) + 1) % 2
        at = end


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
    opened = data.count(b"[") + data.count(b"{")
    if opened <= limit:
        return False
    # Of brackets that close at once, none holds another: without them there is one level less.
    if opened - data.count(b"[]") - data.count(b"{}") < limit:
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


def holds_more(data: bytes, limit: int) -> bool:
    """Whether more than `limit` marks stand before values: commas and opening brackets."""
    if len(data) <= limit or data.count(b",") + data.count(b"[") + data.count(b"{") <= limit:
        return False
    count = 0
    for part in outside_strings(data):
        count += part.count(b",") + part.count(b"[") + part.count(b"{")
        if count > limit:
            return True
    return False


class Cut(NamedTuple):
    """A text cut at the quotes of its strings, and its strings, each once."""

    pieces: list[bytes]
    strings: set[bytes]


def fault(data: bytes, parts: Cut, path: str) -> MMRawError | str | None:
    """What is wrong with JSON text (see `is_json`) that was cut: None, the one fault, `UNSURE`."""
    number = None
    if has_long_numbers(data):
        outside = b'"'.join(parts.pieces[::2])
        if has_long_numbers(outside) and (has_long_integers(outside) or not _can_decode(data)):
            number = _number_fault(outside, path)
    twice = _holds_key_twice(data, parts)
    if twice is None or (twice and number is not None):
        return UNSURE
    if twice:
        return MMRawError("duplicate_key", "an object holds the same key twice", path)
    return number


def keys(pieces: list[bytes]) -> list[bytes] | None:
    """The keys of a text that was cut; None where one is escaped, or strings are many."""
    if len(pieces) > _FEW:
        return None
    followed = zip(pieces[1::2], pieces[2::2], strict=False)
    found = [text for text, after in followed if after.lstrip(_SPACE).startswith(b":")]
    together = b"".join(found)
    return None if b"\\" in together or b"\0" in together else found


def number_fault(digits: str, path: str) -> MMRawError | None:
    """Why a number of JSON is refused."""
    if not digits.lstrip("-").isdigit():
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
    """Whether digits stand so that a number may be beyond doubles, or an integer beyond 2^53-1.

    Exponents of two digits are enough where the digits before them are more than 200.
    """
    alike = text.translate(_ALIKE, b"+")
    return _LONG in alike or (b"e" in alike and b"e000" in alike)


def _can_decode(data: bytes) -> bool:
    """Whether msgspec makes a value of it; it refuses numbers beyond doubles."""
    try:
        _decode(data)
    except _Refusal:
        return False
    return True


def _number_fault(outside: bytes, path: str) -> MMRawError | None:
    for match in re.finditer(_SUSPECT_NUMBER, outside):
        start = match.start()
        sign = "-" if start and outside[start - 1] == ord("-") else ""
        found = number_fault(sign + match.group().decode("ascii"), path)
        if found is not None:
            return found
    return None


def _holds_key_twice(data: bytes, parts: Cut) -> bool | None:
    """Whether an object holds a key twice; None where this does not tell."""
    if b"\\" not in data and len(parts.strings) == len(parts.pieces) // 2:
        return False
    found = keys(parts.pieces)
    if found is not None and len(set(found)) == len(found):
        return False
    if b"\\u003" in data:
        return None
    # Each key has its colon. What is read keeps one of equal keys: fewer colons are written again.
    try:
        return _encode(_decode(data)).count(b":") != data.count(b":")
    except _Refusal:
        return None
