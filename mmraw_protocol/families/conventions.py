"""The placeholder conventions of a family: how many tokens of a prompt stand for an image.

A family of spec/families/ lists them where it has several. The span tells them apart.
"""

from __future__ import annotations

from ..wire._generated.families import FAMILIES
from .base import Adapter, Layout

#: One token for the whole image.
SINGLE = "single"
#: One placeholder token for each token of the image.
EXPANDED = "expanded"


def placeholder_lengths(adapter: Adapter, layout: Layout) -> tuple[int, ...]:
    """The lengths that a placeholder of this layout may have in a prompt.

    A family that has conventions allows those of each, whichever `adapter` was made with.
    """
    info = FAMILIES.get(adapter.family)
    if info is None or not info.conventions:
        return (layout.placeholder_length,)
    lengths = {SINGLE: 1, EXPANDED: layout.num_tokens}
    return tuple(lengths[name] for name in info.conventions)
