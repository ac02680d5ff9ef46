"""Refs in the features of a generate request: the same request with refs as URLs.

vLLM then loads, processes and expands as on every other route, and `renderers` compares the prompt
that comes out with the one that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from ...conversation.expansion import compact_prompt
from ...conversation.request_urls import Document, is_ref
from ...wire.check import key_in_path
from ...wire.content_parts import PART_TYPE
from ...wire.errors import MMRawError
from ...wire.features import Slot, check_modalities, parse_features
from ...wire.json import parse_json
from .identity import of_client
from .process import Announced, Served

#: The fields of a body, as they came.
Fields = dict[str, msgspec.Raw]


def translate(fields: Fields, served: Served) -> tuple[Fields, Announced] | None:
    """What vLLM gets for a body with features; None where these hold nothing.

    Refs become content parts, the prompt what vLLM expands to it. Features that hold no refs stay,
    under hashes of their own.

    Args:
        fields: The body's fields.
        served: The model.

    Raises:
        MMRawError: modality_unsupported, not_a_ref (a tensor where a ref belongs), missing_field,
            invalid_type, unsupported_option (this model's prompts cannot be translated), what
            `parse_features`, `RefImages.check_ref` and `compact_prompt` raise. Paths start at the
            features; an empty one means the whole request.
    """
    document = parse_json(fields["features"])
    entries = list(_entries(document))
    mixed = any(is_ref(entry) for _, entry in entries)
    settings = served.images.settings
    if document and not mixed and not settings.refs_only:
        return {**fields, "features": _raw(_of_client(document))}, Announced({})
    if not document or not any(cast("Document", document).values()):
        return None
    check_modalities(document)
    _refuse_tensors(entries, mixed=mixed)
    if served.no_features is not None:
        raise MMRawError("unsupported_option", served.no_features, "")
    if "content_parts" in fields and parse_json(fields["content_parts"]):
        raise MMRawError("invalid_value", "a request has features or content_parts, not both", "")
    found = parse_features(document, limits=settings.limits)
    slots = sorted(found.slots(), key=lambda slot: slot.placeholder.offset)
    for slot in slots:
        _check(slot, served)
    token_ids = _token_ids(fields)
    compact = _compacted(token_ids, slots, served)
    texts = [found.kwargs_data[slot.modality][slot.index] for slot in slots]
    places: dict[str, str] = {}
    for text, slot in zip(texts, slots, strict=True):
        places.setdefault(text, _place(slot))
    parts = [{"type": PART_TYPE, "url": text} for text in texts]
    kept = {name: value for name, value in fields.items() if name != "features"}
    changed = {"token_ids": _raw(compact), "content_parts": _raw(parts)}
    return {**kept, **changed}, Announced(places, expanded=token_ids)


def _check(slot: Slot, served: Served) -> None:
    failed: MMRawError | None = None
    try:
        served.images.check_ref(slot.ref, slot.modality)
        adapter = served.images.adapter
        # A family may allow other conventions, which an engine cannot serve: it embeds one vector
        # at each token.
        if slot.placeholder.length != adapter.placeholder_length(slot.ref.payload):
            message = "the placeholder's length is not what the family and grid demand"
            raise MMRawError("placeholder_mismatch", message, "$.placeholder_length")
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.at(_place(slot))


def _compacted(token_ids: list[int], slots: Sequence[Slot], served: Served) -> list[int]:
    failed: MMRawError | None = None
    try:
        prompt = compact_prompt(
            token_ids,
            [slot.placeholder for slot in slots],
            served.images.adapter,
            refs=[slot.ref for slot in slots],
            vocabulary=served.vocabulary,
            limits=served.images.settings.limits,
        )
        return prompt.token_ids
    except MMRawError as error:
        failed = error
    kind, _, rest = failed.path.partition("[")
    known = kind in ("$.placeholders", "$.refs")
    place = _place(slots[int(rest.partition("]")[0])]) if known else ""
    raise MMRawError(failed.code, failed.message, place)


def _place(slot: Slot) -> str:
    return f"$.kwargs_data{key_in_path(slot.modality)}[{slot.index}]"


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _token_ids(fields: Fields) -> list[int]:
    if "token_ids" not in fields:
        raise MMRawError("missing_field", "features need the prompt's token_ids beside them", "")
    token_ids: list[int] | None = None
    try:
        token_ids = msgspec.json.decode(fields["token_ids"], type=list[int])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        token_ids = None
    if token_ids is None:
        raise MMRawError("invalid_type", "token_ids is a list of integers", "")
    return token_ids


def _entries(document: Any) -> Iterator[tuple[str, Any]]:
    """Path and value of all kwargs_data; nothing where it has another shape."""
    maps = cast("Document", document).get("kwargs_data") if isinstance(document, dict) else None
    for modality, rows in cast("Document", maps if isinstance(maps, dict) else {}).items():
        for index, entry in enumerate(cast("list[Any]", rows if isinstance(rows, list) else [])):
            yield f"$.kwargs_data{key_in_path(modality)}[{index}]", entry


def _refuse_tensors(entries: Sequence[tuple[str, Any]], *, mixed: bool) -> None:
    for path, entry in entries:
        if isinstance(entry, str) and not is_ref(entry):
            message = "a tensor stands where a ref belongs" + (
                "; a body holds refs or tensors, not both"
                if mixed
                else "; this server takes refs only (MMRAW_REFS_ONLY)"
            )
            raise MMRawError("not_a_ref", message, path)


def _of_client(document: Any) -> Any:
    """Features of tensors, under hashes that are the client's."""
    features = cast("Document", document) if isinstance(document, dict) else {}
    hashes = features.get("mm_hashes")
    if not isinstance(hashes, dict):
        return cast(Any, document)
    moved = {
        modality: [*map(of_client, cast("list[Any]", names))] if isinstance(names, list) else names
        for modality, names in cast("Document", hashes).items()
    }
    return {**features, "mm_hashes": moved}
