"""The one reader of messages: every image of a conversation, in any spelling that people write.

Source: spec/README.md, section "Messages", and spec/messages.json.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..wire._generated.messages import (
    ANSWERS,
    COLUMN_TAG,
    COLUMNS,
    CONTENTS,
    CONVERSATIONS,
    FILE_IDS,
    LOOKS_MEDIA_TYPES,
    MEDIA_COLUMNS,
    NESTED,
    REF_COLUMNS,
)
from ..wire._generated.modalities import MEDIA_NAMES, PARTS
from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.json import MAX_DEPTH
from ..wire.modality import unsupported
from .columns import COLUMN_SLOT, fill
from .found import (
    Conversation,
    MessageImage,
    MessageText,
    Segment,
    Steps,
    layout_said,
    path_of,
    put,
    without,
    without_source,
)
from .looks import (
    holds_picture,
    holds_url,
    is_named_as_image,
    is_picture,
    is_unread,
    looks_like_image,
    rows_of,
)
from .parts import refused_modality
from .places import (
    MAPPINGS,
    Place,
    changed,
    field_of,
    fields_of,
    items_of,
    place_of,
    said,
    value_at,
)

#: Keys of a row under which messages stand, and keys that a message has.
_LISTS = (*CONVERSATIONS, *ANSWERS)
_ROLES = ("role", "from")
_NAMES = (*_ROLES, *CONTENTS)
_MEDIA = dict(MEDIA_COLUMNS)
_BESIDE = (*_MEDIA, *COLUMNS)
_NESTED_KEYS = [at[0] for at in NESTED]
_SKIPPED = frozenset({"image_part_unknown", "modality_unsupported", "source_unsupported"})


def read_conversation(messages: Any, skipped: Counter[str] | None = None) -> Conversation:
    """Reads a list of messages, or a row that has one with its images beside.

    Args:
        messages: The conversation; an iterator in it is used up.
        skipped: None rejects what looks like an image and cannot be read; a counter leaves such
            parts out and counts them by error code.

    Raises:
        MMRawError: invalid_type (no list of messages), image_part_unknown, modality_unsupported,
            source_unsupported (a file id), lengths_differ (a column and its tags), with the path.
    """
    names = _lists_of(messages)
    reader = _Reader(skipped, layout_said(messages) if names else {})
    if not names:
        rows = _settled_rows(messages)
        reader.conversation(rows, ())
        return Conversation(rows, (), reader.segments, reader.images())
    given: Any = messages
    for name in names:
        value = field_of(messages, name)
        rows = _settled_rows(value) if _is_list(value) else _settled_message(value)
        given = changed(given, {name: rows})
        reader.conversation(rows, (name,))
    reader.columns(given, (), None)
    reader.beside(without(given, names))
    count = len(reader.lists[0])
    return Conversation(given, (names[0],), reader.segments[:count], reader.images())


def _lists_of(row: Any) -> list[str]:
    """Keys under which a row has messages: its conversation's, then what stands beside it."""
    if _is_list(row):
        return []
    values = said(row, _LISTS)
    lists = [name for name, one in values.items() if _is_list(one)]
    read = [name for name, one in values.items() if _holds_message(one, _NAMES)]
    first = next((name for name in lists if name in read), *lists[:1] or [""])
    return [first, *(name for name in read if name != first)] if lists else []


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterator) or items_of(value) is not None


def _holds_message(value: Any, names: Sequence[str], depth: int = 1) -> bool:
    """True if a value is a message, by one of its keys, or a list that has one."""
    if value is None or isinstance(value, (str, bytes, int, float)):
        return False
    if is_unread(value):
        return depth > 0
    rows = rows_of(value)
    if rows is None:
        return bool(said(value, names))
    return depth > 0 and any(_holds_message(row, names, depth - 1) for row in rows)


def _settled_rows(value: Any) -> list[Any]:
    rows = list(cast("Iterator[Any]", value)) if isinstance(value, Iterator) else items_of(value)
    if rows is None:
        raise MMRawError("invalid_type", expected("a list of messages", value))
    return [_settled_message(row) for row in rows]


def _settled_message(message: Any) -> Any:
    return _settled(message, {(name,): one for name, one in said(message, CONTENTS).items()})


def _settled(holder: Any, contents: Mapping[tuple[str, ...], Any], depth: int = 0) -> Any:
    """A message or part with lists where iterators hold its parts, which stand at some paths."""
    if depth > MAX_DEPTH:
        message = f"expected at most {MAX_DEPTH} levels of nesting, got more"
        raise MMRawError("limit_exceeded", message)
    for at, value in contents.items():
        once = isinstance(value, Iterator)
        rows = list(cast("Iterator[Any]", value)) if once else items_of(value) or ()
        settled = [_settled(row, _nested_in(row), depth + 1) for row in rows]
        if once or not all(map(operator.is_, settled, rows)):
            holder = put(holder, at, settled)
    return holder


