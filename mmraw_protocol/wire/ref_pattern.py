"""Refs that differ in the digits of their image's hash alone: what is so of one is so of all.

The rules of a ref of a built-in family without an inline image look at its mm_hash and at the
digits of its stored image's name in three ways: both are hexadecimal, both have a length, and one
begins with the other. The refs of a run repeat all else: labels, fingerprint, grids. So one
ref is read for all that have its pattern, which is its text with other digits in it.

Source: spec/README.md, sections "Fields" and "Order of checks".
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence

from ._generated.dialects import DEFAULT_DIALECT, DIALECTS
from .base64 import attempt, decode_url, encode_base64url
from .ref_model import PREFIX

#: The text of a pattern, and the digits of the ref: of its mm_hash and of its stored name, the
#: longer ones first. Where these do not begin alike, the name is part of the pattern.
Pattern = tuple[bytes, bytes, bytes]

#: Longer refs have no pattern: another ref of the same one is unlikely.
_MOST_BYTES = 4096
#: Digits in place of others. No ref has them itself: nobody knows them before. The first occurs
#: once, so that they are found again.
_DIGITS = b"f" + bytes(b"0123456789abcde"[one % 15] for one in os.urandom(_MOST_BYTES))
_HEXADECIMAL = b"0123456789abcdef"
#: Fewer digits may stand anywhere by chance.
_LEAST = 16
_HASH, _NAME = b'"mm_hash":"', b'"raw_image_id":"'
_TAG = DIALECTS[DEFAULT_DIALECT].prefix.removeprefix(PREFIX).encode("ascii")
_SIZE = len(_TAG)
#: The beginning of an object in base64; what it contains begins like no ref.
_OPENED = _TAG + b"e"
_OPENED_TEXT = PREFIX + _OPENED.decode("ascii")
#: By the length of unpadded base64 modulo 4: what completes it, with one to three zero bytes.
_ZEROS = (b"AAAA", b"!", b"AA", b"A")
#: By the tag of a dialect of segments: how many colons precede its mm_hash.
_COLONS = {
    wire.prefix.removeprefix(PREFIX).encode("ascii"): 1 + wire.segments.index("mm_hash")
    for wire in DIALECTS.values()
    if wire.encoding == "segments"
}
_TEXTS = tuple(PREFIX + tag.decode("ascii") for tag in _COLONS)


def patterns_of(texts: Sequence[bytes]) -> Iterator[Pattern | None]:
    """The pattern of each ref; None for one that is read by itself.

    A text with a pattern may still be rejected: its pattern says so once it is read.

    Args:
        texts: Refs without their `mmraw:`.
    """
    documents = _documents_of(texts)
    if documents is not None:
        return map(_pattern, documents)
    return (pattern_of(PREFIX + text.decode("ascii", "replace")) for text in texts)


def not_known(
    texts: Sequence[bytes], known: Container[bytes]
) -> Iterator[tuple[bytes, Pattern | None]]:
    """The refs whose pattern is not known, with their patterns as `patterns_of` gives them."""
    documents = _documents_of(texts)
    if documents is None:
        pairs = zip(texts, patterns_of(texts), strict=True)
        yield from (pair for pair in pairs if pair[1] is None or pair[1][0] not in known)
        return
    for text, data in zip(texts, documents, strict=True):
        start = data.find(_HASH) + len(_HASH)
        mm_hash = data[start : data.find(b'"', start)]
        # The names of most images are their hashes.
        pattern = data.replace(mm_hash, _DIGITS[: len(mm_hash)])
        if pattern not in known or mm_hash.strip(_HEXADECIMAL):
            found = _pattern(data)
            if found is None or found[0] not in known:
                yield text, found


def pattern_of(text: str) -> Pattern | None:
    """The pattern of one ref."""
    data = document_of(text) if len(text) <= _MOST_BYTES else None
    return None if data is None else _pattern(data)


def _pattern(data: bytes) -> Pattern | None:
    start, at = data.find(_HASH) + len(_HASH), data.find(_NAME) + len(_NAME)
    end = data.find(b'"', start)
    if start < len(_HASH):
        start, end = _segment_of(data)
        at = end + 1
    elif not data.endswith(b"}"):
        # Cut off.
        return None
    mm_hash = data[start:end]
    longer, shorter = data[at : data.find(b".", at)], mm_hash
    if len(longer) < len(shorter):
        longer, shorter = shorter, longer
    if len(shorter) < _LEAST or not longer.startswith(shorter):
        longer = shorter = mm_hash
    if len(longer) < _LEAST or longer.strip(_HEXADECIMAL):
        return None
    pattern = data.replace(longer, _DIGITS[: len(longer)])
    if shorter != longer:
        pattern = pattern.replace(shorter, _DIGITS[: len(shorter)])
    return pattern, longer, shorter


def document_of(text: str) -> bytes | None:
    """The JSON of a ref of the default dialect, or what follows `mmraw:` in one of segments."""
    if text.startswith(_OPENED_TEXT):
        return decode_url(text, len(_OPENED_TEXT) - 1)
    return text[len(PREFIX) :].encode("ascii", "replace") if text.startswith(_TEXTS) else None


def text_of(document: bytes) -> str:
    """The ref whose `document_of` it is."""
    return PREFIX + tail_of(document).decode("ascii")


def tail_of(document: bytes) -> bytes:
    """The same without its `mmraw:`."""
    if document[:_SIZE] in _COLONS:
        return document
    return _TAG + encode_base64url(document).encode("ascii")


def filled(document: bytes, longer: bytes, shorter: bytes) -> bytes:
    """Returns the document made of a pattern, with a ref's own digits in it."""
    document = document.replace(_DIGITS[: len(longer)], longer)
    return document.replace(_DIGITS[: len(shorter)], shorter)


def _documents_of(texts: Sequence[bytes]) -> list[bytes] | None:
    """The JSON of refs of the default dialect, decoded at once; None where one is not so."""
    if {text[: _SIZE + 1] for text in texts} != {_OPENED} or max(map(len, texts)) > _MOST_BYTES:
        return None
    # Zero bytes, which are in no document, are between them. What is not canonical has another
    # length, in the text or in its bytes.
    joined = b"".join([text[_SIZE:] + _ZEROS[(len(text) - _SIZE) & 3] for text in texts])
    is_url = b"+" not in joined and b"/" not in joined
    data = attempt(joined) if is_url else None
    if data is None or len(data) != len(joined) // 4 * 3:
        return None
    documents = [one for one in data.split(b"\0") if one]
    sizes = [(len(text) - _SIZE) * 3 // 4 for text in texts]
    return documents if [*map(len, documents)] == sizes else None


def _segment_of(data: bytes) -> tuple[int, int]:
    """Start and end of the mm_hash of a ref in segments; the start and the end of any other."""
    colons = _COLONS.get(data[:_SIZE], 0)
    parts = data.split(b":", colons + 1)
    end = len(data) - len(parts[-1]) - 1
    return (end - len(parts[colons]), end) if len(parts) == colons + 2 else (0, len(data))
