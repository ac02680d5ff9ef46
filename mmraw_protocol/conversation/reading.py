"""The one reader of messages: every image of a conversation, in any spelling that people write.

Source: spec/README.md, section "Messages", and spec/messages.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..wire._generated.messages import (
    COLUMN_TAG,
    COLUMNS,
    CONTENTS,
    CONVERSATIONS,
    FILE_IDS,
    LOOKS_MEDIA_TYPES,
    NESTED,
)
from ..wire._generated.modalities import MEDIA_NAMES, PARTS
from ..wire.errors import MMRawError
from ..wire.modality import unsupported
from .found import Conversation, MessageImage, Steps, path_of, put, without
from .looks import is_picture, looks_like_image
from .parts import refused_modality
from .places import COLUMN, Place, changed, field_of, fields_of, items_of, place_of, value_at

_SKIPPED = frozenset({"image_part_unknown", "modality_unsupported", "source_unsupported"})
_MEDIA_COLUMNS = {f"{word}s": word for word in ("video", "audio")} | {"video": "video"}


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
    key = next((name for name in CONVERSATIONS if _is_row(messages, name)), None)
    steps: Steps = () if key is None else (key,)
    value = messages if key is None else field_of(messages, key)
    once = list(cast("Iterator[Any]", value)) if isinstance(value, Iterator) else value
    given_rows = items_of(once)
    if given_rows is None:
        raise MMRawError("invalid_type", "messages are a list")
    rows = [_settled(row, [(name,) for name in CONTENTS]) for row in given_rows]
    reader = _Reader(skipped)
    for index, row in enumerate(rows):
        reader.message(row, (*steps, index))
    given: Any = rows
    if key is not None:
        given = changed(messages, {key: rows})
        reader.columns(given, (), None)
        if not reader.images():
            reader.keys_beside(given)
    return Conversation(given, steps, reader.segments, reader.images())


def _is_row(value: Any, name: str) -> bool:
    return items_of(value) is None and items_of(field_of(value, name)) is not None


def _settled(holder: Any, paths: Sequence[Sequence[str]]) -> Any:
    """A message or part with lists where iterators hold its parts."""
    for at in paths:
        value = value_at(holder, at)
        once = isinstance(value, Iterator)
        rows = list(cast("Iterator[Any]", value)) if once else items_of(value)
        settled = [_settled(row, NESTED) for row in rows or ()]
        if once or any(new is not old for new, old in zip(settled, rows or (), strict=True)):
            holder = put(holder, at, settled)
    return holder


class _Reader:
    """Walks messages; `segments` has what it found in each."""

    def __init__(self, skipped: Counter[str] | None) -> None:
        self.segments: list[list[str | MessageImage]] = []
        self._skipped = skipped
        self._first_user: int | None = None

    def images(self) -> list[MessageImage]:
        return [one for row in self.segments for one in row if isinstance(one, MessageImage)]

    def message(self, message: Any, steps: Steps) -> None:
        """Adds a message's texts and images."""
        path = path_of(steps)
        is_message = isinstance(message, Mapping) or any(True for _ in fields_of(message))
        if not is_message or items_of(message) is not None:
            raise MMRawError("invalid_type", "expected a message, an object", path)
        self.segments.append([])
        if self._first_user is None and field_of(message, "role") == "user":
            self._first_user = len(self.segments) - 1
        found = [name for name in CONTENTS if field_of(message, name) is not None]
        for name in found:
            self._content(field_of(message, name), (*steps, name))
        # Attachments, or no message but a part: nothing of it may vanish.
        self._refuse_looks(without(message, (*found, *COLUMNS)), path)
        self.columns(message, steps, len(self.segments) - 1)

    def _content(self, content: Any, steps: Steps) -> None:
        rows = items_of(content)
        if rows is None and not isinstance(content, str):
            self._part(content, steps, f"{path_of(steps)}[0]")
            return
        for index, part in enumerate([] if rows is None else rows):
            self._part(part, (*steps, index), path_of((*steps, index)))
        if isinstance(content, str):
            self._text(content, path_of(steps))

    def _part(self, part: Any, steps: Steps, path: str) -> None:
        if isinstance(part, str):
            self._text(part, path)
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
        elif kind in ("image", "image_url", "input_image") and not looks_like_image(_untyped(part)):
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
        self._refuse_looks(without(part, place.at[:1]), path, strict=True)

    def _other(self, part: Any, kind: Any, steps: Steps, path: str) -> None:
        """A part that is no image: its text, the parts within it, and what looks like an image."""
        if _is_closed(part):
            text = "expected a part with keys or attributes; an image in this one would be lost"
            self._refuse(MMRawError("image_part_unknown", text, path))
            return
        nested = [at for at in NESTED if value_at(part, at) is not None]
        for at in nested:
            self._content(value_at(part, at), (*steps, *at))
        if kind != "text" and _names_file(part):
            self._refuse(_file_id(path))
            return
        for name, other in PARTS.items():
            if _filled(field_of(part, name)):
                self._refuse(unsupported(other, path))
                return
        rest: Any = without(part, ())
        for at in nested:
            rest = put(rest, at, None)
        self._refuse_looks(rest, path)
        text = field_of(part, "text")
        if isinstance(text, str):
            self._text(text, path)

    def _text(self, text: str, path: str) -> None:
        self._refuse_looks(text, path, strict=True)
        self.segments[-1].append(text)

    def _add(self, part: Any, source: Any, place: Place, steps: Steps, path: str) -> None:
        message = next(step for step in steps if isinstance(step, int))
        inner = [step for step in steps if isinstance(step, int)][1:]
        index = inner[0] if inner else 0
        self.segments[-1].append(MessageImage(message, index, part, source, path, steps, place))

    def _refuse_looks(self, value: Any, path: str, *, strict: bool = False) -> None:
        reason = looks_like_image(value, strict=strict)
        if reason is not None:
            message = f"looks like an image by its {reason}, in no spelling that is read"
            self._refuse(MMRawError("image_part_unknown", message, path))

    def _refuse(self, error: MMRawError) -> None:
        if self._skipped is None or error.code not in _SKIPPED:
            raise error
        self._skipped[error.code] += 1

    def columns(self, holder: Any, steps: Steps, message: int | None) -> None:
        """Adds the images that stand beside the texts of a message, or of a whole row (None)."""
        for name, modality in _MEDIA_COLUMNS.items():
            if _filled(field_of(holder, name)):
                self._refuse(unsupported(modality, path_of((*steps, name))))
        for name in COLUMNS:
            value = field_of(holder, name)
            if not _filled(value):
                continue
            column, rows = (*steps, name), items_of(value)
            places = [((*column, i), row) for i, row in enumerate(rows or ())]
            self._column(column, places if rows is not None else [(column, value)], message)

    def keys_beside(self, row: Any) -> None:
        """Refuses keys of a row that name images where none was found: its column, named otherwise.

        Only the names count: other columns hold what is no part of the conversation.
        """
        names = [name for name, one in fields_of(row) if _filled(one) and name not in COLUMNS]
        self._refuse_looks({name: name for name in names}, "$")

    def _column(self, column: Steps, places: list[tuple[Steps, Any]], message: int | None) -> None:
        """Puts the images of a column where the tags of the texts are, else before the texts."""
        images = [_entry(value, steps) for steps, value in places]
        chosen = range(len(self.segments)) if message is None else (message,)
        split = {index: list(_split(self.segments[index])) for index in chosen}
        slots = sum(one is None for row in split.values() for one in row)
        others = any(isinstance(one, MessageImage) for row in split.values() for one in row)
        if others and not slots and all(_is_other(value) for _, value in places):
            return
        if slots != len(images) and (slots or others):
            text = f"{len(images)} images, and {slots} places for them"
            raise MMRawError("lengths_differ", text, path_of(column))
        if slots == 0 and split:
            index = (self._first_user or 0) if message is None else message
            self.segments[index][:0] = [_placed(image, index) for image in images]
            return
        waiting = iter(images)
        for index, row in split.items():
            self.segments[index] = [
                _placed(next(waiting), index) if one is None else one for one in row
            ]


