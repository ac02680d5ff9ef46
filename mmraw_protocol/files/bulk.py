"""Lines that are plain documents with plain refs: checked many at a time, in C.

Nothing here finds a fault: where a part of the lines cannot be proved to be without any, it is made
smaller, and what is left is told apart line by line (`check_document`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Union

import msgspec

from ..wire import fastpath
from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from ..wire.features import parse_features
from ..wire.item import parse_item
from ..wire.json import MAX_INTEGER
from ..wire.ref import bulk
from ..wire.ref.model import PREFIX
from .validation import Kind, kind_of

#: Lines that are looked at together, at most and at least.
_MOST, _LEAST = 256, 8
#: Levels of brackets in a plain line; the reader of each is made of two of the next.
_LEVELS = 7

_PREFIX = PREFIX.encode("ascii")


def _values(levels: int) -> Any:
    """The type of a JSON value that breaks no bound of `parse_json`."""
    number = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    kind: Any = None
    for _ in range(levels + 1):
        inner = () if kind is None else (list[kind], dict[str, kind])
        kind = Union[(None, bool, number, float, str, *inner)]
    return kind


_decode = msgspec.json.Decoder(_values(_LEVELS)).decode
_encode = msgspec.json.Encoder().encode
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError)


def plain_parts(
    lines: list[bytes], limits: Limits
) -> Iterator[tuple[int, int, dict[Kind, int] | None]]:
    """(start, end, counts) of consecutive lines; None for counts where a fault may be in them."""
    at, size = 0, _MOST
    while at < len(lines):
        part = lines[at : at + size]
        counts = _counts(part, limits) if fastpath.enabled else None
        if counts is None and size > _LEAST and fastpath.enabled:
            size //= 4
            continue
        yield at, at + len(part), counts
        at += len(part)
        if counts is not None:
            size = min(2 * size, _MOST)


def _counts(lines: list[bytes], limits: Limits) -> dict[Kind, int] | None:
    """How many of each kind are in lines in which nothing is wrong; None where that is open."""
    bare: list[bytes] = []
    lines = [*filter(None, lines)]
    text = b"\n".join(lines)
    if text.startswith(_PREFIX) or b"\n" + _PREFIX in text:
        bare = [line for line in lines if line.startswith(_PREFIX)]
        lines = [line for line in lines if not line.startswith(_PREFIX)]
        text = b"\n".join(lines)
    try:
        values = [_decode(line) for line in lines]
    except _Refusal:
        return None
    refs, objects, strings = _things(values)
    if not _is_complete(text, values, None if objects else strings):
        return None
    refs += [line.rstrip().decode("ascii", "replace") for line in bare]
    if refs and not bulk.are_plain(refs, limits):
        return None
    counts: dict[Kind, int] = {"ref": len(refs)} if refs else {}
    try:
        for kind, value in objects:
            if kind == "envelope":
                parse_item(value, limits=limits)
            else:
                parse_features(value, limits=limits)
            counts[kind] = counts.get(kind, 0) + 1
    except MMRawError:
        return None
    return counts


def _is_complete(text: bytes, values: list[Any], strings: int | None) -> bool:
    """Whether no key stands twice: one that does is lost with its value, and its quotes are missed.

    Args:
        text: The lines.
        values: What they say.
        strings: How many strings the values hold, keys among them; None where nobody counted.
    """
    if b"{" not in text:
        return True
    quotes = text.count(b'"')
    if strings is not None and b"\\" not in text:
        return quotes == 2 * strings
    # A quote within a string is spelt the same when it is written again.
    return b"\\u0022" not in text and _encode(values).count(b'"') == quotes


def _things(values: list[Any]) -> tuple[list[str], list[tuple[Kind, Any]], int]:
    """Every ref, and every envelope and features body, as `check_value` tells them.

    The number is that of all strings and keys, where there are neither envelopes nor bodies.
    """
    refs: list[str] = []
    objects: list[tuple[Kind, Any]] = []
    strings = 0
    stack: list[Iterable[Any]] = [values]
    while stack:
        for item in stack.pop():
            kind = type(item)  # pyright: ignore[reportUnknownVariableType]
            if kind is str:
                strings += 1
                if item[:6] == PREFIX:
                    refs.append(item)
            elif kind is dict:
                strings += len(item)
                found = kind_of(item) if "kind" in item or "mm_hashes" in item else None
                if found is None:
                    stack.append(item.values())
                else:
                    objects.append((found, item))
            elif kind is list:
                stack.append(item)
    return refs, objects, strings
