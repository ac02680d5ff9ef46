"""The placeholder conventions of a family: how many tokens of a prompt represent an image.

A family of spec/families/ lists them if it has several. The span's length distinguishes them.
"""

from __future__ import annotations

from ..wire._generated.families import FAMILIES
from ..wire.ref import Payload
from .base import Adapter, Layout

#: One token for the whole image.
SINGLE = "single"
#: One placeholder token for each token of the image.
EXPANDED = "expanded"


def placeholder_lengths(adapter: Adapter, layout: Layout) -> tuple[int, ...]:
    """The lengths that a placeholder of this layout may have in a prompt.

    A family that has conventions allows those of each, whichever `adapter` was made with.
    """
    return _lengths(adapter.family, layout.num_tokens) or (layout.placeholder_length,)


def payload_lengths(adapter: Adapter, payload: Payload) -> tuple[int, ...]:
    """`placeholder_lengths` of a payload, if the size of the image is not known."""
    lengths = _lengths(adapter.family, adapter.num_tokens(payload))
    return lengths or (adapter.placeholder_length(payload),)


def _lengths(family: str, num_tokens: int) -> tuple[int, ...]:
    """The lengths by the family's conventions; empty if it has none."""
    info = FAMILIES.get(family)
    lengths = {SINGLE: 1, EXPANDED: num_tokens}
    return () if info is None else tuple(lengths[name] for name in info.conventions)
