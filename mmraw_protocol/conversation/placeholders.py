"""Placeholders checked against their prompt.

Source: spec/README.md, section "Order of checks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..families import Adapter, get_adapter
from ..wire._generated.families import FAMILIES
from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.errors import MMRawError

__all__ = ["TokenIds", "check_spans", "span_texts"]

#: The name of the placeholder token where no family says what it is called.
_PAD = ""


class TokenIds:
    """The ids that a family's tokens have in one prompt.

    An id that is not known is learned from the first place where its token must stand. From then on
    the token has that id, and no other token has it.

    Args:
        known: Ids by token.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self._ids = dict(known)

    def get(self, text: str) -> int | None:
        """The id of a token; None where it is not known."""
        return self._ids.get(text)

    def is_token(self, token_id: int, text: str) -> bool:
        """Whether `token_id` can be the token `text`."""
        if text in self._ids:
            return self._ids[text] == token_id
        if token_id in self._ids.values():
            return False
        self._ids[text] = token_id
        return True

    def are_tokens(self, token_ids: Sequence[int], texts: Sequence[str]) -> bool:
        """Whether `token_ids` can be the tokens `texts`, one by one."""
        if len(token_ids) != len(texts):
            return False
        return all(map(self.is_token, token_ids, texts))

    def are_alike(self, token_ids: Sequence[int], text: str) -> bool:
        """Whether each of `token_ids` can be the token `text`."""
        first = token_ids[0]
        return self.is_token(first, text) and all(token == first for token in token_ids)


def span_texts(family: str, payload: Any, adapter: Adapter | None = None) -> list[str] | None:
    """The tokens of an image's span as texts, where they are not all alike.

    Args:
        family: The image's.
        payload: Of its ref or envelope.
        adapter: The family's; None takes its defaults.

    Returns:
        None where the spans of the family hold one token alone, where the family is not known, and
        where `adapter` is of another one.

    Raises:
        MMRawError: what `parse_payload` raises.
    """
    info = FAMILIES.get(family)
    if adapter is not None and adapter.family != family:
        return None
    if (adapter is None) if info is None else not info.placeholder.row_end:
        return None
    adapter = adapter or get_adapter(family)
    texts = adapter.span(adapter.parse_payload(payload))
    return texts if len(set(texts)) > 1 else None


def check_spans(
    token_ids: Sequence[int] | None,
    placeholders: Sequence[PlaceholderRange],
    *,
    pad_token_id: int | None = None,
    modality: str = "image",
    spans: Sequence[Sequence[str] | None] | None = None,
) -> None:
    """The placeholders of one modality are sorted, do not overlap, and hold their tokens alone.

    Args:
        token_ids: The whole prompt; None where it is not at hand, and only order is checked.
        placeholders: Offsets are absolute in it.
        pad_token_id: The family's pad; None takes the token that the first placeholder begins with.
        modality: For the error's path.
        spans: The tokens of each placeholder as texts, as `span_texts` gives them; None, for all or
            one, means that the pad alone stands there. Texts that are alike have one id.

    Raises:
        MMRawError: placeholder_invalid, span_mismatch.
    """
    given = spans or [None] * len(placeholders)
    pads = {_PAD if texts is None else texts[0] for texts in given}
    ids = TokenIds({} if pad_token_id is None else dict.fromkeys(pads, pad_token_id))
    end = 0
    for index, (place, texts) in enumerate(zip(placeholders, given, strict=True)):
        path = f"$.mm_placeholders{key_in_path(modality)}[{index}]"
        stop = place.offset + place.length
        beyond = token_ids is not None and stop > len(token_ids)
        if place.offset < end or place.length < 1 or beyond:
            message = "placeholders are sorted, do not overlap, and lie within the prompt"
            raise MMRawError("placeholder_invalid", message, path)
        end = stop
        if token_ids is None:
            continue
        held = token_ids[place.offset : stop]
        if not (ids.are_alike(held, _PAD) if texts is None else ids.are_tokens(held, texts)):
            message = "a placeholder's span holds other tokens than those of its image"
            raise MMRawError("span_mismatch", message, path)
