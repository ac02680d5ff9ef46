"""Canonical base64: a text is accepted only if it is what an encoder would have written.

Decoders accept stray trailing bits, some skip characters outside the alphabet, some read on
after the padding: several texts would represent the same bytes. Three checks without a second pass
prevent this with any decoder: padding is only at the end; the last character carries no stray
bits; and no character was skipped, since each makes its share of the bytes.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any, cast

from .errors import MMRawError

_TO_URL = bytes.maketrans(b"+/", b"-_")

_ANY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
#: By the length of an unpadded text modulo 4: the padding that it lacks, and its last character,
#: whose bits beyond the last byte are zero.
PADDING = ("", "", "==", "=")
LAST = (_ANY, "", "AQgw", "AEIMQUYcgkosw048")
#: Characters that are decoded at a time if a text is long; a multiple of 48.
PIECE = 3 << 15

try:
    import pybase64 as _pybase64
except ImportError:  # the extra `vision` brings it; the verdicts are the same without
    _pybase64 = None


def _standard_decode(text: str | bytes, _: None = None, __: bool = True) -> bytes:
    return binascii.a2b_base64(text)


def _standard_encode(data: bytes | memoryview) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


_decode: Callable[[str | bytes, None, bool], bytes] = (
    _standard_decode if _pybase64 is None else cast(Any, _pybase64.b64decode)
)
#: Standard alphabet, with padding (RFC 4648, section 4). The encoder itself: it is called most.
encode_base64: Callable[[bytes | memoryview], str] = (
    _standard_encode if _pybase64 is None else _pybase64.b64encode_as_string
)


def encode_base64url(data: bytes | memoryview) -> str:
    """URL alphabet, without padding (RFC 4648, section 5)."""
    text = encode_base64(data).rstrip("=")
    if "+" in text or "/" in text:
        return text.encode("ascii").translate(_TO_URL).decode("ascii")
    return text


def decode_base64(text: str, path: str = "$") -> bytes:
    """The bytes of canonical standard base64; `invalid_base64` otherwise."""
    data = decode_standard(text)
    if data is None:
        raise not_standard(text, path)
    return data


def not_standard(text: str, path: str, start: int = 0) -> MMRawError:
    """The error for text[start:] that is not canonical standard base64, with the position."""
    message = f"expected standard base64 with padding; {_fault(text, start, url=False)}"
    return MMRawError("invalid_base64", message, path)


#: Kinds of first characters outside the alphabet.
_STRAYS = (
    ("\r\n", "a line break"),
    (" \t", "a blank"),
    ("=", "padding"),
    ("+/", "a letter of the standard alphabet"),
    ("-_", "a letter of the URL alphabet"),
    (".\u2026", "dots, as where a text was cut off,"),
    ("%", "a percent escape"),
    ("\\", "an escape"),
    ("\"'`", "a quote"),
)
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9_-]*")
_STANDARD_CHARACTERS = re.compile(r"[A-Za-z0-9+/]*(?:={1,2}(?=\Z))?")


def _fault(text: str, start: int, *, url: bool) -> str:
    """Says what keeps text[start:] from being canonical: the kind and the place, never the text.

    Characters are counted from 1, from the beginning of `text`.
    """
    match = (_URL_CHARACTERS if url else _STANDARD_CHARACTERS).match(text, start)
    end = start if match is None else match.end()
    if end < len(text):
        stray = text[end]
        kinds = (kind for letters, kind in _STRAYS if stray in letters)
        other = "a character of no alphabet" if stray.isascii() else "a character beyond ASCII"
        return f"got {next(kinds, other)} at character {end + 1}"
    size = len(text) - start
    if url and size % 4 != 1:
        return f"got stray bits in the last character, {end}: it was cut off or altered there"
    if size % 4:
        return f"got {size} characters, which is no length of it: it was cut off or altered"
    padding = 2 if text.endswith("==") else 1
    return f"got stray bits before the padding, at character {len(text) - padding}"


def decode_standard(text: str, start: int = 0) -> bytes | None:
    """The bytes of canonical standard base64 at text[start:]; None otherwise."""
    size = len(text) - start
    if size & 3:
        return None
    padding = 0
    if size and text[-1] == "=":
        padding = 2 if text[-2] == "=" else 1
        if text[-1 - padding] not in LAST[4 - padding]:
            return None
    # Piece by piece: what stays within the processor's cache is not written to memory twice.
    pieces: list[bytes] = []
    for at in range(start, len(text), PIECE):
        piece = attempt(text[at : at + PIECE])
        if piece is None:
            return None
        pieces.append(piece)
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return data if len(data) == size // 4 * 3 - padding else None


def decode_base64url(text: str, path: str = "$", start: int = 0) -> bytes:
    """The bytes of canonical unpadded base64url at text[start:].

    Raises:
        MMRawError: invalid_base64.
    """
    data = decode_url(text, start)
    if data is None:
        message = f"expected base64url without padding; {_fault(text, start, url=True)}"
        raise MMRawError("invalid_base64", message, path)
    return data


def decode_url(text: str, start: int = 0) -> bytes | None:
    """The bytes of canonical unpadded base64url at text[start:]; None otherwise."""
    text = text[start:]
    if "+" in text or "/" in text:
        return None
    size = len(text)
    rest = size & 3
    if size and text[-1] not in LAST[rest]:
        return None
    # One name for all copies, so that each goes before the next but one comes.
    text += PADDING[rest]
    size = size * 3 // 4
    try:
        data = _decode(text, None, True)
        if len(data) == size:
            return data
    except ValueError:
        pass
    # `-` and `_` are rare if JSON was encoded; only if they occur are they translated.
    if "-" not in text and "_" not in text:
        return None
    data = None
    text = text.replace("-", "+")
    text = text.replace("_", "/")
    data = attempt(text)
    return data if data is not None and len(data) == size else None


def attempt(text: str | bytes) -> bytes | None:
    """Returns what the decoder makes of the text; too few bytes if it skipped characters."""
    try:
        return _decode(text, None, True)
    except ValueError:
        return None
