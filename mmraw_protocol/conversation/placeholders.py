"""Placeholders checked against their prompt.

Source: spec/README.md, section "Order of checks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..families import Adapter, get_adapter
from ..wire._generated.families import FAMILIES
from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.errors import MMRawError

__all__ = [
    "ImageTokens",
    "TokenIds",
    "check_placeholder_tokens",
    "check_placeholders",
    "image_tokens",
    "span_texts",
    "stray_tokens",
]

#: The name of the placeholder token if no family says what it is called.
_PAD = ""


class TokenIds:
    """The ids that a family's tokens have in one prompt.

    An id that is not known is learned from the first position where its token must be. From then on
    the token has that id, and no other token has it.

    Args:
        known: Ids by token.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self._ids = dict(known)

    def get(self, text: str) -> int | None:
        """The id of a token; None if it is not known."""
        return self._ids.get(text)

    def is_token(self, token_id: int, text: str) -> bool:
        """True if `token_id` can be the token `text`."""
        if text in self._ids:
            return self._ids[text] == token_id
        if token_id in self._ids.values():
            return False
        self._ids[text] = token_id
        return True

    def are_tokens(self, token_ids: Sequence[int], texts: Sequence[str]) -> bool:
        """True if `token_ids` can be the tokens `texts`, one by one."""
        if len(token_ids) != len(texts):
            return False
        return all(map(self.is_token, token_ids, texts))

    def are_alike(self, token_ids: Sequence[int], text: str) -> bool:
        """True if each of `token_ids` can be the token `text`."""
        first = token_ids[0]
        return self.is_token(first, text) and all(token == first for token in token_ids)


class ImageTokens(NamedTuple):
    """Ids of the tokens that represent an image in the prompts of one checkpoint.

    Attributes:
        pads: The placeholder token; several if it is not known which checkpoint it is.
        before, after: The tokens right before and after a span; None if unknown, not a
            single token, or absent.
    """

    pads: frozenset[int]
    before: int | None = None
    after: int | None = None


def image_tokens(
    family: str,
    *,
    pad_token_id: int | None = None,
    vocabulary: Mapping[str, int] | None = None,
    line: str | None = None,
) -> ImageTokens:
    """The ids of a family's tokens, as far as they are known.

    Args:
        family: One with a folder; of others nothing but `pad_token_id` is known.
        pad_token_id: The placeholder token; None if neither caller nor prompt gives it.
        vocabulary: Ids by token; None takes those published for the line of checkpoints whose
            placeholder token is `pad_token_id`, and without it, that of every line.
        line: The line of checkpoints whose tokens `vocabulary` has; None for the first.
    """
    info = FAMILIES.get(family)
    pads = frozenset[int]() if pad_token_id is None else frozenset([pad_token_id])
    if info is None:
        return ImageTokens(pads)
    if vocabulary is not None:
        tokens = info.lines[line or next(iter(info.lines))].placeholder
        known = vocabulary.get(tokens.token)
        pads = pads or frozenset([] if known is None else [known])
        return ImageTokens(pads, vocabulary.get(tokens.before), vocabulary.get(tokens.after))
    lines = list(info.lines.values())
    if pad_token_id is None:
        published = (one.token_ids.get(one.placeholder.token) for one in lines)
        return ImageTokens(frozenset(token for token in published if token is not None))
    for one in lines:
        if one.token_ids.get(one.placeholder.token) == pad_token_id:
            before, after = (one.token_ids.get(text) for text in one.placeholder[1:3])
            return ImageTokens(pads, before, after)
    return ImageTokens(pads)