def _nested_in(part: Any) -> dict[tuple[str, ...], Any]:
    """What holds further parts of a part, by the path that leads to it."""
    starts = said(part, _NESTED_KEYS)
    found = {at: value_at(starts, at) for at in NESTED} if starts else {}
    return {at: value for at, value in found.items() if value is not None}


class _Reader:
    """Walks messages; `segments` has what it found in each."""

    def __init__(self, skipped: Counter[str] | None, layout: Mapping[str, Any]) -> None:
        self.segments: list[list[Segment]] = []
        #: The segments of each list of messages.
        self.lists: list[range] = []
        #: The index of each segment's message in its list, and what it and its row say of layout.
        self._numbers: list[int] = []
        self._layouts: list[Mapping[str, Any]] = []
        self._row_layout = layout
        self._depth = 0
        self._skipped = skipped
        self._first_user: int | None = None

    def images(self) -> list[MessageImage]:
        return [one for row in self.segments for one in row if isinstance(one, MessageImage)]

    def conversation(self, messages: Any, steps: Steps) -> None:
        """Adds the messages of a list, or a message that stands alone."""
        start = len(self.segments)
        rows = cast("list[Any]", messages) if isinstance(messages, list) else None
        if rows is None:
            self._message(messages, steps)
        for index, row in enumerate(rows or ()):
            self._message(row, (*steps, index))
        self.lists.append(range(start, len(self.segments)))

    def _message(self, message: Any, steps: Steps) -> None:
        """Adds a message's texts and images."""
        path = path_of(steps)
        is_message = isinstance(message, MAPPINGS) or any(True for _ in fields_of(message))
        if not is_message or items_of(message) is not None:
            raise MMRawError("invalid_type", expected("a message, an object", message), path)
        self.segments.append([])
        self._numbers.append(steps[-1] if isinstance(steps[-1], int) else 0)
        self._layouts.append({**self._row_layout, **layout_said(message)})
        self._depth = len(steps)
        is_first = self._first_user is None and not self.lists
        if is_first and field_of(message, "role") == "user":
            self._first_user = len(self.segments) - 1
        found = said(message, CONTENTS)
        for name, content in found.items():
            self._content(content, (*steps, name))
        # Attachments, or a part in place of a message: none of it may be lost.
        self._refuse_looks(without(message, (*found, *COLUMNS)), path)
        self.columns(message, steps, len(self.segments) - 1)

    def _content(self, content: Any, steps: Steps) -> None:
        rows, path = items_of(content), path_of(steps)
        if isinstance(content, str):
            self._text(content, steps, path)
        elif rows is None:
            self._part(content, steps, f"{path}[0]")
        for index, part in enumerate(rows or ()):
            self._part(part, (*steps, index), f"{path}[{index}]")

    def _part(self, part: Any, steps: Steps, path: str) -> None:
        if len(steps) > MAX_DEPTH:
            message = f"expected at most {MAX_DEPTH} levels of nesting, got more"
            raise MMRawError("limit_exceeded", message)
        if isinstance(part, str):
            self._text(part, steps, path)
            return
        if items_of(part) is not None:
            self._content(part, steps)
            return
        if is_picture(part):
            self._refuse_looks(part, path)
            return
        kind = field_of(part, "type")
        modality = refused_modality(part, kind)
        if modality is not None:
            self._refuse(unsupported(modality, path))
            return
        found = place_of(part)
        if found is not None:
            self._found(part, found, steps, path)
        elif _is_slot(part, kind):
            # A slot for an image of a column; without one it has no source.
            self._add(part, None, COLUMN_SLOT, steps, path)
        else:
            self._other(part, kind, steps, path)

    def _found(self, part: Any, found: tuple[Place, Any], steps: Steps, path: str) -> None:
        place, source = found
        if place.file_id:
            self._refuse(_file_id(path))
            return
        self._add(part, source, place, steps, path)
        # A second image in the same part would stay behind.
        self._refuse_looks(without_source(part, place.at), path, strict=True)

    def _other(self, part: Any, kind: Any, steps: Steps, path: str) -> None:
        """A part that is no image: its text, the parts within it, and what looks like an image."""
        if _is_closed(part):
            text = "expected a part with keys or attributes, got one that cannot be read"
            self._refuse(MMRawError("image_part_unknown", text, path))
            return
        nested = _nested_in(part)
        for at, content in nested.items():
            self._content(content, (*steps, *at))
        if kind != "text" and _names_file(part):
            self._refuse(_file_id(path))
            return
        for name, value in said(part, PARTS).items():
            if _filled(value):
                self._refuse(unsupported(PARTS[name], path))
                return
        rest: Any = without(part, ())
        for at in nested:
            rest = put(rest, at, None)
        if kind != "text" and is_named_as_image(part):
            rest = {"type": type(part).__name__}
        self._refuse_looks(rest, path)
        text = field_of(part, "text")
        if isinstance(text, str):
            self._text(text, (*steps, "text"), path)

    def _text(self, text: str, steps: Steps, path: str) -> None:
        if is_picture(text):
            self._refuse_look("value", path)
        self.segments[-1].append(MessageText(text, steps))

    def _add(self, part: Any, source: Any, place: Place, steps: Steps, path: str) -> None:
        index = next((step for step in steps[self._depth :] if isinstance(step, int)), 0)
        number, layout = self._numbers[-1], self._layouts[-1]
        image = MessageImage(number, index, part, source, path, steps, place, (), layout)
        self.segments[-1].append(image)

    def _refuse_looks(self, value: Any, path: str, *, strict: bool = False) -> None:
        reason = looks_like_image(value, strict=strict)
        if reason is not None:
            self._refuse_look(reason, path)

    def _refuse_look(self, reason: str, path: str) -> None:
        message = f"expected an image in a known spelling; this looks like one by its {reason}"
        self._refuse(MMRawError("image_part_unknown", message, path))

    def _refuse(self, error: MMRawError) -> None:
        if self._skipped is None or error.code not in _SKIPPED:
            raise error
        self._skipped[error.code] += 1

    def columns(self, holder: Any, steps: Steps, message: int | None) -> None:
        """Adds the images that stand beside the texts of a message, or of a whole row (None)."""
        for name, value in said(holder, _BESIDE).items():
            if not _filled(value):
                continue
            if name in _MEDIA:
                self._refuse(unsupported(_MEDIA[name], path_of((*steps, name))))
                continue
            column, rows = (*steps, name), items_of(value)
            places = [((*column, i), row) for i, row in enumerate(rows or ())]
            entries = places if rows is not None else [(column, value)]
            lists = self.lists if message is None else [range(message, message + 1)]
            first = (self._first_user or 0) if message is None else message
            fill(column, entries, self.segments, lists, first)
            for number, layout, segments in zip(
                self._numbers, self._layouts, self.segments, strict=True
            ):
                segments[:] = [_numbered(one, number, layout) for one in segments]

    def beside(self, others: Mapping[str, Any]) -> None:
        """Refuses other keys of a row that hold images of its conversation.

        These are messages; and, where no image was found or a tag has none, keys that name images,
        and whole images: a column named otherwise. All else is no part of the conversation.
        """
        for name, one in others.items():
            has_message = _holds_message(one, _ROLES, depth=3)
            if has_message or name in _LISTS:
                path = f"$.{name}" if name in _LISTS else "$"
                is_list = has_message and not isinstance(one, Mapping)
                self._refuse_looks(one, path, strict=not is_list)
        texts = [one for row in self.segments for one in row if isinstance(one, MessageText)]
        if not self.images() or any(COLUMN_TAG in one.text for one in texts):
            known = (*COLUMNS, *REF_COLUMNS)
            rest = {k: one for k, one in others.items() if _filled(one) and k not in known}
            if looks_like_image({name: name for name in rest}) or holds_picture([*rest.values()]):
                text = "expected images in the column images only, got another column of them"
                self._refuse(MMRawError("image_part_unknown", text, "$"))


