"""Facts about a JSON text that need no decoding.

A text is cut at its quotes. The text outside of strings shows how many values and keys it has, how
deep they nest, and whether a number is long: a value takes many times the memory of its text.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

import msgspec

from .errors import MMRawError

#: Integers beyond are rounded by readers that hold numbers as doubles.
MAX_INTEGER = 2**53 - 1
#: A document with more text than this beyond ASCII could take four times its length as strings.
MAX_WIDE_TEXT = 1 << 18
#: Long texts are worked on piece by piece.
_WINDOW = 1 << 16

_NO_SIGNS = bytes(set(range(256)) - set(b",:[]{}"))
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
#: 16 digits or more, each a 0. A literal beginning is searched for much faster than a repetition.
_LONG = b"0" * 16
_LONG_NUMBER = re.compile(_LONG + b"0*")
_FRACTION = (b".", b"e", b"E")
#: Patterns of the position in msgspec's messages.
_BYTE = re.compile(r"\(byte (\d+)\)\Z")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Facts(NamedTuple):
    """Facts about the text outside of strings.

    Attributes:
        marks: Commas and opening brackets: about as many as values.
        colons: As many as keys.
        has_big_integer: Whether an integer is beyond 2^53-1, under any key.
        has_exponent: Whether a number has an exponent.
    """

    marks: int
    colons: int
    has_big_integer: bool
    has_exponent: bool


def utf8_of(text: str | bytes | memoryview, path: str) -> bytes:
    """The text as UTF-8.

    Raises:
        MMRawError: invalid_encoding (not UTF-8, a lone surrogate, a byte order mark).
    """
    data: bytes | None = None
    try:
        if isinstance(text, str):
            data = _encoded(text)
        else:
            data = bytes(text)
            if not data.isascii():
                _check_utf8(data)
    except UnicodeError:
        data = None
    if data is None:
        message = "expected UTF-8, got other bytes or a lone surrogate"
        raise MMRawError("invalid_encoding", message, path)
    if data.startswith(b"\xef\xbb\xbf"):
        raise MMRawError("invalid_encoding", "expected JSON, got a byte order mark before it", path)
    return data


def _encoded(text: str) -> bytes:
    # At once, an encoder takes four bytes for each character of a text beyond Latin.
    if text.isascii() or len(text) <= _WINDOW:
        return text.encode("utf-8")
    return b"".join(text[at : at + _WINDOW].encode("utf-8") for at in range(0, len(text), _WINDOW))


def _check_utf8(data: bytes) -> None:
    # At once, a decoded text may take four times the memory.
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(data), _WINDOW):
        decoder.decode(data[at : at + _WINDOW])
    decoder.decode(b"", final=True)


def scan(data: bytes, max_depth: int, max_values: int | None, path: str) -> Facts:
    """Facts about a text without its strings.

    Raises:
        MMRawError: invalid_json (a backslash outside of strings), limit_exceeded (values, nesting,
            text beyond ASCII).
    """
    text, escaped = data, b"\\" in data
    if escaped:
        # No UTF-8 holds these bytes. All positions stay as they are.
        data = data.replace(b"\\\\", b"\xff\xff").replace(b'\\"', b"\xff\xff")
    # Each value has at most one key, and each string two quotes.
    if max_values is not None and data.count(b'"') > 4 * max_values + 4:
        raise too_many(max_values, path)
    if max_values is not None and _wide_bytes(text, data) > MAX_WIDE_TEXT:
        message = f"expected at most {MAX_WIDE_TEXT} bytes of strings beyond ASCII, got more"
        raise MMRawError("limit_exceeded", message, path)
    structure = _outside_strings(data)
    if escaped and (b"\\" in structure or b"\xff" in structure):
        raise not_json(path, text)
    has_big_integer, has_exponent = _numbers(structure)
    # Blanks and digits may be millions: what is counted is cut out of them once.
    signs = structure.translate(None, _NO_SIGNS)
    del structure
    marks = signs.count(b",") + signs.count(b"[") + signs.count(b"{")
    if max_values is not None and marks > max_values:
        raise too_many(max_values, path)
    _check_depth(signs, max_depth, path)
    return Facts(marks, signs.count(b":"), has_big_integer, has_exponent)


def _numbers(structure: bytes) -> tuple[bool, bool]:
    """Tells whether an integer is too big, and whether a number has an exponent."""
    digits = structure.translate(_DIGITS)
    return _has_big_integer(structure, digits), b"0e" in digits or b"0E" in digits


def _has_big_integer(structure: bytes, digits: bytes) -> bool:
    """A decoder keeps one of equal keys, and a double of a long number; the text has them all."""
    if _LONG not in digits.replace(b"." + _LONG, b""):
        # The usual long numbers are fractions.
        return False
    for found in _LONG_NUMBER.finditer(digits):
        start, end = found.span()
        # Fractions and exponents of that length are common, as in log-probabilities.
        before = structure[max(start - 2, 0) : start].rstrip(b"+-")[-1:]
        if before in _FRACTION or structure[end : end + 1] in _FRACTION:
            continue
        if end - start > 16 or int(structure[start:end]) > MAX_INTEGER:
            return True
    return False


def _outside_strings(data: bytes) -> bytes:
    outside: list[bytes] = []
    inside = 0
    for at in range(0, len(data), _WINDOW):
        pieces = data[at : at + _WINDOW].split(b'"')
        outside.append(b"".join(pieces[inside::2]))
        inside ^= (len(pieces) - 1) & 1
    return b"".join(outside)


def _wide_bytes(text: bytes, data: bytes) -> int:
    """Bytes of strings that may take more than a byte for each character once they are decoded.

    `data` is `text` with its escaped quotes replaced.
    """
    # One byte is found ten times as fast as two.
    is_narrow = text.isascii() and (b"\\" not in text or b"\\u" not in text)
    if is_narrow or len(text) <= MAX_WIDE_TEXT:
        return 0
    count = at = 0
    while (start := data.find(b'"', at)) >= 0:
        end = data.find(b'"', start + 1)
        end = len(data) if end < 0 else end
        string = text[start:end]
        if not string.isascii() or b"\\u" in string:
            count += end - start
        at = end + 1
    return count


def _check_depth(signs: bytes, max_depth: int, path: str) -> None:
    opened = signs.count(b"[") + signs.count(b"{")
    if opened <= max_depth:
        return
    depth = 0
    for bracket in signs.translate(None, b",:"):
        depth += _STEPS[bracket]
        if depth > max_depth:
            raise too_deep(max_depth, path)


def too_deep(max_depth: int, path: str) -> MMRawError:
    """The error for deeper nesting."""
    message = f"expected at most {max_depth} levels of nesting, got more"
    return MMRawError("limit_exceeded", message, path)


def too_many(max_values: int, path: str) -> MMRawError:
    """The error for more values."""
    message = f"expected at most {max_values} JSON values, got more"
    return MMRawError("limit_exceeded", message, path)


def _place_in(fault: str, size: int) -> str:
    """Returns the position at which a text of `size` bytes is wrong, from msgspec's message."""
    place = _BYTE.search(fault)
    if place is None:
        return f"one that is cut off after {size} bytes"
    # It counts from 0, but behind the first byte of what follows a document.
    is_behind = "trailing characters" in fault
    return f"something else at byte {int(place[1]) + (not is_behind)}"


def not_json(path: str, data: str | bytes) -> MMRawError:
    """The error for text that is not JSON, also NaN and Infinity, with the position."""
    told = "a text that is none"
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        told = _place_in(str(error), len(data))
    except (ValueError, RecursionError):
        pass
    return MMRawError("invalid_json", f"expected a valid JSON document; got {told}", path)
