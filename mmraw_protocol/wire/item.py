"""Envelopes: `prime_raw_mm_item`, what a renderer hands on for each image.

Source: spec/README.md, section "Envelopes"; schemas urn:mmraw:item:*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from . import fastpath
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.plain import ITEM_V1_FAMILIES, PlainItemV1
from ._generated.wire import ITEMS, PAYLOADS
from .errors import MMRawError
from .explain import explain
from .grids import is_plain_grid
from .json import (
    LARGE,
    canonical_json,
    check_json_value,
    document_bounds,
    holds_processed_key,
    parse_json,
    processed_payload,
    utf8_of,
)
from .jsonfew import check_few_values, names_listed_family, parse_few_json
from .payload import check_payload_value
from .ref import Payload, check_payload, check_sources, fast, plain_json, stored
from .ref.model import payload_grid

__all__ = ["ItemDialect", "RawMMItem", "make_item", "parse_item"]

KIND = "prime_raw_mm_item"
VERSION = 1

ItemDialect = Literal["v1", "unversioned-uri", "unversioned-data"]

_PlainItems = list[PlainItemV1]
_plain_kinds: dict[str, type[PlainItemV1]] = {
    name: cast("type[PlainItemV1]", kind) for kind, name in ITEM_V1_FAMILIES.items()
}

#: Which key names the source in each dialect of the envelope that has no version.
_SOURCE_KEYS: dict[str, ItemDialect] = {
    "raw_image_uri": "unversioned-uri",
    "raw_image_data": "unversioned-data",
}


class RawMMItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image as an envelope of any dialect says it.

    Attributes:
        dialect: `v1`, or `unversioned-uri` / `unversioned-data` for envelopes without version.
        family: Family of layouts.
        layout_fingerprint: 16 to 64 hex digits over the layout's knobs.
        payload: The family's typed payload; a JSON object where spec/ does not list the family.
        raw_image_id: Name of the stored image, or None.
        raw_uri: data: URL of the image, or a file: URL that is a label only, or None.
        vllm_modality: The feature modality where it differs from the source modality.
        raw_ref: A ref that one consumer keeps beside the envelope; carried, never read.
        marked: Whether the marker of earlier renderers is present.
    """

    dialect: ItemDialect = "v1"
    family: str
    layout_fingerprint: str
    payload: Payload
    modality: str = "image"
    raw_image_id: str | None = None
    raw_uri: str | None = None
    vllm_modality: str | None = None
    raw_ref: str | None = None
    marked: bool = False

    @property
    def feature_modality(self) -> str:
        """The modality under which the image's features are filed."""
        return self.vllm_modality or self.modality

    def to_dict(self) -> dict[str, Any]:
        """The envelope as plain JSON, keys sorted, absent fields left out."""
        result: dict[str, Any] = {}
        if self.marked:
            result["_prime_rl_image_ref"] = "raw_image"
        result |= {
            "family": self.family,
            "kind": KIND,
            "layout_fingerprint": self.layout_fingerprint,
            "modality": self.modality,
            "payload": plain_json(self.payload),
        }
        sources = {"raw_image_id": self.raw_image_id, "raw_ref": self.raw_ref}
        uri_key = {v: k for k, v in _SOURCE_KEYS.items()}.get(self.dialect, "raw_uri")
        sources[uri_key] = self.raw_uri
        result |= {key: sources[key] for key in sorted(sources) if sources[key] is not None}
        if self.dialect == "v1":
            result["version"] = VERSION
        if self.vllm_modality is not None:
            result["vllm_modality"] = self.vllm_modality
        return result


