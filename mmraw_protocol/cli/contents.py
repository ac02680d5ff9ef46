"""Find a ref, a document, lines of JSON or of text, or refs in any text in an input."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from ..files.checking import documents_in_text
from ..files.lines import is_text, opens_json
from ..files.texts import find_refs
from ..files.validation import LISTS, is_placed_array, kind_of, list_kind, value_in
from ..wire._generated.messages import ANSWERS, CONVERSATIONS
from ..wire.errors import MMRawError
from ..wire.features import MAPS
from ..wire.item import KIND
from ..wire.json import parse_json
from ..wire.ref import PREFIX, is_ref

#: JSON in strings is read to this depth.
_MOST_STRINGS = 4
#: Keys under which a row has its messages.
LISTED = (*CONVERSATIONS, *ANSWERS)
EXPECTED = "expected a ref, an envelope, a features body, content parts or mm_refs, got none"


class _Text(str):
    """A line that is no JSON, among others that are."""


class Thing(NamedTuple):
    """One thing of this protocol.

    Attributes:
        kind: `ref`, `envelope`, `features`, `content_parts`, `mm_refs`, `messages` or `document`.
        value: The ref's text, or the decoded value.
        path: In its document; strings that hold JSON are entered with ` > `.
        places: (line, column) of each ref in it, as far as they are known; from 1.
        line: Its own line among JSON lines; None where there is one document.
        error: Why a document is refused as a whole.
    """

    kind: str
    value: Any
    path: str = "$"
    places: tuple[tuple[int, int], ...] = ()
    line: int | None = None
    error: MMRawError | None = None


def read_contents(text: str) -> list[Thing]:
    """Everything of this protocol in a text; at least one thing.

    Raises:
        MMRawError: invalid_type (nothing of it); where no ref is found, what `parse_json` raises.
    """
    found = list(find_refs(text))
    bare = text.strip()
    if is_ref(bare) and (not found or _covers(text, found[0].start, found[0].end)):
        return [Thing("ref", found[0].ref if found else bare)]
    failed: MMRawError | None = None
    documents: list[tuple[int, Any]] = []
    try:
        documents = _documents(text)
    except MMRawError as error:
        failed = error
    if failed is not None:
        refs = [Thing("ref", row.ref, "$", ((row.line, row.column),)) for row in found]
        if not refs:
            raise _without_refs(text, failed)
        is_document = failed.code != "invalid_json" or _opens_json(text)
        return [*([Thing("document", None, error=failed)] if is_document else []), *refs]
    things = [
        thing._replace(line=line if len(documents) > 1 else None)
        for line, value in documents
        for thing in _walk(value, "$", is_root=True)
    ]
    if not things:
        raise MMRawError("invalid_type", EXPECTED)
    if len(things) == 1 and len(documents) == 1 and things[0].path in ("$", "$.features"):
        return things
    return _located(things, text)


def _covers(text: str, start: int, end: int) -> bool:
    return not text[:start].strip() and not text[end:].strip()


def _without_refs(text: str, failed: MMRawError) -> MMRawError:
    """The fault of a text without refs: that of its JSON, if it begins as JSON does."""
    if PREFIX in text.lower():
        message = "expected a ref that starts with mmraw: in lower case, got another spelling"
        return MMRawError("not_a_ref", message)
    if failed.code == "invalid_json" and not _opens_json(text):
        message = f"expected a ref or a document, got {len(text)} characters without one"
        return MMRawError("not_a_ref", message)
    return failed


def _documents(text: str) -> list[tuple[int, Any]]:
    """(line, value) of one document, of several over many lines, or of lines: of JSON, and of text.

    Raises:
        MMRawError: what `parse_json` raises of the whole text.
    """
    failed: MMRawError | None = None
    try:
        return [(1, parse_json(text))]
    except MMRawError as error:
        failed = error
    rows: list[tuple[int, Any]] = []
    with contextlib.suppress(MMRawError):
        rows = [(number, _value(line)) for number, line in enumerate(_lines(text), 1) if line]
        if len(rows) > 1 and not all(isinstance(value, _Text) for _, value in rows):
            return rows
    with contextlib.suppress(MMRawError):
        parts = documents_in_text(text.encode("utf-8", "replace"))
        if len(parts) > 1:
            return [(number, parse_json(part)) for number, part in parts]
    raise failed


def _opens_json(text: str) -> bool:
    """True if a line of it begins as JSON does."""
    return any(map(opens_json, _lines(text)))


def _lines(text: str) -> list[bytes]:
    return [line.strip() for line in text.encode("utf-8", "replace").split(b"\n")]


def _value(line: bytes) -> Any:
    """A line's text, its ref without quotes, or its value."""
    text = line.decode()
    if is_text(line):
        return _Text(text)
    return text if is_ref(text) else parse_json(line)