def span_texts(family: str, payload: Any, adapter: Adapter | None = None) -> list[str] | None:
    """The tokens of an image's span as texts, if they are not all alike.

    Args:
        family: The image's.
        payload: Of its ref or envelope.
        adapter: The family's; None takes its defaults.

    Returns:
        None if the spans of the family hold one token alone, if the family is not known, and
        if `adapter` is of another one.

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


def check_placeholders(
    token_ids: Sequence[int] | None,
    placeholders: Sequence[PlaceholderRange],
    *,
    pad_token_id: int | None = None,
    modality: str = "image",
    spans: Sequence[Sequence[str] | None] | None = None,
) -> None:
    """The placeholders of one modality are sorted, do not overlap, and hold their tokens alone.

    Args:
        token_ids: The whole prompt; None if it is not at hand, and only order is checked.
        placeholders: Offsets are absolute in it.
        pad_token_id: The family's pad; None takes the token that the first placeholder begins with.
        modality: For the error's path.
        spans: The tokens of each placeholder as texts, as `span_texts` gives them; None, for all or
            one, means that the pad alone is there. Texts that are alike have one id.

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
            most = "" if token_ids is None else f" within {len(token_ids)} tokens"
            message = f"expected sorted placeholders without overlap{most}"
            raise MMRawError("placeholder_invalid", message, path)
        end = stop
        if token_ids is None:
            continue
        held = token_ids[place.offset : stop]
        if not (ids.are_alike(held, _PAD) if texts is None else ids.are_tokens(held, texts)):
            message = "expected the image's tokens in its placeholder range, got others"
            raise MMRawError("span_mismatch", message, path)


def check_placeholder_tokens(
    token_ids: Sequence[int] | None,
    placeholders: Mapping[str, Sequence[PlaceholderRange]],
    *,
    pad_token_id: int | None = None,
    spans: Mapping[str, Sequence[Sequence[str] | None]] | None = None,
    tokens: ImageTokens | None = None,
) -> None:
    """The placeholders hold their tokens, and every placeholder token lies in one of them.

    A placeholder token elsewhere has lost its image, or a model sampled it: a model that is trained
    on such a prompt sees nothing there, or another image.

    Args:
        token_ids: The whole prompt; None if it is not at hand, and only order is checked.
        placeholders: The ranges by modality, as in a features body.
        pad_token_id: As for `check_placeholders`.
        spans: As for `check_placeholders`, by modality.
        tokens: Ids of the family (`image_tokens`); None knows the placeholder token alone: that of
            `pad_token_id`, and what the placeholders begin with.

    Raises:
        MMRawError: placeholder_invalid, span_mismatch (at the placeholder, or at `$.token_ids[…]`).
    """
    for modality, ranges in placeholders.items():
        texts = None if spans is None else spans[modality]
        check_placeholders(
            token_ids, ranges, pad_token_id=pad_token_id, modality=modality, spans=texts
        )
        if tokens is not None and token_ids is not None:
            _check_around(token_ids, ranges, tokens, modality)
    if token_ids is None:
        return
    every = [place for ranges in placeholders.values() for place in ranges]
    pads = pads_of(token_ids, every, pad_token_id) or (tokens.pads if tokens else frozenset())
    for position in stray_tokens(token_ids, every, pads):
        message = "expected placeholder tokens within placeholder ranges only, got one outside"
        raise MMRawError("span_mismatch", message, f"$.token_ids[{position}]")


def pads_of(
    token_ids: Sequence[int], placeholders: Sequence[PlaceholderRange], pad_token_id: int | None
) -> frozenset[int]:
    """The placeholder token if it is given, else what the placeholders begin with."""
    if pad_token_id is not None:
        return frozenset([pad_token_id])
    return frozenset(token_ids[place.offset] for place in placeholders)


def stray_tokens(
    token_ids: Sequence[int], placeholders: Sequence[PlaceholderRange], pads: frozenset[int]
) -> list[int]:
    """The positions of placeholder tokens outside of all placeholders, in order."""
    found = [position for position, token in enumerate(token_ids) if token in pads]
    inside = {
        at for place in placeholders for at in range(place.offset, place.offset + place.length)
    }
    return [position for position in found if position not in inside]


def _check_around(
    token_ids: Sequence[int],
    placeholders: Sequence[PlaceholderRange],
    tokens: ImageTokens,
    modality: str,
) -> None:
    for index, place in enumerate(placeholders):
        stop = place.offset + place.length
        for position, wanted in ((place.offset - 1, tokens.before), (stop, tokens.after)):
            inside = 0 <= position < len(token_ids)
            if wanted is not None and not (inside and token_ids[position] == wanted):
                message = "expected the family's tokens around a placeholder range, got others"
                path = f"$.mm_placeholders{key_in_path(modality)}[{index}]"
                raise MMRawError("span_mismatch", message, path)
