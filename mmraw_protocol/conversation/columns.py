"""Images in a column outside of the texts, and their positions in these.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..wire._generated.messages import COLUMN_TAG
from ..wire.errors import MMRawError
from .found import MessageImage, MessageText, Segment, Steps, path_of, without_source
from .looks import looks_like_image
from .places import COLUMN, Place, place_of

#: The place of an image part that names no source.
COLUMN_SLOT = Place("transformers", frozenset(), (), (), (), False, False, {}, {}, {})


class _Slot(msgspec.Struct):
    """The place of a column's image, and what the part there says of its layout."""

    steps: Steps
    layout: dict[str, Any]


def fill(
    column: Steps,
    entries: Sequence[tuple[Steps, Any]],
    segments: list[list[Segment]],
    lists: Sequence[range],
    first: int,
) -> None:
    """Puts a column's images where the texts have tags, else before those of a message.

    Args:
        column: What leads to the column.
        entries: Its images, with the steps that lead to each.
        segments: Those of all messages; changed.
        lists: Which of them belong to each list of messages.
        first: The message that takes the images if no text has a place for them.

    Raises:
        MMRawError: image_part_unknown (an entry), lengths_differ (at the column).
    """
    images = [_entry(value, steps) for steps, value in entries]
    split = {index: list(_split(segments[index])) for one in lists for index in one}
    counts = [sum(map(_is_slot, (one for index in row for one in split[index]))) for row in lists]
    if sum(counts) != len(images) and {*counts} == {len(images)}:
        # Answers that repeat the prompt: each has its places for the same images.
        for index in (index for row in lists[1:] for index in row):
            segments[index] = [one for one in split.pop(index) if not isinstance(one, _Slot)]
        counts = counts[:1]
    slots = sum(counts)
    others = any(isinstance(one, MessageImage) for row in split.values() for one in row)
    if others and not slots and all(_is_other(value) for _, value in entries):
        return
    if slots != len(images) and (slots or others):
        text = f"expected one image for each of {slots} places, got {len(images)}"
        raise MMRawError("lengths_differ", text, path_of(column))
    if slots == 0 and split:
        segments[first][:0] = images
        return
    waiting = iter(images)
    for index, row in split.items():
        segments[index] = [
            msgspec.structs.replace(next(waiting), slot=one.steps, layout_around=one.layout)
            if isinstance(one, _Slot)
            else one
            for one in row
        ]


def _is_slot(one: Segment | _Slot) -> bool:
    return isinstance(one, _Slot)


def _split(segments: Iterable[Segment]) -> Iterator[Segment | _Slot]:
    """Texts cut at their tags, with the places of a column's images."""
    for one in segments:
        if isinstance(one, MessageImage):
            is_slot = one.place is COLUMN_SLOT
            yield _Slot(one.steps, one.layout_parameters) if is_slot else one
            continue
        for index, text in enumerate(one.text.split(COLUMN_TAG)):
            if index:
                yield _Slot(one.steps, {})
            if text:
                yield MessageText(text, one.steps)


def _entry(value: Any, steps: Steps) -> MessageImage:
    """An entry of a column."""
    found = place_of(value)
    place, source = COLUMN, value
    if found is not None and not found[0].file_id:
        place, source = msgspec.structs.replace(found[0], spelling=COLUMN.spelling), found[1]
        is_known = looks_like_image(without_source(value, place.at), strict=True) is None
    else:
        is_known = value is not None and not isinstance(value, Mapping)
    if not is_known:
        text = "expected one image in a known spelling in each entry of the column"
        raise MMRawError("image_part_unknown", text, path_of(steps))
    index = steps[-1] if isinstance(steps[-1], int) else 0
    return MessageImage(0, index, value, source, path_of(steps), steps, place)


def _is_other(value: Any) -> bool:
    """True if an entry of a column is a text that names no image, such as a container's."""
    return isinstance(value, str) and looks_like_image(value) is None
