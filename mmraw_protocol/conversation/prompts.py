"""A plain prompt for where no tokenizer is at hand: the demo, `mmraw pack`, tests.

A renderer brings its own token ids and offsets; this stand-in counts every special token
(`<|name|>`) as one token and every other UTF-8 byte as one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from ..families import Adapter
from ..system.shown import Shown
from ..wire._generated.types import PlaceholderRange
from .found import MessageText, value_at_steps
from .messages import PackedImage
from .places import field_of
from .reading import read_conversation

_SPECIAL = re.compile(r"<\|[a-z_]+\|>")


class StandInPrompt(Shown, msgspec.Struct, frozen=True):
    """The prompt's text, how many tokens it counts, and one placeholder per image."""

    text: str
    num_tokens: int
    placeholders: list[PlaceholderRange]


def count_tokens(text: str) -> int:
    """Special tokens plus the bytes of all other text."""
    special = _SPECIAL.findall(text)
    return len(special) + len(text.encode("utf-8")) - sum(map(len, special))


def stand_in_prompt(
    messages: Any, images: Sequence[PackedImage], adapter: Adapter
) -> StandInPrompt:
    """The conversation as `<|im_start|>role`, content, `<|im_end|>`, images in their places.

    Raises:
        MMRawError: not_convertible (images of answers beside the messages).
    """
    waiting = iter(images)
    parts: list[str] = []
    placeholders: list[PlaceholderRange] = []
    position = 0

    def add(text: str) -> None:
        nonlocal position
        parts.append(text)
        position += count_tokens(text)

    conversation = read_conversation(messages, Counter())
    conversation.check_whole()
    rows = value_at_steps(conversation.given, conversation.steps)
    for message, segments in zip(rows, conversation.segments, strict=True):
        add(f"<|im_start|>{field_of(message, 'role')}\n")
        for segment in segments:
            if isinstance(segment, MessageText):
                add(segment.text)
                continue
            payload = next(waiting).item.payload
            span = adapter.span(payload)
            before, _, after = adapter.prompt_text(payload).partition("".join(span))
            add(before)
            placeholders.append(PlaceholderRange(offset=position, length=len(span)))
            parts.extend(span)
            position += len(span)
            add(after)
        add("<|im_end|>\n")
    return StandInPrompt("".join(parts), position, placeholders)
