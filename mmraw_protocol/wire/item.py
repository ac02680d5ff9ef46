"""Envelopes: `prime_raw_mm_item`, what a renderer hands on for each image.

Source: spec/README.md, section "Envelopes"; schemas urn:mmraw:item:*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ..system.shown import Shown
from ._generated.dialects import CANONICAL_ITEM, DEFAULT_ITEM, ITEMS, ItemWire
from ._generated.families import FAMILIES
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import ItemFields, Payload
from .check import expected
from .data_url import check_label_names
from .errors import MMRawError
from .json import SCALARS, check_json_value, has_tensor_key, processed_payload, to_builtins
from .modality import check_modality
from .ref import read_raw_document

_WIRE = ITEMS[DEFAULT_ITEM]
_CONSTANTS = dict(_WIRE.constants)
KIND = cast(str, _CONSTANTS["kind"])
MODALITY = cast(str, _CONSTANTS["modality"])
_encode = msgspec.json.Encoder().encode


class RawMMItem(Shown, ItemFields, frozen=True, kw_only=True, omit_defaults=True):
    """One image as an envelope of any dialect says it; its fields are those of `ItemFields`."""

    @property
    def modality(self) -> str:
        """The modality of the message part; every envelope of today is of an image."""
        return MODALITY

    @property
    def feature_modality(self) -> str:
        """The modality under which the image's features are filed."""
        return self.vllm_modality or self.modality

    def to_dict(self) -> dict[str, Any]:
        """The envelope as builtins, keys sorted, absent fields left out."""
        wire = ITEMS[self.dialect]
        result: dict[str, Any] = dict(wire.constants)
        for name, attribute in wire.fields:
            value = getattr(self, attribute)
            if value is not None:
                result[name] = to_builtins(value)
        for name, attribute, value in wire.flags:
            if getattr(self, attribute):
                result[name] = value
        return dict(sorted(result.items()))


def parse_item(
    item: Mapping[str, Any] | str | bytes | RawMMItem,
    *,
    limits: Limits = DEFAULT_LIMITS,
    path: str = "$",
) -> RawMMItem:
    """Reads an envelope of any dialect, from JSON text or from the decoded object.

    Raises:
        MMRawError: invalid_type, processed_payload (before anything else), modality_unsupported
            (before the fields), missing_field, unknown_field, missing_source, and the codes of
            sources and payloads.
    """
    if isinstance(item, RawMMItem):
        item = item.to_dict()
    if isinstance(item, (str, bytes)):
        _check_length(len(item), limits, path)
        document = read_raw_document(item, limits, path)
        if not isinstance(document, dict):
            raise MMRawError("invalid_type", expected("an envelope, a JSON object", document), path)
        return _parse(cast("dict[str, Any]", document), limits, path)
    if not isinstance(item, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", expected("an envelope, a JSON object", item), path)
    found = read_struct(item, limits)
    if found is not None:
        return found
    document = dict(item)
    check_json_value(document, path=path)
    if has_tensor_key(document):
        raise processed_payload(path)
    return _parse(document, limits, path)


def read_struct(item: Mapping[str, Any], limits: Limits) -> RawMMItem | None:
    """The envelope of version 1 of a built-in family; None means undecided, not invalid."""
    family, payload = item.get("family"), item.get("payload")
    kind = CANONICAL_ITEM.structs.get(family) if isinstance(family, str) else None
    if kind is None or type(item) is not dict or not isinstance(payload, dict):
        return None
    if not holds_lists(cast("dict[str, Any]", payload).values()):
        return None
    try:
        value = msgspec.convert(item, kind)
        found = CANONICAL_ITEM.make(RawMMItem, value)
        fits = CANONICAL_ITEM.fits(_encode(value), found.family, found, limits)
        return found if fits else None
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError):
        return None


def holds_lists(values: Any) -> bool:
    """True if decoded values hold lists alone: msgspec also converts sets, which have no order."""
    return all(
        type(item) in SCALARS or (type(item) in (list, tuple) and holds_lists(item))
        for item in values
    )


def _check_length(size: int, limits: Limits, path: str) -> None:
    most = limits.inline_image_bytes // 3 * 4 + 4 + 2 * limits.payload_bytes + 65536
    if size > most:
        message = f"expected at most {most} characters in an envelope, got {size}"
        raise MMRawError("limit_exceeded", message, path)


def _dialect_of(document: dict[str, Any]) -> ItemWire:
    """Version 1, unless the envelope has no version and a source of an older dialect."""
    if "version" in document:
        return _WIRE
    known = {name for name, _ in _WIRE.fields}
    older = [
        wire
        for wire in ITEMS.values()
        if any(name in document for name, _ in wire.fields if name not in known)
    ]
    lacking = [wire for wire in older if not any(name in document for name in wire.without)]
    return max(lacking, key=lambda wire: len(wire.without), default=_WIRE)


def _parse(document: dict[str, Any], limits: Limits, path: str) -> RawMMItem:
    check_modality(document.get("modality"), f"{path}.modality")
    wire = _dialect_of(document)
    wire.check(document, path, limits)
    values = {attribute: document.get(name) for name, attribute in wire.fields}
    info = FAMILIES.get(cast(str, values["family"]))
    if info is not None:
        values["payload"] = msgspec.json.decode(_encode(values["payload"]), type=info.payload)
    flags: dict[str, Any] = {attribute: name in document for name, attribute, _ in wire.flags}
    named = any(attribute == "raw_image_id" for _, attribute in wire.fields)
    check_label_names(values.get("raw_uri"), values.get("raw_image_id"), named, path)
    return RawMMItem(dialect=wire.dialect, **values, **flags)


def make_item(
    *,
    family: str,
    layout_fingerprint: str,
    payload: Payload | Mapping[str, Any],
    modality: str = MODALITY,
    raw_uri: str | None = None,
    raw_image_id: str | None = None,
    vllm_modality: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> RawMMItem:
    """A checked envelope of version 1, with the marker that readers of the field expect.

    Raises:
        MMRawError: what `parse_item` raises.
    """
    document: dict[str, Any] = {
        **{name: value for name, _, value in _WIRE.flags},
        **_CONSTANTS,
        "family": family,
        "layout_fingerprint": layout_fingerprint,
        "modality": modality,
        "payload": to_builtins(payload),
    }
    optional = {"raw_uri": raw_uri, "raw_image_id": raw_image_id, "vllm_modality": vllm_modality}
    document |= {key: value for key, value in optional.items() if value is not None}
    return parse_item(document, limits=limits)
