"""Images as text where messages come in: data: URLs and base64 in all spellings.

What is read here is encoded again before it goes on. The data: URLs of refs and envelopes have one
spelling (wire/data_url.py).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ..wire._generated.limits import Limits
from ..wire._generated.messages import LOOKS_BYTE_SIGNATURES, LOOKS_SIGNATURES
from ..wire._generated.modalities import MEDIA_TYPES
from ..wire.base64 import PADDING, decode_standard
from ..wire.errors import MMRawError
from ..wire.modality import unsupported

#: A text is base64 rather than a word or a path from this many characters on: no shorter text is
#: an image.
LEAST_TEXT = 48
#: Hexadecimal digits are an image rather than a hash from this many on.
_LEAST_HEX = 130
_LONGEST_HEAD = 1024
#: Bytes of an image that its signature is looked for in, and characters of base64 of them.
HEAD_BYTES = 512
_HEAD_TEXT = 800
BLANKS = " \t\r\n\f\v"
_ALPHABET = re.compile(r"[A-Za-z0-9+/_= \t\r\n\f\v-]*\Z")
_HEX = re.compile(rf"(?:0x|\\x)?([0-9A-Fa-f]{{{_LEAST_HEX},1024}})")
_SIGNATURE = re.compile("|".join(LOOKS_SIGNATURES))
_OF_BYTES = re.compile("|".join((*LOOKS_SIGNATURES, *LOOKS_BYTE_SIGNATURES)))
_STANDARD = str.maketrans("-_", "+/")
_SPACE = {ord(char): None for char in " \t\r\n\f\v"} | _STANDARD
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def is_url(text: str) -> bool:
    """True if a text begins with a scheme; no base64 does, and no path with one letter."""
    return _SCHEME.match(text, 0, 64) is not None


def begins_as_image(head: bytes) -> bool:
    """True if bytes begin as those of an image, of a format that is read here or of another."""
    return _OF_BYTES.match(head[:HEAD_BYTES].hex()) is not None


def is_base64_image(text: str) -> bool:
    """True if a text is base64 that begins as an image does."""
    start = text[:4096].lstrip(BLANKS)
    if len(start) < LEAST_TEXT or _ALPHABET.match(start) is None:
        return False
    body = "".join(start[:_HEAD_TEXT].split()).translate(_STANDARD).partition("=")[0]
    head = decode_standard(body[: len(body) // 4 * 4]) or b""
    return _SIGNATURE.match(head[:HEAD_BYTES].hex()) is not None


def is_text_of_image(text: str) -> bool:
    """True if a text is base64, a data: URL or hexadecimal digits of an image."""
    start = text[:_LONGEST_HEAD].lstrip(BLANKS)
    digits = _HEX.match(start)
    if digits is not None:
        return _SIGNATURE.match(digits.group(1).lower()) is not None
    if start[:5].lower() == "data:" and "," in start:
        body = text.index(",") + 1
        return is_base64_image(text[body : body + 4096])
    return is_base64_image(text)


def decode_data_url(text: str, limits: Limits, path: str) -> bytes:
    """The bytes of a data: URL of any media type but that of a video or audio.

    Raises:
        MMRawError: invalid_raw_uri (no comma, or no base64), modality_unsupported, and what
            `decode_text` raises.
    """
    comma = text.find(",", 0, _LONGEST_HEAD)
    media_type, *parameters = text[len("data:") : max(comma, 0)].lower().split(";")
    if comma < 0 or "base64" not in (one.strip() for one in parameters):
        what = "no comma after its head" if comma < 0 else "no ;base64 before its comma"
        message = f"expected a data: URL in base64, got one with {what}"
        raise MMRawError("invalid_raw_uri", message, path)
    for start, modality in MEDIA_TYPES.items():
        if media_type.strip().startswith(start):
            raise unsupported(modality, path)
    return decode_text(text, limits, path, comma + 1)


def decode_text(text: str, limits: Limits, path: str, start: int = 0) -> bytes:
    """The bytes of base64 of either alphabet, with or without padding, blanks and line breaks.

    Raises:
        MMRawError: empty_source, invalid_base64, limit_exceeded.
    """
    # Blanks, and the three characters of a percent escape, at most triple the length.
    if (len(text) - start) // 2 > limits.inline_image_bytes // 3 * 4 + 4:
        raise _too_large(limits, path)
    data = decode_standard(text, start)
    if data is None:
        body = text[start:]
        if "%" in body:
            body = unquote(body)
        body = body.translate(_SPACE).rstrip("=")
        rest = len(body) % 4
        data = None if rest == 1 else decode_standard(body + PADDING[rest])
    if data is None:
        got = f"{len(text) - start} characters that are not base64 of either alphabet"
        message = f"expected an image in base64, got {got}"
        raise MMRawError("invalid_base64", message, path)
    if not data:
        raise MMRawError("empty_source", "expected an image in base64, got no bytes", path)
    if len(data) > limits.inline_image_bytes:
        raise _too_large(limits, path)
    return data


def _too_large(limits: Limits, path: str) -> MMRawError:
    message = f"expected at most {limits.inline_image_bytes} bytes in an image, got more"
    return MMRawError("limit_exceeded", message, path)
