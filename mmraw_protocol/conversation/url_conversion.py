"""Images in a features body, in content parts with their answer, and in mm_refs: one to another.

Each conversion is without loss, or refused with `not_convertible`, naming what is missing. Spans
differ: a features body counts the placeholder tokens; a server's answer also counts the tokens that
it writes around them, as the family's folder says.

Source: spec/README.md, section "Refs as URLs".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..families import Adapter, get_adapter
from ..wire._generated.families import FAMILIES, FamilyInfo
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.check import key_in_path
from ..wire.content_parts import PART_TYPE, ContentParts, parse_content_parts
from ..wire.errors import MMRawError
from ..wire.features import MAPS, Features, Slot, parse_features
from ..wire.image_urls import ImageUrl
from ..wire.mm_refs import parse_mm_refs
from ..wire.ref import RawMMRef
from .image_refs import Form, check_one_span_each, mm_refs, spans_in_order

__all__ = [
    "RequestImages",
    "content_parts_to_features",
    "features_to_content_parts",
    "features_to_mm_refs",
    "mm_refs_to_content_parts",
    "mm_refs_to_features",
    "wire_length",
]

#: The convention by which one token represents a whole image.
_ONE_TOKEN = "single"


class RequestImages(NamedTuple):
    """The images of a request as it carries them, and where the answer says they are.

    Attributes:
        content_parts: The parts, in prompt order.
        mm_placeholders: The server's spans by modality, in the expanded prompt.
    """

    content_parts: list[dict[str, str]]
    mm_placeholders: dict[str, list[dict[str, int]]]


def features_to_content_parts(
    features: Features | Mapping[str, Any] | str | bytes,
    *,
    adapters: Mapping[str, Adapter] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> RequestImages:
    """The content parts and the answer's placeholders that say what a features body says.

    Args:
        features: The body.
        adapters: The adapter of a family, if its configuration decides how many tokens represent
            an image; by default that of its defaults.
        limits: As for `parse_features`.

    Raises:
        MMRawError: not_convertible (a family without a folder, whose spans are unknown),
            placeholder_invalid (no room for the tokens around a span), and what `parse_features`
            raises.
    """
    parsed = parse_features(features, limits=limits)
    shift = 0
    parts: list[dict[str, str]] = []
    places: dict[str, list[dict[str, int]]] = {}
    for slot in sorted(parsed.slots(), key=_offset):
        path = f"$.kwargs_data{key_in_path(slot.modality)}[{slot.index}]"
        info = _info_of(slot.ref, path)
        length = slot.placeholder.length
        if _is_one_token(info, length):
            length = _num_tokens(slot.ref, adapters)
        before, after = _around(info)
        offset = slot.placeholder.offset + shift - before
        shift += length - slot.placeholder.length
        row = {"length": before + length + after, "offset": offset}
        places.setdefault(slot.modality, []).append(row)
        parts.append({"type": PART_TYPE, "url": parsed.kwargs_data[slot.modality][slot.index]})
    # With the tokens around it, a span may overlap with another, or begin before the prompt.
    spans_in_order(places, limits)
    return RequestImages(parts, places)


def content_parts_to_features(
    parts: Sequence[Mapping[str, Any]] | str | bytes | ContentParts,
    placeholders: Mapping[str, Sequence[Any]],
    *,
    placeholder: str | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """The features body that says what content parts and the answer's placeholders say.

    Args:
        parts: The content parts of the request; all are refs.
        placeholders: `mm_placeholders` of the answer.
        placeholder: `single` gives offsets in the prompt in which one token represents an image, of
            families with that convention; None leaves the prompt as the server expanded it.
        adapters: As for `features_to_content_parts`.
        limits: As for `parse_features`.

    Raises:
        MMRawError: not_convertible (a URL that is no ref; a family without a folder; a span that
            its ref does not give, which one token cannot represent), lengths_differ,
            modality_mismatch, placeholder_invalid, and what the parsers raise.
    """
    if placeholder not in (None, _ONE_TOKEN):
        message = f"expected placeholder {_ONE_TOKEN}, or None for the spans of the answer"
        raise MMRawError("unsupported_option", message)
    parsed = parse_content_parts(parts, limits=limits)
    spans = spans_in_order(placeholders, limits)
    check_one_span_each(parsed, spans)
    body: dict[str, Any] = {name: {} for name in MAPS}
    shift = 0
    for image, (modality, span) in zip(parsed.images, spans, strict=True):
        path = f"$[{image.index}].url"
        ref = _ref_of(image, path)
        info = _info_of(ref, path)
        before, after = _around(info)
        length = span.length - before - after
        if length < 1:
            message = f"expected a span of at least {before + after + 1} tokens, got {span.length}"
            raise MMRawError("placeholder_invalid", message, path)
        offset = span.offset + before - shift
        if placeholder is not None and _ONE_TOKEN in info.conventions:
            if length != _num_tokens(ref, adapters):
                message = "features would lose the span's length, which the ref does not give"
                raise MMRawError("not_convertible", message, path)
            shift, length = shift + length - 1, 1
        row = {"length": length, "offset": offset}
        for name, value in zip(MAPS, (image.url, ref.mm_hash, row), strict=True):
            body[name].setdefault(modality, []).append(value)
    return parse_features(body, limits=limits).to_dict()


def features_to_mm_refs(
    features: Features | Mapping[str, Any] | str | bytes,
    *,
    form: Form = "object",
    adapters: Mapping[str, Adapter] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """The mm_refs that say what a features body says; the arguments are as elsewhere here.

    Raises:
        MMRawError: what `features_to_content_parts` raises.
    """
    found = features_to_content_parts(features, adapters=adapters, limits=limits)
    return mm_refs(found.content_parts, found.mm_placeholders, form=form, limits=limits)


def mm_refs_to_features(
    value: Any,
    *,
    placeholder: str | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """The features body that says what mm_refs say; the arguments are as elsewhere here.

    Raises:
        MMRawError: what `mm_refs_to_content_parts` and `content_parts_to_features` raise.
    """
    found = mm_refs_to_content_parts(value, limits=limits)
    return content_parts_to_features(
        *found, placeholder=placeholder, adapters=adapters, limits=limits
    )


def mm_refs_to_content_parts(value: Any, *, limits: Limits = DEFAULT_LIMITS) -> RequestImages:
    """The content parts and the answer's placeholders that mm_refs were made of.

    Raises:
        MMRawError: not_convertible (a URL that is not a ref, whose modality is unknown), and what
            `parse_mm_refs` raises.
    """
    places: dict[str, list[dict[str, int]]] = {}
    parts: list[dict[str, str]] = []
    for image in parse_mm_refs(value, limits=limits).images:
        ref = _ref_of(image, f"$.images[{image.index}].url")
        row = {"length": image.length, "offset": image.offset}
        places.setdefault(ref.modality, []).append(row)
        parts.append({"type": PART_TYPE, "url": image.url})
    return RequestImages(parts, places)


def wire_length(ref: RawMMRef, length: int) -> int | None:
    """The length on the wire of a server's span; None of a family without a folder."""
    info = FAMILIES.get(ref.family)
    return None if info is None else length - sum(_around(info))


def _offset(slot: Slot) -> int:
    return slot.placeholder.offset


def _ref_of(image: ImageUrl, path: str) -> RawMMRef:
    if image.ref is None:
        message = "expected a ref: another URL gives no modality, hash or family"
        raise MMRawError("not_convertible", message, path)
    return image.ref


def _info_of(ref: RawMMRef, path: str) -> FamilyInfo:
    info = FAMILIES.get(ref.family)
    if info is None:
        message = "expected a built-in family, whose spans are known; got another"
        raise MMRawError("not_convertible", message, f"{path}.family")
    return info


def _around(info: FamilyInfo) -> tuple[int, int]:
    """Returns how many tokens, none or one, the server writes before and after a span."""
    return int(bool(info.vllm.before)), int(bool(info.vllm.after))


def _is_one_token(info: FamilyInfo, length: int) -> bool:
    return length == 1 and _ONE_TOKEN in info.conventions


def _num_tokens(ref: RawMMRef, adapters: Mapping[str, Adapter] | None) -> int:
    adapter = (adapters or {}).get(ref.family) or get_adapter(ref.family)
    return adapter.num_tokens(ref.payload)
