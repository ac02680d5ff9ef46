"""A generate request: what of its body the middleware reads, checks and replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.check import key_in_path
from ...wire.errors import MMRawError
from ...wire.features import Features, Slot, check_modalities, parse_features
from ...wire.json import parse_json
from ...wire.ref import is_ref

Fields = dict[str, msgspec.Raw]


class GenerateRequest(Shown, msgspec.Struct, frozen=True):
    """A generate request whose features hold refs.

    Attributes:
        fields: The body's fields as they came.
        features: The features, checked.
        token_ids: The prompt.
    """

    fields: Fields
    features: Features
    token_ids: list[int]

    @property
    def slots(self) -> list[Slot]:
        """Every image, in the order of the features."""
        return list(self.features.slots())

    def with_texts(self, texts: Sequence[str]) -> bytes:
        """The body with each ref replaced by the text for vLLM, in the order of `slots`."""
        features = self.features.to_dict()
        rest = iter(texts)
        kwargs = {m: [next(rest) for _ in refs] for m, refs in self.features.refs.items()}
        encoded = msgspec.Raw(msgspec.json.encode({**features, "kwargs_data": kwargs}))
        return msgspec.json.encode({**self.fields, "features": encoded})


def read_generate_request(
    body: bytes, *, refs_only: bool = True, limits: Limits = DEFAULT_LIMITS
) -> GenerateRequest | None:
    """The request, or None for a body that vLLM may have as it came: it holds no image.

    Without `refs_only`, bodies whose images are all tensors, or are named by URL, are vLLM's too.

    Raises:
        MMRawError: invalid_json, modality_unsupported, not_a_ref (a tensor or URL where a ref
            belongs), missing_field, invalid_type, and what `parse_features` raises; paths start at
            the features.
    """
    fields = _fields(body)
    if refs_only and _value(fields, "content_parts"):
        # A client that names an image by URL may give it somebody's mm_hash, too (`uuid`).
        message = "content_parts hold images by URL; this server takes refs only (refs_only)"
        raise MMRawError("not_a_ref", message, "")
    document = _value(fields, "features")
    if document is None or _is_empty(document):
        return None
    if not _holds_refs(document) and not refs_only:
        return None
    check_modalities(document)
    _refuse_tensors(document)
    features = parse_features(document, limits=limits)
    return GenerateRequest(fields, features, _token_ids(fields))


def _fields(body: bytes) -> Fields:
    fields: Fields | None = None
    try:
        fields = msgspec.json.decode(body, type=Fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        fields = None
    if fields is None:
        raise MMRawError("invalid_json", "the request's body is not one strict JSON object", "")
    return fields


def _value(fields: Fields, name: str) -> Any:
    """The decoded value of a field; None where it is absent."""
    return parse_json(fields[name]) if name in fields else None


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


def _entries(document: Any) -> Iterator[tuple[str, int, Any]]:
    """(modality, index, entry) of all kwargs_data; nothing where it has another shape."""
    if not isinstance(document, dict):
        return
    maps = cast("dict[str, Any]", document).get("kwargs_data")
    for modality, rows in cast("dict[str, Any]", maps if isinstance(maps, dict) else {}).items():
        for index, entry in enumerate(cast("list[Any]", rows if isinstance(rows, list) else [])):
            yield modality, index, entry


def _is_empty(document: Any) -> bool:
    """Whether features hold nothing at all, as a prompt without images has them."""
    return isinstance(document, dict) and not any(cast("dict[str, Any]", document).values())


def _holds_refs(document: Any) -> bool:
    return any(is_ref(entry) for _, _, entry in _entries(document))


def _refuse_tensors(document: Any) -> None:
    mixed = _holds_refs(document)
    for modality, index, entry in _entries(document):
        if isinstance(entry, str) and not is_ref(entry):
            message = "a tensor stands where a ref belongs" + (
                "; a body holds refs or tensors, not both"
                if mixed
                else "; this server takes refs only (refs_only)"
            )
            place = f"$.kwargs_data{key_in_path(modality)}[{index}]"
            raise MMRawError("not_a_ref", message, place)