def _numbered(one: Segment, message: int, layout: Mapping[str, Any]) -> Segment:
    """A segment with what its message says; images of a column get it with their place."""
    if not isinstance(one, MessageImage) or not one.in_column:
        return one
    around = {**layout, **one.layout_around}
    return msgspec.structs.replace(one, message_index=message, layout_around=around)


def _is_slot(part: Any, kind: Any) -> bool:
    """True if a part is an image without source: by its type, or a cell that holds nothing."""
    rest = {name: one for name, one in fields_of(part) if name != "type"}
    if kind in ("image", "image_url", "input_image"):
        return not looks_like_image(rest) and not holds_url(rest)
    return not kind and {"bytes", "path"} <= rest.keys() and not any(map(_filled, rest.values()))


def _is_closed(part: Any) -> bool:
    """True if a part is an object of which nothing can be read: bytes, an array, an open file."""
    if isinstance(part, (*MAPPINGS, int, float, type(None))):
        return False
    has_text = isinstance(field_of(part, "text"), str)
    return not has_text and next(fields_of(part), None) is None


def _filled(value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float)):
        return False
    is_empty = isinstance(value, (str, bytes, list, tuple, dict)) and not cast("str", value)
    return not is_empty


def _names_file(part: Any) -> bool:
    """True if a part is a file that its server knows by an id, and that may be an image."""
    declared = next((one for name in MEDIA_NAMES if (one := field_of(part, name))), "image/")
    is_media = str(declared).lower().startswith(tuple(LOOKS_MEDIA_TYPES))
    return is_media and any(isinstance(value_at(part, at), str) for at in FILE_IDS)


def _file_id(path: str) -> MMRawError:
    message = "expected the image itself, got a file id, which only its own server can read"
    return MMRawError("source_unsupported", message, path)
