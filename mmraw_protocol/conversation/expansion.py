"""Prompts as a server takes and as it expands them: one target for each image, or its span.

What vLLM and SGLang expand, and what they write, is in the folder of each family.
Source: spec/README.md, section "Expansion".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..families import Adapter, get_adapter
from ..wire._generated.checks import check_placeholder_range
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError
from ..wire.modality import check_modality
from ..wire.ref import RawMMRef, parse_ref
from .family_tokens import DEFAULT_ENGINE, FamilyTokens

__all__ = ["ImagePrompt", "compact_prompt", "expand_prompt"]


class ImagePrompt(NamedTuple):
    """A prompt with images.

    Attributes:
        token_ids: The whole prompt.
        placeholders: Where the images are in it, in order: the spans as they are on the wire, or
            the targets, one token each.
    """

    token_ids: list[int]
    placeholders: list[PlaceholderRange]


def expand_prompt(
    token_ids: Sequence[int],
    refs: Sequence[RawMMRef | str],
    adapter: Adapter | None = None,
    *,
    vocabulary: Mapping[str, int] | None = None,
    form: str | None = None,
    engine: str = DEFAULT_ENGINE,
    limits: Limits = DEFAULT_LIMITS,
) -> ImagePrompt:
    """The prompt that a server makes of one with a target for each image; undoes `compact_prompt`.

    Lengths are those that the refs' payloads give. That a payload is right for its image, and that
    it was made with the layout parameters of `adapter`, `Materializer` checks.

    Args:
        token_ids: The prompt, with the family's target once for each image.
        refs: The images' refs, in the order of the prompt.
        adapter: The family's; None takes the defaults of the family that the refs name.
        vocabulary: Ids by token, as a tokenizer's `get_vocab()` gives them; None takes those that
            are published for the adapter's line of checkpoints.
        form: A further form of prompts of the family there; the error says why it cannot be.
        engine: The server, `vllm` or `sglang`.
        limits: Of refs and their count.

    Returns:
        The prompt, each target replaced by what the server writes; the spans on the wire. If a
        family has placeholder conventions, the prompt follows `expanded`.

    Raises:
        MMRawError: lengths_differ (a target without ref, a ref without target), span_mismatch (a
            placeholder token that is no target), missing_field (ids that are not known),
            unknown_family (refs of several families, or of none with a folder), unsupported_option
            (of form or engine), modality_unsupported, limit_exceeded, and what
            `parse_ref` and the family's payload raise, with the ref's path.
    """
    parsed = _parsed(refs, limits)
    tokens = FamilyTokens(_adapter_of(adapter, parsed), vocabulary, form, engine)
    spans = [tokens.span(ref, index) for index, ref in enumerate(parsed)]
    if spans:
        tokens.check_known()
    target, pad = tokens.id_of(tokens.target), tokens.id_of(tokens.pad)
    found: list[int] = []
    places: list[PlaceholderRange] = []
    for position, token in enumerate(token_ids):
        if token == target:
            if len(places) == len(spans):
                message = f"expected one target for each ref, got more than {len(spans)} targets"
                raise MMRawError("lengths_differ", message, f"$.token_ids[{position}]")
            span = spans[len(places)]
            found += tokens.ids_of([tokens.before])
            places.append(PlaceholderRange(offset=len(found), length=len(span)))
            found += tokens.ids_of([*span, tokens.after])
        elif token == pad:
            raise _stray(position)
        else:
            found.append(token)
    if len(places) < len(spans):
        message = f"expected {len(spans)} targets, one for each ref; got {len(places)}"
        raise MMRawError("lengths_differ", message, f"$.refs[{len(places)}]")
    return ImagePrompt(found, places)


def compact_prompt(
    token_ids: Sequence[int],
    placeholders: Sequence[PlaceholderRange | Mapping[str, int]],
    adapter: Adapter | None = None,
    *,
    refs: Sequence[RawMMRef | str] | None = None,
    vocabulary: Mapping[str, int] | None = None,
    form: str | None = None,
    engine: str = DEFAULT_ENGINE,
    limits: Limits = DEFAULT_LIMITS,
) -> ImagePrompt:
    """The prompt that a server expands to this one; inverse of `expand_prompt`.

    Ids that are not known are learned from the prompt: tokens around the spans are then dropped by
    their position alone, and a token has one id throughout.

    Args:
        token_ids: The prompt with its spans. If a family has placeholder conventions, each span
            may follow any of them.
        placeholders: The spans on the wire, in the order of the prompt: ranges, or objects of
            offset and length as requests and answers carry them.
        adapter: The family's; None takes the defaults of the family that the refs name.
        refs: The images' refs, if the length of each span is to be checked.
        vocabulary: As for `expand_prompt`.
        form: Likewise.
        engine: Likewise.
        limits: Of refs and their count.

    Returns:
        The prompt with one target for each image; the targets' places.

    Raises:
        MMRawError: placeholder_invalid (spans that overlap, are out of order, or reach beyond the
            prompt), placeholder_mismatch (a length that the ref does not give), span_mismatch (a
            span with other tokens, without the tokens that are written around it, and targets or
            placeholder tokens outside of every span), lengths_differ (as many refs are given as
            there are placeholders, or none), what the schema of placeholders says, and what
            `expand_prompt` raises for options and refs.
    """
    parsed = None if refs is None else _parsed(refs, limits)
    tokens = FamilyTokens(_adapter_of(adapter, parsed or []), vocabulary, form, engine)
    if parsed is not None and len(parsed) != len(placeholders):
        count = len(placeholders)
        message = f"expected one ref for each placeholder, got {len(parsed)} for {count}"
        raise MMRawError("lengths_differ", message, "$.refs")
    replaced: list[tuple[int, int]] = []
    done = end = 0
    for index, given in enumerate(placeholders):
        path = f"$.placeholders[{index}]"
        place = _range_of(given, path, limits)
        stop = place.offset + place.length
        if place.offset < end or place.length < 1 or stop > len(token_ids):
            message = f"expected sorted placeholders without overlap within {len(token_ids)} tokens"
            raise MMRawError("placeholder_invalid", message, path)
        texts = None if parsed is None else tokens.span(parsed[index], index, place.length)
        tokens.check_span(token_ids[place.offset : stop], texts, path)
        replaced.append(tokens.stretch(token_ids, place, done, path))
        done, end = replaced[-1][1], stop
    return _compacted(token_ids, replaced, tokens)


def _parsed(refs: Sequence[RawMMRef | str], limits: Limits) -> list[RawMMRef]:
    """The refs, parsed.

    Raises:
        MMRawError: limit_exceeded, modality_unsupported, and what `parse_ref` raises, with the
            ref's path.
    """
    if len(refs) > limits.features_images:
        message = f"expected at most {limits.features_images} images, got {len(refs)}"
        raise MMRawError("limit_exceeded", message, "$.refs")
    return [_parsed_one(ref, limits, f"$.refs[{index}]") for index, ref in enumerate(refs)]


def _parsed_one(ref: RawMMRef | str, limits: Limits, path: str) -> RawMMRef:
    failed: MMRawError | None = None
    try:
        parsed = ref if isinstance(ref, RawMMRef) else parse_ref(ref, limits=limits)
        check_modality(parsed.modality, "$.modality")
        return parsed
    except MMRawError as error:
        failed = error
    raise failed.with_path_prefix(path)


def _range_of(
    place: PlaceholderRange | Mapping[str, int], path: str, limits: Limits
) -> PlaceholderRange:
    if isinstance(place, PlaceholderRange):
        return place
    value: Any = dict(place) if isinstance(place, Mapping) else place  # pyright: ignore[reportUnnecessaryIsInstance]
    check_placeholder_range(value, path, limits)
    return PlaceholderRange(**value)


def _adapter_of(adapter: Adapter | None, refs: Sequence[RawMMRef]) -> Adapter:
    if adapter is not None:
        return adapter
    if not refs:
        message = "expected an adapter, since no ref names the family; got none"
        raise MMRawError("unsupported_option", message)
    return get_adapter(refs[0].family)


def _compacted(
    token_ids: Sequence[int], replaced: Sequence[tuple[int, int]], tokens: FamilyTokens
) -> ImagePrompt:
    """The prompt with a target in place of each stretch, and no such token elsewhere."""
    if replaced:
        tokens.check_known(tokens.target)
    strays = {tokens.id_of(tokens.target), tokens.id_of(tokens.pad)}
    found: list[int] = []
    places: list[PlaceholderRange] = []
    done = 0
    for start, stop in [*replaced, (len(token_ids), len(token_ids))]:
        kept = token_ids[done:start]
        for position, token in enumerate(kept, done):
            if token in strays:
                raise _stray(position)
        found.extend(kept)
        if len(places) < len(replaced):
            places.append(PlaceholderRange(offset=len(found), length=1))
            found += tokens.ids_of([tokens.target])
        done = stop
    return ImagePrompt(found, places)


def _stray(position: int) -> MMRawError:
    message = "expected target and placeholder tokens within images only, got one outside"
    return MMRawError("span_mismatch", message, f"$.token_ids[{position}]")
