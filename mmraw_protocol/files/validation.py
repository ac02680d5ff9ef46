"""Everything of this protocol that a JSON document holds, wherever it stands in it."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Collection, Iterator
from typing import Any, Literal, cast

import msgspec

from ..conversation.found import Conversation
from ..conversation.places import field_of
from ..conversation.reading import read_conversation
from ..materialize.documents import verify_document
from ..materialize.verification import Verifier
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.messages import ANSWERS, CONTENTS, CONVERSATIONS
from ..wire.content_parts import check_uuid
from ..wire.errors import MMRawError
from ..wire.item import KIND
from ..wire.json import parse_json, parse_json_rows
from ..wire.ref import PREFIXES, RawMMRef, is_ref, parse_ref
from .facts import Note
from .lines import REF_VALUE
from .notes import notes_of
from .texts import find_refs, may_hold_ref

__all__ = ["Finding", "check_document", "check_value", "list_kind"]

ListKind = Literal["content_parts", "mm_refs"]
Kind = Literal[
    "ref", "envelope", "features", "content_parts", "mm_refs", "messages", "document", "file"
]

#: The keys of a row under which its messages stand.
ROW_LISTS = (*CONVERSATIONS, *ANSWERS)
#: The keys under which images stand by their URLs.
LISTS: dict[str, ListKind] = {"content_parts": "content_parts", "mm_refs": "mm_refs"}


#: Bytes that tell whether a text is a ref.
_MOST_START = max(map(len, PREFIXES))
#: The beginning of JSON that may be of this protocol.
_JSON_TEXT = re.compile(r'[ \t\r\n]{0,8}["\[{]')
#: The beginning of a URL.
URL_HEAD = re.compile("[A-Za-z][A-Za-z0-9+.-]{0,15}:")


class Finding(Shown, msgspec.Struct, frozen=True):
    """One thing that was checked: what it is, and why it was refused (None where it was not).

    What contradicts itself may have several faults: `others` are all but the first. `notes` are on
    the images of what is right, where the verifier looks at each.
    """

    kind: Kind
    error: MMRawError | None = None
    others: tuple[MMRawError, ...] = ()
    notes: tuple[Note, ...] = ()


def check_document(
    text: str | bytes, *, limits: Limits = DEFAULT_LIMITS, verifier: Verifier | None = None
) -> Iterator[Finding]:
    """Checks a text: a bare ref, or a JSON document with refs, envelopes and features in it."""
    start = text[:_MOST_START].decode("ascii", "replace") if isinstance(text, bytes) else text
    failed: MMRawError | None = None
    document: Any = None
    try:
        if is_ref(start):
            document = text if isinstance(text, str) else text.decode("ascii", "replace")
        else:
            document = parse_json(text)
    except MMRawError as error:
        failed = error
    if failed is not None:
        yield Finding("document", failed)
        return
    yield from check_value(document, limits=limits, verifier=verifier)


#: Strings that are part of what else is of this protocol.
_MARKS = {n.encode() for n in (KIND, "kwargs_data", "images", "url", "role", "from", *LISTS)}
_PLACED = re.compile(rb"\[[ \t]*\[[ \t]*\[")


def refs_alone(data: bytes) -> list[bytes] | None:
    """The refs, without their `mmraw:`, of JSON objects on a line each with nothing else in them.

    None where that is not so, or may not be so. What a ref says is not looked at: a control
    character in one makes its line no JSON, and the ref none.
    """
    if b"\\" in data:
        return None
    pieces = REF_VALUE.split(data)
    rest = b'"-"'.join(pieces[::2]).rstrip(b"\n")
    if may_hold_ref(rest):
        return None
    strings = {*rest.split(b'"')[1::2]}
    if not strings.isdisjoint(_MARKS) or _PLACED.search(rest):
        return None
    if any(one.lstrip(b" ").startswith((b"[", b"{")) for one in strings):
        return None
    rows = parse_json_rows(rest)
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    return pieces[1::2] if rows is not None and len(rows) == count else None


def refs_in_row(line: bytes) -> list[bytes]:
    """The refs of one of these lines."""
    return REF_VALUE.findall(line)


def _check_uuids(conversation: Conversation, limits: Limits) -> None:
    """A uuid beside a ref is its mm_hash, as servers demand; a ref itself is checked as such."""
    for image in conversation.images:
        uuid = field_of(image.part, "uuid")
        if uuid is None or not is_ref(image.source):
            continue
        ref: RawMMRef | None = None
        with contextlib.suppress(MMRawError):
            ref = parse_ref(image.source, limits=limits)
        if ref is not None:
            check_uuid(uuid, ref.mm_hash, f"{image.path}.uuid")


_ROLE = frozenset({"role", "from"})
_LISTS = frozenset(ROW_LISTS)
_MESSAGE = frozenset({*CONTENTS, "tool_calls"})
#: Types of values that may be of this protocol, or hold some.
_KINDS = frozenset({dict, list, str})


def check_value(
    value: Any,
    *,
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
    path: str = "$",
    columns: Collection[str] = (),
) -> Iterator[Finding]:
    """Checks a decoded document, at any depth, that of JSON in strings too.

    Strings that begin as refs do are refs. In other strings, `find_refs` finds them.

    Every image of a conversation is in a spelling that is read; the image itself is not opened.

    Args:
        value: What was decoded.
        limits: Of what it holds.
        verifier: What refs are verified with, and its limits; None verifies what needs no store.
        path: Of the value itself.
        columns: Keys of the value that are no input: paths may name them.
    """
    verifier = verifier or verifier_with(limits)
    stack: list[tuple[Any, str, Kind | None]] = [(value, path, list_kind(value))]
    conversations: list[Any] = []
    while stack:
        item, place, kind = stack.pop()
        if kind is None and is_conversation(item) and not any(c is item for c in conversations):
            conversations += _listed(item)
            yield check_one("messages", item, place, verifier)
        if kind is not None:
            yield check_one(kind, item, place, verifier)
        elif isinstance(item, str):
            if is_ref(item):
                yield check_one("ref", item, place, verifier)
            elif (held := value_in(item)) is not None:
                stack.append((held, place, list_kind(held)))
            else:
                yield from (check_one("ref", one.ref, place, verifier) for one in find_refs(item))
        elif isinstance(item, list):
            rows = cast("list[Any]", item)
            if is_placed_array(rows):
                yield check_one("mm_refs", rows, place, verifier)
                continue
            # Long lists are of numbers alone.
            if _KINDS.isdisjoint(map(type, rows)):
                continue
            stack += [
                (row, f"{place}[{index}]", None)
                for index, row in reversed(list(enumerate(rows)))
                if isinstance(row, (str, list, dict))
            ]
        elif isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            kind = kind_of(fields)
            if kind is not None:
                yield check_one(kind, fields, place, verifier)
            else:
                stack += _children(fields, place, columns if place == path else ())


def is_conversation(item: Any) -> bool:
    """Whether a value is a list of messages, or a row that has one."""
    if isinstance(item, dict):
        return not _LISTS.isdisjoint(cast("Any", item)) and any(map(are_messages, _listed(item)))
    return are_messages(item)


def _listed(item: Any) -> list[Any]:
    """The lists of a row that may be its conversation."""
    if not isinstance(item, dict):
        return []
    row = cast("dict[str, Any]", item)
    return [row[name] for name in ROW_LISTS if isinstance(row.get(name), list)]


def are_messages(value: Any) -> bool:
    """Whether a value is a list of messages."""
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(rows) and all(
        isinstance(row, dict) and _is_message(cast("dict[str, Any]", row)) for row in rows
    )


def _is_message(row: dict[str, Any]) -> bool:
    return not _MESSAGE.isdisjoint(row) and not _ROLE.isdisjoint(row)


def _children(
    fields: dict[str, Any], place: str, shown: Collection[str]
) -> Iterator[tuple[Any, str, Kind | None]]:
    """Values of an object that may be of this protocol, the last first."""
    for name, child in reversed(fields.items()):
        if isinstance(child, (list, dict)):
            kind = LISTS.get(name)
            yield child, f"{place}.{name if kind or name in shown else '*'}", kind
        elif isinstance(child, str) and is_ref(child):
            # Other keys are input and stay out of the path.
            yield child, f"{place}.{name if name in shown else '*'}", "ref"
        elif isinstance(child, str) and (_JSON_TEXT.match(child) or may_hold_ref(child)):
            yield child, f"{place}.{name if name in shown else '*'}", None


def value_in(text: str) -> Any:
    """The array, object or text that a text says as JSON; None where it is no such JSON."""
    if _JSON_TEXT.match(text):
        with contextlib.suppress(MMRawError):
            return parse_json(text)
    return None


def list_kind(document: Any) -> ListKind | None:
    """Whether a whole document is a list of content parts, or mm_refs in one of their forms."""
    if isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        return "mm_refs" if fields.keys() == {"images"} and _are_placed(fields["images"]) else None
    rows = cast("list[Any]", document) if isinstance(document, list) else []
    if rows and all(isinstance(row, dict) and {"type", "url"} <= row.keys() for row in rows):
        return "content_parts"
    return "mm_refs" if is_placed_array(rows) else None


def is_placed_array(rows: list[Any]) -> bool:
    """Whether a list is mm_refs in the array form, as structs without keys hold them."""
    inner = cast("list[Any]", rows[0]) if len(rows) == 1 and isinstance(rows[0], list) else []
    return bool(inner) and all(_is_placed(row) for row in inner)


def _are_placed(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and "url" in row and "offset" in row
        for row in cast("list[Any]", rows)
    )


def _is_placed(row: Any) -> bool:
    fields = cast("list[Any]", row) if isinstance(row, list) else []
    if len(fields) != 3 or not isinstance(fields[0], str) or not isinstance(fields[1], int):
        return False
    # Lists of words and numbers, such as log probabilities, are none of ours.
    return URL_HEAD.match(fields[0]) is not None


def kind_of(fields: dict[str, Any]) -> Kind | None:
    """Whether an object is an envelope or a features body, by the keys that tell them."""
    if fields.get("kind") == KIND:
        return "envelope"
    if "kwargs_data" in fields and "mm_hashes" in fields:
        return "features"
    return None


def check_one(kind: Kind, value: Any, path: str, verifier: Verifier) -> Finding:
    """Checks a thing of a known kind, decoded or as the bytes of its JSON."""
    faults: list[MMRawError] = []
    notes: list[Note] = []
    try:
        if kind == "messages":
            _check_uuids(read_conversation(value), verifier.limits)
        else:
            images = verify_document(cast(Any, kind), value, verifier)
            faults = [fault for image in images for fault in image.verdict.faults]
            right = [one.image for one in images if one.image and not one.verdict.faults]
            notes = [note for one in right for note in notes_of(one)] if verifier.each else []
    except MMRawError as error:
        faults = [error]
    placed = [fault.with_path_prefix(path) for fault in faults]
    first = placed[0] if placed else None
    return Finding(kind, first, tuple(placed[1:]), tuple(notes))


@functools.lru_cache(4)
def verifier_with(limits: Limits) -> Verifier:
    """A verifier without a store, within limits."""
    return Verifier(limits=limits)
