"""Results of reading messages: images with their places, and how a conversation is rewritten.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ..system.shown import Shown
from ..wire._generated.messages import CONTENTS, LAYOUT_PARAMETERS
from ..wire.errors import MMRawError
from .places import COLUMN, Place, changed, field_of, fields_of, items_of, said, value_at

Steps = tuple[str | int, ...]


class MessageImage(Shown, msgspec.Struct, frozen=True):
    """An image of a conversation.

    Attributes:
        message_index, part_index: The message, and the part of its content (or the entry of its
            column) that the image is or stands in.
        part: What holds the image: a part, an entry of a column.
        source: Bytes, a URL, a path, base64, a picture; None where the part names none.
        path: Where it stands, for errors.
        steps: Keys and indices that lead to `part`.
        place: Where in the part the source stands.
        slot: What leads to the text whose tag, or to the part, that an image of a column stands
            for; empty where it stands before the texts of its message.
        layout_around: What its slot, message and row say of its layout.
    """

    message_index: int
    part_index: int
    part: Any
    source: Any
    path: str = "$"
    steps: Steps = ()
    place: Place = COLUMN
    slot: Steps = ()
    layout_around: Mapping[str, Any] = {}

    def __hash__(self) -> int:
        return hash((self.message_index, self.part_index, self.path))

    @property
    def spelling(self) -> str:
        """One of the spellings of spec/messages.json."""
        return self.place.spelling

    @property
    def layout_parameters(self) -> dict[str, Any]:
        """Layout parameters for this image alone, for example `max_pixels`.

        It stands in the part, or beside the source in it (in `image_url`, beside its `url`), or
        else in what is around the part.
        """
        beside = layout_said(value_at(self.part, self.place.at[:-1]))
        return {**self.layout_around, **beside, **layout_said(self.part)}

    @property
    def in_column(self) -> bool:
        """True if it stands in a column beside the texts."""
        return self.spelling == COLUMN.spelling

    def _shown(self) -> Mapping[str, object]:
        return {"path": self.path, "spelling": self.spelling, "source": self.source}


def layout_said(holder: Any) -> dict[str, Any]:
    """The layout parameters that a part, a message or a row names."""
    return said(holder, LAYOUT_PARAMETERS)


class MessageText(msgspec.Struct, frozen=True):
    """A text of a conversation, or a piece of it, and what leads to it."""

    text: str
    steps: Steps


Segment = MessageText | MessageImage


class Conversation(Shown, msgspec.Struct, frozen=True):
    """A conversation that was read.

    Attributes:
        given: What was read, with lists in place of iterators.
        steps: Where in it the messages stand.
        segments: For each message its texts and images, in order.
        images: All of its images, in order; also those of answers beside the messages.
    """

    given: Any
    steps: Steps
    segments: list[list[Segment]]
    images: list[MessageImage]

    def check_whole(self) -> None:
        """Rejects a row whose answers, beside its messages, have images.

        Raises:
            MMRawError: not_convertible, with the path of such an image.
        """
        own = {one.path for row in self.segments for one in row if isinstance(one, MessageImage)}
        for image in self.images:
            if image.path not in own:
                message = "expected one list of messages, got an image outside of it"
                raise MMRawError("not_convertible", message, image.path)

    def with_images(self, values: Sequence[Any]) -> list[Any]:
        """The messages with these parts in place of their images, in the order of `images`.

        Images of a column become parts of the message whose text has their tags. All else stays.

        Raises:
            MMRawError: not_convertible (images of answers beside the messages).
        """
        self.check_whole()
        parts = dict(zip((image.path for image in self.images), values, strict=True))
        result = list(value_at_steps(self.given, self.steps))
        depth = len(self.steps) + 1
        for index, segments in enumerate(self.segments):
            pieces: dict[Steps, list[Any]] = {}
            for one in segments:
                at = one.steps[depth:]
                piece: Any = one.text if isinstance(one, MessageText) else parts[one.path]
                if isinstance(one, MessageImage) and one.in_column:
                    at = one.slot[depth:]
                    piece = _in_slot(value_at_steps(result[index], at), piece) if at else piece
                pieces.setdefault(at, []).append(piece)
            # From the last on, so that indices before stay true.
            for at, row in reversed(pieces.items()):
                result[index] = _with_pieces(result[index], at, row)
            own = (*self.steps, index)
            columns = [
                str(one.steps[len(own)])
                for one in segments
                if isinstance(one, MessageImage) and one.in_column and one.steps[: len(own)] == own
            ]
            result[index] = _emptied(result[index], columns)
        return result


def _with_pieces(message: Any, at: Steps, pieces: list[Any]) -> Any:
    """A message with texts and parts in place of what stands at some steps."""
    if not at:
        key = next((name for name in CONTENTS if field_of(message, name) is not None), CONTENTS[0])
        return put(message, (key,), [*pieces, *_parts_of(field_of(message, key))])
    old = value_at_steps(message, at)
    if isinstance(old, str) and pieces == [old]:
        return message
    if not isinstance(old, str):
        return put(message, at, pieces[0])
    if isinstance(at[-1], int):
        return _spliced(message, at, pieces)
    if at[-1] != "text":
        return put(message, at, [_text_part(one) for one in pieces])
    part = value_at_steps(message, at[:-1])
    rows = [changed(part, {"text": one}) if isinstance(one, str) else one for one in pieces]
    is_item = len(at) > 1 and isinstance(at[-2], int)
    return _spliced(message, at[:-1], rows) if is_item else put(message, at[:-1], rows)


def _spliced(message: Any, at: Steps, rows: list[Any]) -> Any:
    """A message with items in place of one item of a list."""
    index = cast("int", at[-1])
    items = list(value_at_steps(message, at[:-1]))
    return put(message, at[:-1], [*items[:index], *rows, *items[index + 1 :]])


def _in_slot(slot: Any, part: Any) -> Any:
    """A part in place of one without source, whose other keys stay."""
    if not isinstance(slot, Mapping) or not isinstance(part, Mapping):
        return cast("object", part)
    kept = {name: one for name, one in fields_of(slot) if one is not None and name not in part}
    return {**cast("Mapping[str, Any]", part), **kept}


def _parts_of(content: Any) -> list[Any]:
    if content is None or content == "":
        return []
    rows = items_of(content)
    return [_text_part(content)] if rows is None else list(rows)


def _text_part(piece: Any) -> Any:
    return {"type": "text", "text": piece} if isinstance(piece, str) else piece


def _emptied(message: Any, columns: Sequence[str]) -> Any:
    """A message without the columns whose images are parts now."""
    if not columns:
        return message
    is_mapping = isinstance(message, Mapping)
    return without(message, columns) if is_mapping else changed(message, dict.fromkeys(columns))


def without(value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Returns an object without these keys."""
    return {name: one for name, one in fields_of(value) if name not in names}


def without_source(part: Any, at: Sequence[str]) -> dict[str, Any]:
    """Returns a part without the source at a path of keys; what is beside the source stays."""
    rest = without(part, at[:1])
    inner = without_source(field_of(part, at[0]), at[1:]) if len(at) > 1 else {}
    return {**rest, at[0]: inner} if inner else rest


def path_of(steps: Steps) -> str:
    """Keys and indices as errors name them."""
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


def value_at_steps(value: Any, steps: Steps) -> Any:
    """Returns the value to which keys and indices lead."""
    for step in steps:
        value = value[step] if isinstance(step, int) else field_of(value, step)
    return value


def put(value: Any, steps: Sequence[str | int], new: Any) -> Any:
    """A copy of the same kind with `new` where the steps lead to."""
    if not steps:
        return new
    step = steps[0]
    if not isinstance(step, int):
        return changed(value, {step: put(field_of(value, step), steps[1:], new)})
    items = list(value)
    items[step] = put(items[step], steps[1:], new)
    if hasattr(value, "dtype"):
        made = value.copy()
        made[step] = items[step]
        return made
    return tuple(items) if isinstance(value, tuple) else items
