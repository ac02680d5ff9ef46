"""Prompts with one token for a whole image, as a family's models in Transformers take them.

Some families have several placeholder conventions (`families.conventions`). Models of Transformers
put one vector of an image at each placeholder token, so that they want as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..families import Adapter
from ..families.conventions import EXPANDED
from ..wire._generated.families import FAMILIES
from ..wire._generated.types import PlaceholderRange
from ..wire.features import Features, Slot
from .batches import PADDING

__all__ = ["MASKED", "expand_row", "has_single_tokens"]


#: The field of a row with the positions of tokens that were masked.
MASKED = "masked_tokens"


def has_single_tokens(features: Features, adapter: Adapter) -> bool:
    """True if one token stands for an image that has several."""
    return any(_missing(slot, adapter) for slot in features.slots())


def expand_row(
    row: Mapping[str, Any], tokens: list[int], features: Features, adapter: Adapter
) -> tuple[dict[str, Any], list[int], Features]:
    """A row whose images have one placeholder token for each of their own tokens.

    Args:
        row: Its fields of `PADDING` have one value for each token; what is added to them carries no
            loss.
        tokens: The prompt, whose placeholders were checked.
        features: The images of the prompt.
        adapter: The family's.
    """
    slots = sorted(features.slots(), key=lambda slot: slot.placeholder.offset)
    more = [(slot.placeholder.offset, _missing(slot, adapter)) for slot in slots]
    made = dict(row)
    for name, fill in PADDING.items():
        values = row.get(name)
        if values is not None and len(values) == len(tokens):
            made[name] = _repeated(list(values), more, [fill] * len(tokens))
    if MASKED in row:
        made[MASKED] = [position + _before(position, more) for position in row[MASKED]]
    moved = {
        modality: [_moved(place, more) for place in places]
        for modality, places in features.mm_placeholders.items()
    }
    features = msgspec.structs.replace(features, mm_placeholders=moved)
    return made, _repeated(tokens, more, tokens), features


def _missing(slot: Slot, adapter: Adapter) -> int:
    """Returns how many placeholder tokens must be added to those of an image."""
    info = FAMILIES.get(adapter.family)
    if info is None or slot.ref.family != adapter.family or EXPANDED not in info.conventions:
        return 0
    return adapter.num_tokens(slot.ref.payload) - 1 if slot.placeholder.length == 1 else 0


def _repeated(
    values: list[Any], more: Sequence[tuple[int, int]], added: Sequence[Any]
) -> list[Any]:
    """Values with some more behind those at some positions."""
    made: list[Any] = []
    done = 0
    for offset, count in more:
        made += values[done : offset + 1] + [added[offset]] * count
        done = offset + 1
    return made + values[done:]


def _moved(place: PlaceholderRange, more: Sequence[tuple[int, int]]) -> PlaceholderRange:
    own = sum(count for offset, count in more if offset == place.offset)
    offset = place.offset + _before(place.offset, more)
    return PlaceholderRange(offset=offset, length=place.length + own)


def _before(position: int, more: Sequence[tuple[int, int]]) -> int:
    """Returns how many tokens are added before a position."""
    return sum(count for offset, count in more if offset < position)