def parse_item(
    item: Mapping[str, Any] | str | bytes | RawMMItem,
    *,
    limits: Limits = DEFAULT_LIMITS,
    path: str = "$",
) -> RawMMItem:
    """Reads an envelope of any dialect, from JSON text or from the decoded object.

    Raises:
        MMRawError: invalid_type, processed_payload (before anything else), missing_field,
            unknown_field, missing_source, and the codes of sources and payloads.
    """
    if fastpath.enabled:
        plain = _plain_item(item, limits)
        if plain is not None:
            return plain
    if isinstance(item, RawMMItem):
        item = item.to_dict()
    if isinstance(item, (str, bytes)):
        _check_length(len(item), limits, path)
        text = utf8_of(item, path)
        if names_listed_family(text):
            check_few_values(text, limits, path)
            if fastpath.enabled and len(text) <= LARGE:
                return _parse_object(parse_few_json(text, path), limits, path)
        item = parse_json(item, **document_bounds(limits), path=path)
    if not isinstance(item, Mapping):
        raise MMRawError("invalid_type", "an envelope is a JSON object", path)
    document = dict(item)
    check_json_value(document, path=path)
    if holds_processed_key(document):
        raise processed_payload(path)
    return _parse_object(document, limits, path)


def _plain_item(item: Any, limits: Limits) -> RawMMItem | None:
    """The envelope of version 1 that is plain (see refs/fast.py); None sends it the careful way."""
    try:
        value = typed_item(item, limits)
        if value is None:
            return None
        family = value.family if isinstance(value, RawMMItem) else ITEM_V1_FAMILIES[type(value)]
        name, uri, modality = value.raw_image_id, value.raw_uri, value.vllm_modality or "image"
        if (
            (name is None and uri is None)
            or not fast.are_plain_labels("run", value.layout_fingerprint, modality, family, limits)
            or not (name is None or fast.is_plain_name(name, limits))
            or not (uri is None or fast.is_plain_source(uri, name, limits))
            or not is_plain_grid(payload_grid(value.payload), limits)
        ):
            return None
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(value, RawMMItem):
        return value
    return RawMMItem(
        family=family,
        layout_fingerprint=value.layout_fingerprint,
        payload=value.payload,
        raw_image_id=name,
        raw_uri=uri,
        vllm_modality=value.vllm_modality or None,
        raw_ref=None if value.raw_ref is msgspec.UNSET else value.raw_ref,
        marked=value.image_ref_marker is not msgspec.UNSET,
    )


def typed_item(item: Any, limits: Limits) -> PlainItemV1 | RawMMItem | None:
    """An envelope of version 1 and a listed family by its types, its strings still unchecked.

    What is None may be right all the same.

    Raises:
        ValueError, TypeError, AttributeError: Where something in it is not what it should be.
    """
    if type(item) is RawMMItem:
        is_plain = (
            item.dialect == "v1"
            and item.modality == "image"
            and type(item.family) is str
            and stored.FAMILY_OF.get(type(item.payload)) == item.family
            and (item.vllm_modality is None or item.vllm_modality)
            and (item.raw_ref is None or (type(item.raw_ref) is str and item.raw_ref.isascii()))
            and type(item.marked) is bool
            and stored.payload_text(item.payload, limits) is not None
        )
        return item if is_plain else None
    if type(item) is not dict:
        return None
    document = cast("dict[str, Any]", item)
    kind = _plain_kinds.get(cast(str, document.get("family")))
    if kind is None or not _is_plain_json(document.get("payload")):
        return None
    # By the one struct and not the union of all: a union is analysed anew on every call.
    value = msgspec.convert(document, kind)
    if value.vllm_modality == "":
        return None
    return value if value.raw_ref is msgspec.UNSET or value.raw_ref.isascii() else None


def typed_items(items: Sequence[Any], limits: Limits) -> list[PlainItemV1 | RawMMItem] | None:
    """`typed_item` of each, all objects at once; what is None may be right all the same.

    Still unchecked are raw_ref, and vllm_modality, which may be "".

    Raises:
        ValueError, TypeError, AttributeError: Where something in one is not what it should be.
    """
    if set(map(type, items)) == {dict}:
        for item in items:
            payload = item.get("payload")
            if type(payload) is dict and len(cast("dict[Any, Any]", payload)) == 1:
                # One row of one grid, the commonest.
                (rows,) = cast("dict[Any, list[Any]]", payload).values()
                if type(rows) is list and len(rows) == 1 and type(rows[0]) is list:
                    continue
            if not _is_plain_json(payload):
                return None
        return cast(Any, msgspec.convert(list(items), _PlainItems))
    values = [typed_item(item, limits) for item in items]
    return None if any(value is None for value in values) else cast(Any, values)


