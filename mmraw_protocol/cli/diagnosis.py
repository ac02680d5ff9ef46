"""Hints next to a rejection: the value there, the nearest name, the family of the payload.

The library's errors never repeat input. These sentences may: they go to the one who gave it.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, cast

from ..files.texts import TO_URL
from ..wire._generated.checks import PAYLOAD_CHECKS
from ..wire._generated.dialects import DEFAULT_DIALECT, DIALECTS
from ..wire._generated.families import FAMILIES
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.base64 import decode_url
from ..wire.check import allowed_fields
from ..wire.errors import MMRawError
from ..wire.ref import PREFIX, parse_ref
from .output import shorten

_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_BLANKS = re.compile(r"\s+")
#: Values that are shown are short.
_MOST_SHOWN = 60


def hints_for(value: Any, error: MMRawError) -> list[str]:
    """Sentences that help with a refused ref or document; none where nothing more is known."""
    document = _decoded_ref(value) if isinstance(value, str) else value
    hints = _of_text(value, error) if isinstance(value, str) else []
    # Within features and lists the path leads to a ref, and on into it.
    inner, rest = _ref_on_the_way(document, error.path)
    if inner is not None:
        return [*hints, *hints_for(inner, MMRawError(error.code, error.message, rest))]
    if document is None:
        return hints
    place = _at(document, error.path)
    family = _whose_payload(document, error.path)
    if family is not None:
        hints.append(family)
    elif error.code == "unknown_field":
        hints += _unknown_fields(place, error)
    elif place is not _NOTHING and not isinstance(place, (dict, list)):
        hints += _value_there(place, error)
    return hints


def family_hint(family: str, payload: Any) -> str | None:
    """Names the family of the payload of an unknown family, and the family name nearest to it."""
    for name, info in FAMILIES.items():
        if family in info.lines and family != name:
            return f"{family} is a line of the family {name}: write {name}"
    near = difflib.get_close_matches(family[:64], list(FAMILIES), 1)
    theirs = _families_of(payload)
    if near:
        return f"did you mean {near[0]}?"
    return f"this payload is {' or '.join(theirs)}'s" if theirs else None


_NOTHING = object()


def _decoded_ref(text: str) -> Any:
    """The JSON of a ref's text, however it was spelled; None where nothing can be made of it."""
    body = _BLANKS.sub("", text)
    wire = next((wire for wire in DIALECTS.values() if body.startswith(wire.prefix)), None)
    if wire is None:
        return None
    wire = max((w for w in DIALECTS.values() if body.startswith(w.prefix)), key=_length)
    body = body[len(wire.prefix) :]
    if wire.encoding == "segments":
        parts = dict(zip(wire.segments, body.split(":", len(wire.segments) - 1), strict=False))
        return {**parts, "payload": _json_of(parts.get("payload", ""))}
    return _loads(body) if body.startswith("{") else _json_of(body)


def _length(wire: Any) -> int:
    return len(wire.prefix)


def _json_of(body: str) -> Any:
    body = body.rstrip("=").translate(TO_URL)
    data = decode_url(body)
    return None if data is None else _loads(data)


def _loads(text: str | bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _of_text(text: str, error: MMRawError) -> list[str]:
    after = _more_follows(text)
    return [*([after] if after else _cut_off(text, error)), *_mended(text)]


def _more_follows(text: str) -> str | None:
    """Says where a ref ends that other letters follow, if its JSON is whole."""
    head = DIALECTS[DEFAULT_DIALECT].prefix
    if not text.startswith(head):
        return None
    body = text[len(head) :].translate(TO_URL)
    data = decode_url(body + "A" * (-len(body) % 4)) or b""
    with contextlib.suppress(ValueError, RecursionError):
        end = json.JSONDecoder().raw_decode(data.decode("latin-1"))[1]
        size = len(head) - (-end * 4 // 3)
        if size < len(text):
            return f"the ref ends at character {size}, and {len(text) - size} more follow"
    return None


def _cut_off(text: str, error: MMRawError) -> Iterator[str]:
    """Says where a truncated ref ends."""
    dots = re.search(r"\.{2,}|\u2026", text)
    if dots is not None:
        yield f"it was cut off at character {dots.start() + 1}, where dots stand for the rest"
    elif "cut off" in error.message and text.startswith(PREFIX):
        yield f"it was cut off: the text ends at character {len(text)}, and the ref does not"


def _mended(text: str) -> Iterator[str]:
    """Says whether a ref is valid once its base64 is spelled correctly."""
    if not text.startswith(PREFIX) or "{" in text[: len(PREFIX) + 1]:
        return
    mended = _BLANKS.sub("", text).rstrip("=").translate(TO_URL)
    if mended == text:
        return
    with contextlib.suppress(MMRawError):
        parse_ref(mended)
        yield "spelled as canonical base64url, without padding and line breaks, it is a valid ref"


def _ref_on_the_way(document: Any, path: str) -> tuple[str | None, str]:
    """The ref on the way that a path leads through a document, and the path within it."""
    node = document
    for match in _STEP.finditer(path):
        node = _child(node, match)
        if isinstance(node, str) and node.startswith(PREFIX):
            return node, "$" + path[match.end() :]
    return None, path


def _at(document: Any, path: str) -> Any:
    node = document
    for match in _STEP.finditer(path):
        node = _child(node, match)
    return node


def _child(node: Any, step: re.Match[str]) -> Any:
    key, index = step.groups()
    if key is not None and isinstance(node, dict):
        return cast("dict[str, Any]", node).get(key, _NOTHING)
    if index is not None and isinstance(node, list):
        rows = cast("list[Any]", node)
        return rows[int(index)] if int(index) < len(rows) else _NOTHING
    return _NOTHING


def _unknown_fields(place: Any, error: MMRawError) -> Iterator[str]:
    allowed = allowed_fields(error)
    if not isinstance(place, dict) or not allowed:
        return
    for key in cast("dict[str, Any]", place):
        if key not in allowed:
            near = difflib.get_close_matches(key[:64], allowed, 1)
            told = f"{shorten(json.dumps(key), _MOST_SHOWN)} is no field here"
            yield f"{told}; did you mean {near[0]}?" if near else told


def _value_there(value: Any, error: MMRawError) -> Iterator[str]:
    shown = shorten(json.dumps(value), _MOST_SHOWN)
    multiple = re.search(r"multiple of (?:the merge size, )?(\d+)", error.message)
    if multiple and type(value) is int and value % int(multiple[1]):
        yield f"{value} is no multiple of {multiple[1]}"
    else:
        yield f"the value there: {shown}"


def _whose_payload(document: Any, path: str) -> str | None:
    """Names the other family whose payload this is, if the fault is in the payload."""
    if not path.startswith("$.payload") or not isinstance(document, dict):
        return None
    fields = cast("dict[str, Any]", document)
    payload, own = fields.get("payload"), FAMILIES.get(str(fields.get("family")))
    if own is None or not isinstance(payload, dict):
        return None
    if payload.keys() <= set(own.payload.__struct_fields__):
        return None
    theirs = _families_of(cast(Any, payload))
    if not theirs:
        return None
    return f"this payload is {' or '.join(theirs)}'s, and the ref's family is {own.family}"


def _families_of(payload: Any) -> list[str]:
    found: list[str] = []
    for name, check in PAYLOAD_CHECKS.items():
        with contextlib.suppress(MMRawError):
            check(payload, "$", DEFAULT_LIMITS)
            found.append(name)
    return found
