"""What the reader of messages finds: images with their places, and how a conversation is rewritten.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..system.shown import Shown
from ..wire._generated.messages import COLUMNS, CONTENTS, LAYOUT_PARAMETERS
from .places import COLUMN, Place, changed, field_of, fields_of, value_at

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
    """

    message_index: int
    part_index: int
    part: Any
    source: Any
    path: str = "$"
    steps: Steps = ()
    place: Place = COLUMN

    def __hash__(self) -> int:
        return hash((self.message_index, self.part_index, self.path))

    @property
    def spelling(self) -> str:
        """One of the spellings of spec/messages.json."""
        return self.place.spelling

    @property
    def layout_parameters(self) -> dict[str, Any]:
        """What the part says of the layout of its image alone, for example `max_pixels`.

        It may stand beside the source, too: in `image_url`, beside its `url`.
        """
        holders = [self.part, value_at(self.part, self.place.at[:-1])]
        said = {
            name: next((one for at in holders if (one := field_of(at, name)) is not None), None)
            for name in LAYOUT_PARAMETERS
        }
        return {name: value for name, value in said.items() if value is not None}

    @property
    def in_column(self) -> bool:
        """Whether it stands in a column beside the texts."""
        return self.spelling == COLUMN.spelling

    def _shown(self) -> Mapping[str, object]:
        return {"path": self.path, "spelling": self.spelling, "source": self.source}


class Conversation(Shown, msgspec.Struct, frozen=True):
    """A conversation that was read.

    Attributes:
        given: What was read, with lists in place of iterators.
        steps: Where in it the messages stand.
        segments: For each message its texts and images, in order.
        images: All of its images, in order.
    """

    given: Any
    steps: Steps
    segments: list[list[str | MessageImage]]
    images: list[MessageImage]

    def with_images(self, values: Sequence[Any]) -> list[Any]:
        """The messages with these parts in place of their images, in the order of `images`.

        Images of a column become parts of the message whose text has their tags.
        """
        parts = dict(zip((image.path for image in self.images), values, strict=True))
        result = list(value_at_steps(self.given, self.steps))
        for index, segments in enumerate(self.segments):
            found = [one for one in segments if isinstance(one, MessageImage)]
            if any(image.in_column for image in found):
                result[index] = _rebuilt(result[index], segments, parts)
                continue
            for image in found:
                at = image.steps[len(self.steps) + 1 :]
                result[index] = put(result[index], at, parts[image.path])
        return result


def _rebuilt(message: Any, segments: list[str | MessageImage], parts: Mapping[str, Any]) -> Any:
    """A message whose content is a list of parts; its column is empty."""
    content = [
        {"type": "text", "text": one} if isinstance(one, str) else parts[one.path]
        for one in segments
    ]
    key = next((name for name in CONTENTS if field_of(message, name) is not None), CONTENTS[0])
    columns = [name for name in COLUMNS if field_of(message, name) is not None]
    made = changed(message, {key: content, **dict.fromkeys(columns)})
    return without(made, columns) if isinstance(made, Mapping) else made


def without(value: Any, names: Sequence[str]) -> dict[str, Any]:
    """What an object holds but these keys."""
    return {name: one for name, one in fields_of(value) if name not in names}


def path_of(steps: Steps) -> str:
    """Keys and indices as errors name them."""
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


def value_at_steps(value: Any, steps: Steps) -> Any:
    """What keys and indices lead to."""
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