def _is_other(value: Any) -> bool:
    """Whether an entry of a column is a text that names no image, such as a container's."""
    return isinstance(value, str) and looks_like_image(value) is None


def _entry(value: Any, steps: Steps) -> MessageImage:
    """An entry of a column."""
    found = place_of(value)
    place, source = COLUMN, value
    if found is not None and not found[0].file_id:
        place, source = msgspec.structs.replace(found[0], spelling=COLUMN.spelling), found[1]
    elif isinstance(value, Mapping) or value is None:
        text = "an entry of the column is no image that is read"
        raise MMRawError("image_part_unknown", text, path_of(steps))
    index = steps[-1] if isinstance(steps[-1], int) else 0
    return MessageImage(0, index, value, source, path_of(steps), steps, place)


def _placed(image: MessageImage, message: int) -> MessageImage:
    return msgspec.structs.replace(image, message_index=message)


#: An image part that names no source.
COLUMN_SLOT = Place("transformers", frozenset(), (), (), (), False, False, {}, {}, {})


def _split(segments: Iterable[str | MessageImage]) -> Iterator[str | MessageImage | None]:
    """Texts cut at their tags; None for each place of a column's image."""
    for one in segments:
        if not isinstance(one, str):
            yield None if one.place is COLUMN_SLOT else one
            continue
        for index, text in enumerate(one.split(COLUMN_TAG)):
            if index:
                yield None
            if text:
                yield text


def _untyped(part: Any) -> Any:
    return {name: one for name, one in fields_of(part) if name != "type"}


def _is_closed(part: Any) -> bool:
    """Whether a part is an object of which nothing can be read: bytes, an array, an open file."""
    if part is None or isinstance(part, (bool, int, float, Mapping)):
        return False
    has_text = isinstance(field_of(part, "text"), str)
    return not has_text and next(fields_of(part), None) is None


def _filled(value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float)):
        return False
    is_empty = isinstance(value, (str, bytes, list, tuple, dict)) and not cast("str", value)
    return not is_empty


def _names_file(part: Any) -> bool:
    """Whether a part is a file that its server knows by an id, and that may be an image."""
    declared = next((one for name in MEDIA_NAMES if (one := field_of(part, name))), "image/")
    is_media = str(declared).lower().startswith(tuple(LOOKS_MEDIA_TYPES))
    return is_media and any(isinstance(value_at(part, at), str) for at in FILE_IDS)


def _file_id(path: str) -> MMRawError:
    message = "a file id names a file on its own server; send the image itself"
    return MMRawError("source_unsupported", message, path)
