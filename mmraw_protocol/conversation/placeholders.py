"""Placeholders checked against their prompt.

Source: spec/README.md, section "Order of checks".
"""

from __future__ import annotations

from collections.abc import Sequence

from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.errors import MMRawError

__all__ = ["check_spans"]


def check_spans(
    token_ids: Sequence[int] | None,
    placeholders: Sequence[PlaceholderRange],
    *,
    pad_token_id: int | None = None,
    modality: str = "image",
) -> None:
    """The placeholders of one modality are sorted, do not overlap, and hold the pad alone.

    Args:
        token_ids: The whole prompt; None where it is not at hand, and only order is checked.
        placeholders: Offsets are absolute in it.
        pad_token_id: The family's pad; None takes the token that the first placeholder begins with.
        modality: For the error's path.

    Raises:
        MMRawError: placeholder_invalid, span_mismatch.
    """
    end, pad = 0, pad_token_id
    for index, place in enumerate(placeholders):
        path = f"$.mm_placeholders{key_in_path(modality)}[{index}]"
        stop = place.offset + place.length
        beyond = token_ids is not None and stop > len(token_ids)
        if place.offset < end or place.length < 1 or beyond:
            message = "placeholders are sorted, do not overlap, and lie within the prompt"
            raise MMRawError("placeholder_invalid", message, path)
        end = stop
        if token_ids is None:
            continue
        pad = token_ids[place.offset] if pad is None else pad
        if any(token != pad for token in token_ids[place.offset : stop]):
            message = "a placeholder's span holds other tokens than the pad"
            raise MMRawError("span_mismatch", message, path)
