"""A plain prompt for where no tokenizer is at hand: the demo, `mmraw pack`, tests.

A renderer brings its own token ids and offsets; this stand-in counts every special token
(`<|name|>`) as one token and every other UTF-8 byte as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ..families import Adapter
from ..system.shown import Shown
from ..wire._generated.types import PlaceholderRange
from .messages import PackedImage, is_image_part

_SPECIAL = re.compile(r"<\|[a-z_]+\|>")


class PlainPrompt(Shown, msgspec.Struct, frozen=True):
    """The prompt's text, how many tokens it counts, and one placeholder per image."""

    text: str
    num_tokens: int
    placeholders: list[PlaceholderRange]


def count_tokens(text: str) -> int:
    """Special tokens plus the bytes of all other text."""
    special = _SPECIAL.findall(text)
    return len(special) + len(text.encode("utf-8")) - sum(map(len, special))


def plain_prompt(
    messages: Sequence[Any], images: Sequence[PackedImage], adapter: Adapter
) -> PlainPrompt:
    """The conversation as `<|im_start|>role`, content, `<|im_end|>`, images in their places."""
    waiting = iter(images)
    parts: list[str] = []
    placeholders: list[PlaceholderRange] = []
    position = 0

    def add(text: str) -> None:
        nonlocal position
        parts.append(text)
        position += count_tokens(text)

    for message in messages:
        add(f"<|im_start|>{_field(message, 'role')}\n")
        content = _field(message, "content")
        for part in [content] if isinstance(content, str) else cast("list[Any]", content or []):
            if is_image_part(part):
                payload = next(waiting).item.payload
                span = adapter.span(payload)
                before, _, after = adapter.prompt_text(payload).partition("".join(span))
                add(before)
                placeholders.append(PlaceholderRange(offset=position, length=len(span)))
                parts.extend(span)
                position += len(span)
                add(after)
            else:
                add(part if isinstance(part, str) else str(_field(part, "text") or ""))
        add("<|im_end|>\n")
    return PlainPrompt("".join(parts), position, placeholders)


def _field(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