def _walk(value: Any, path: str, *, is_root: bool = False, strings: int = 0) -> Iterator[Thing]:
    """Yields what a decoded value contains, at any depth, in strings of JSON and of text too."""
    kind = _kind(value, is_root=is_root)
    if isinstance(value, _Text):
        yield from (Thing("ref", row.ref, path) for row in find_refs(value))
    elif kind is not None:
        yield Thing(kind, value, path)
    elif isinstance(value, str):
        yield from _in_string(value, path, strings)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _walk(item, f"{path}[{index}]", strings=strings)
    elif isinstance(value, dict):
        yield from _in_object(cast("dict[str, Any]", value), path, strings)


def _kind(value: Any, *, is_root: bool) -> str | None:
    kind = list_kind(value)
    if kind is not None:
        return kind
    if isinstance(value, list) and is_placed_array(cast("list[Any]", value)):
        return "mm_refs"
    if _is_conversation(value):
        return "messages"
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    if is_root and "kind" in fields:
        return "envelope"
    if is_root and not set(MAPS).isdisjoint(fields):
        return "features"
    return kind_of(fields) or ("envelope" if fields.get("kind") == KIND else None)


def _is_conversation(value: Any) -> bool:
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) and "role" in row for row in rows)


def _in_object(fields: dict[str, Any], path: str, strings: int) -> Iterator[Thing]:
    if any(_is_conversation(fields.get(name)) for name in LISTED):
        # The row: columns of images may stand beside the messages.
        yield Thing("messages", fields, path)
    for key, child in fields.items():
        place = f"{path}.{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f"{path}[{key!a}]"
        if key in LISTED and _is_conversation(child):
            continue
        if key in LISTS and child is not None:
            yield Thing(LISTS[key], child, place)
        else:
            yield from _walk(child, place, is_root=key == "features", strings=strings)


def _in_string(text: str, path: str, strings: int) -> Iterator[Thing]:
    if is_ref(text):
        yield Thing("ref", text, path)
        return
    if strings < _MOST_STRINGS and (held := value_in(text)) is not None:
        inner = f"{path} > $" if path != "$" else "$"
        yield from _walk(held, inner, is_root=True, strings=strings + 1)
        return
    for row in find_refs(text):
        yield Thing("ref", row.ref, path)


def _located(things: list[Thing], text: str) -> list[Thing]:
    """The things with the line and column of the first ref in each."""
    places: dict[str, deque[tuple[int, int]]] = {}
    for row in find_refs(text):
        places.setdefault(row.ref, deque()).append((row.line, row.column))
    rows: list[Thing] = []
    for thing in things:
        waiting = (places.get(ref) for ref in _refs_of(thing.value))
        found = tuple(queue.popleft() for queue in waiting if queue)
        rows.append(thing._replace(places=found))
    return rows


def _refs_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if is_ref(value):
            yield value
    elif isinstance(value, dict):
        for child in cast("dict[str, Any]", value).values():
            yield from _refs_of(child)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            yield from _refs_of(child)


def where(thing: Thing) -> str:
    """The place of a thing, for people; empty where it is all that there is."""
    parts: list[str] = []
    if thing.places:
        line, column = thing.places[0]
        parts.append(f"line {line}, column {column}")
    elif thing.line is not None:
        parts.append(f"line {thing.line}")
    if thing.path != "$":
        parts.append(thing.path)
    return ", ".join(parts)
