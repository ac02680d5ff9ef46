"""Canonical base64: a text is accepted only if it is what an encoder would have written.

Decoders accept stray trailing bits and some accept blanks or the other alphabet, so several texts
would stand for the same bytes. Encoding what was decoded and comparing is what stops all of that.
"""

from __future__ import annotations

import binascii

from ..errors import MMRawError

try:
    from pybase64 import b64decode as _fast_decode
    from pybase64 import b64encode as _fast_encode
except ImportError:  # the extra `vision` brings it; the verdicts are the same without
    _fast_decode = None
    _fast_encode = None

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode_base64(data: bytes | memoryview) -> str:
    """Standard alphabet, with padding (RFC 4648, section 4)."""
    return _encode(data).decode("ascii")


def encode_base64url(data: bytes | memoryview) -> str:
    """URL alphabet, without padding (RFC 4648, section 5)."""
    return _encode(data).rstrip(b"=").translate(_TO_URL).decode("ascii")


def decode_base64(text: str | bytes | memoryview, path: str = "$") -> bytes:
    """The bytes of canonical standard base64; `invalid_base64` otherwise."""
    ascii_text = _ascii(text, path)
    data = _decode(ascii_text)
    if data is None or _encode(data) != ascii_text:
        raise MMRawError("invalid_base64", "not canonical base64 (standard alphabet, padded)", path)
    return data


def decode_base64url(text: str | bytes, path: str = "$") -> bytes:
    """The bytes of canonical unpadded base64url; `invalid_base64` otherwise."""
    url_text = _ascii(text, path)
    data = None
    if b"+" not in url_text and b"/" not in url_text and b"=" not in url_text:
        standard = url_text.translate(_FROM_URL) + b"=" * (-len(url_text) % 4)
        data = _decode(standard)
        if data is not None and _encode(data) != standard:
            data = None
    if data is None:
        raise MMRawError("invalid_base64", "not canonical base64url (no padding)", path)
    return data


def _ascii(text: str | bytes | memoryview, path: str) -> bytes:
    if isinstance(text, str):
        if text.isascii():
            return text.encode("ascii")
        raise MMRawError("invalid_base64", "base64 is plain ASCII", path)
    return bytes(text)


def _encode(data: bytes | memoryview) -> bytes:
    if _fast_encode is not None:
        return _fast_encode(data)
    return binascii.b2a_base64(data, newline=False)


def _decode(text: bytes) -> bytes | None:
    """The bytes, or None where the decoder itself refuses."""
    try:
        if _fast_decode is not None:
            return _fast_decode(text, validate=True)
        return binascii.a2b_base64(text)
    except ValueError:
        return None