def _is_plain_json(payload: Any) -> bool:
    """Whether an object holds integers and lists of lists alone; msgspec converts sets, too."""
    if type(payload) is not dict:
        return False
    for value in cast("dict[Any, Any]", payload).values():
        if type(value) is list or type(value) is tuple:
            for row in cast("list[Any]", value):
                if type(row) is not list and type(row) is not tuple:
                    return False
        elif type(value) is not int:
            return False
    return True


def _check_length(size: int, limits: Limits, path: str) -> None:
    most = limits.inline_image_bytes // 3 * 4 + 4 + 2 * limits.payload_bytes + 65536
    if size > most:
        raise MMRawError("limit_exceeded", "the envelope is longer than its limits allow", path)


def _dialect_of(document: dict[str, Any]) -> ItemDialect:
    if "version" not in document:
        for key, dialect in _SOURCE_KEYS.items():
            if key in document:
                return dialect
    return "v1"


def _parse_object(document: dict[str, Any], limits: Limits, path: str) -> RawMMItem:
    dialect = _dialect_of(document)
    schema = f"urn:mmraw:item:{dialect}"
    listed, opaque = ITEMS[schema]
    family = document.get("family")
    struct = listed.get(family) if isinstance(family, str) else None
    payload = document.get("payload")
    values = document
    if struct is None and isinstance(payload, dict):
        values = {**document, "payload": msgspec.Raw(b"{}")}
    typed = _convert(values, struct or opaque, path)
    if struct is None:
        payload = check_payload_value(payload, limits=limits, path=f"{path}.payload")
        if len(canonical_json(payload)) > limits.payload_bytes:
            message = f"the payload has more than {limits.payload_bytes} bytes of JSON"
            raise MMRawError("limit_exceeded", message, f"{path}.payload")
    else:
        payload = typed.payload
    return _model(typed, cast(str, family), payload, dialect, limits, path)


def _convert(values: dict[str, Any], struct: Any, path: str) -> Any:
    failed: msgspec.ValidationError | None = None
    try:
        return msgspec.convert(values, struct)
    except msgspec.ValidationError as error:
        failed = error
    raise explain(failed, struct.__name__.removesuffix("Opaque"), path)


def _model(
    typed: Any, family: str, payload: Payload, dialect: ItemDialect, limits: Limits, path: str
) -> RawMMItem:
    def optional(name: str) -> Any:
        value = getattr(typed, name, None)
        return None if value is msgspec.UNSET else value

    item = RawMMItem(
        dialect=dialect,
        family=family,
        layout_fingerprint=typed.layout_fingerprint,
        payload=payload,
        modality=typed.modality,
        raw_image_id=optional("raw_image_id"),
        raw_uri=optional("raw_uri"),
        vllm_modality=optional("vllm_modality"),
        raw_ref=optional("raw_ref"),
        marked=optional("image_ref_marker") is not None,
    )
    for name in ("family", "vllm_modality"):
        if len(getattr(item, name) or "") > limits.name_chars:
            message = f"longer than {limits.name_chars} characters"
            raise MMRawError("limit_exceeded", message, f"{path}.{name}")
    failed: MMRawError | None = None
    try:
        check_payload(item.payload, limits=limits)
        alone = dialect == "unversioned-uri"
        check_sources(item.raw_uri, item.raw_image_id, limits, alone=alone)
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.at(path)
    return item


def make_item(
    *,
    family: str,
    layout_fingerprint: str,
    payload: Payload | Mapping[str, Any],
    modality: str = "image",
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
        "_prime_rl_image_ref": "raw_image",
        "family": family,
        "kind": KIND,
        "layout_fingerprint": layout_fingerprint,
        "modality": modality,
        "payload": plain_json(payload),
        "version": VERSION,
    }
    optional = {"raw_uri": raw_uri, "raw_image_id": raw_image_id, "vllm_modality": vllm_modality}
    document |= {key: value for key, value in optional.items() if value is not None}
    return parse_item(document, limits=limits)


def is_listed_family(family: str) -> bool:
    """Whether spec/ types the payload of `family`."""
    return family in PAYLOADS
