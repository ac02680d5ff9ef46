"""Refs in the features of a generate request: the same request with refs as URLs.

vLLM then loads, processes and expands as on every other route, and `renderers` compares the prompt
that comes out with the one that was sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from ...conversation.features_prompt import features_to_prompt, path_of
from ...conversation.request_urls import Document, is_ref
from ...wire.check import key_in_path
from ...wire.errors import MMRawError
from ...wire.features import Slot, check_modalities, parse_features
from ...wire.json import parse_json
from ..serving.errors import REFS_ONLY
from ..serving.identity import of_client
from .process import Announced, Served

#: The fields of a body, as they came.
Fields = dict[str, msgspec.Raw]


def translate(fields: Fields, served: Served) -> tuple[Fields, Announced] | None:
    """Translates a body with features for vLLM; returns None if the features are empty.

    Refs become content parts, the prompt what vLLM expands to it. Features that hold no refs stay,
    under hashes that are the client's.

    Args:
        fields: The body's fields.
        served: The model.

    Raises:
        MMRawError: modality_unsupported, not_a_ref (a tensor where a ref belongs), missing_field,
            invalid_type, unsupported_option (this model's prompts cannot be translated), what
            `parse_features`, `RefImages.check` and `features_to_prompt` raise. Paths start at the
            features; an empty one means the whole request.
    """
    document = parse_json(fields["features"])
    if not isinstance(document, dict) or not any(cast("Document", document).values()):
        return None
    features = cast("Document", document)
    entries = list(_entries(features))
    holds_refs = any(is_ref(entry) for _, entry in entries)
    settings = served.images.settings
    if not holds_refs and not settings.refs_only:
        return {**fields, "features": _raw(_of_client(features))}, Announced({})
    check_modalities(features)
    _refuse_tensors(entries, holds_refs=holds_refs)
    if served.no_features is not None:
        raise MMRawError("unsupported_option", served.no_features, "")
    if "content_parts" in fields and parse_json(fields["content_parts"]):
        raise MMRawError("invalid_value", "expected features or content_parts, got both", "")
    token_ids = _token_ids(fields)
    served.check_sizes(len(token_ids), len(entries))
    found = parse_features(features, limits=settings.limits)
    for slot in found.slots():
        _check(slot, served)
    options: Any = {"vocabulary": served.vocabulary, "limits": settings.limits}
    prompt = features_to_prompt(found, token_ids, served.images.adapter, **options)
    changed = {"token_ids": _raw(prompt.token_ids), "content_parts": _raw(prompt.content_parts)}
    kept = {name: value for name, value in fields.items() if name != "features"}
    return {**kept, **changed}, Announced(prompt.paths, expanded=token_ids)


def _check(slot: Slot, served: Served) -> None:
    failed: MMRawError | None = None
    try:
        served.images.check(slot.ref, slot.modality)
        # A family may allow other conventions, which an engine cannot serve: it embeds one vector
        # at each token.
        adapter = served.images.adapter
        if slot.placeholder.length != adapter.placeholder_length(slot.ref.payload):
            wanted = adapter.placeholder_length(slot.ref.payload)
            got = slot.placeholder.length
            message = f"expected a placeholder of {wanted} tokens by family and grid, got {got}"
            raise MMRawError("placeholder_mismatch", message, "$.placeholder_length")
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.with_path_prefix(path_of(slot))


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _token_ids(fields: Fields) -> list[int]:
    if "token_ids" not in fields:
        raise MMRawError("missing_field", "expected token_ids, which features need; got none", "")
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(fields["token_ids"], type=list[int])
    raise MMRawError("invalid_type", "expected token_ids, a list of integers; got other JSON", "")


def _entries(features: Document) -> Iterator[tuple[str, Any]]:
    """Path and value of all kwargs_data; nothing where it has another shape."""
    maps = features.get("kwargs_data")
    for modality, rows in cast("Document", maps if isinstance(maps, dict) else {}).items():
        for index, entry in enumerate(cast("list[Any]", rows if isinstance(rows, list) else [])):
            yield f"$.kwargs_data{key_in_path(modality)}[{index}]", entry


def _refuse_tensors(entries: Sequence[tuple[str, Any]], *, holds_refs: bool) -> None:
    why = "a body holds refs or tensors, not both"
    if not holds_refs:
        why = REFS_ONLY
    for path, entry in entries:
        if isinstance(entry, str) and not is_ref(entry):
            raise MMRawError("not_a_ref", f"a tensor stands where a ref belongs; {why}", path)


def _of_client(features: Document) -> Document:
    """Features of tensors, under hashes that are the client's."""
    hashes = features.get("mm_hashes")
    if not isinstance(hashes, dict):
        return features
    moved = {
        modality: [*map(of_client, cast("list[Any]", names))] if isinstance(names, list) else names
        for modality, names in cast("Document", hashes).items()
    }
    return {**features, "mm_hashes": moved}
