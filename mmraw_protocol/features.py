"""The features body of a generate request: hashes, placeholders and refs, by feature modality.

Source: spec/README.md, section "Features"; schema urn:mmraw:features:v1; the rules on modalities,
lengths and overlap are those of vLLM 0.32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec

from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import Features as _WireFeatures
from ._generated.types import PlaceholderRange
from .codec import explain, key_in_path, parse_json
from .errors import MMRawError
from .items import RawMMItem, parse_item
from .refs import RawMMRef, format_ref, parse_ref

__all__ = ["Features", "MultiModalData", "PlaceholderRange", "build_features", "parse_features"]

_MAPS = ("kwargs_data", "mm_hashes", "mm_placeholders")


class Slot(msgspec.Struct, frozen=True):
    """One image of a features body."""

    modality: str
    index: int
    mm_hash: str
    placeholder: PlaceholderRange
    ref: RawMMRef


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """A checked features body.

    Attributes:
        mm_hashes: modality -> hashes.
        mm_placeholders: modality -> ranges, absolute in the whole prompt.
        kwargs_data: modality -> ref texts as they came.
        refs: modality -> the parsed refs, parallel to `kwargs_data`.
    """

    mm_hashes: dict[str, list[str]]
    mm_placeholders: dict[str, list[PlaceholderRange]]
    kwargs_data: dict[str, list[str]]
    refs: dict[str, list[RawMMRef]]

    def to_dict(self) -> dict[str, Any]:
        """The body as plain JSON."""
        return {
            "kwargs_data": {m: list(texts) for m, texts in self.kwargs_data.items()},
            "mm_hashes": {m: list(hashes) for m, hashes in self.mm_hashes.items()},
            "mm_placeholders": {
                m: [{"length": r.length, "offset": r.offset} for r in ranges]
                for m, ranges in self.mm_placeholders.items()
            },
        }

    def slots(self) -> Iterator[Slot]:
        """Every image, modality by modality."""
        for modality, refs in self.refs.items():
            rows = zip(self.mm_hashes[modality], self.mm_placeholders[modality], refs, strict=True)
            for index, (mm_hash, placeholder, ref) in enumerate(rows):
                yield Slot(modality, index, mm_hash, placeholder, ref)


class MultiModalData(msgspec.Struct, frozen=True, kw_only=True):
    """What a renderer knows of a conversation's images, keyed by source modality.

    Attributes:
        mm_hashes: source modality (`image`, for Kimi too) -> hashes.
        mm_placeholders: source modality -> ranges, absolute in the whole prompt.
        mm_items: source modality -> envelopes.
    """

    mm_hashes: Mapping[str, Sequence[str]] = {}
    mm_placeholders: Mapping[str, Sequence[PlaceholderRange | Mapping[str, int]]] = {}
    mm_items: Mapping[str, Sequence[RawMMItem | Mapping[str, Any]]] = {}

    def merge(self, other: MultiModalData) -> MultiModalData:
        """This turn's images and then those of `other`; neither is changed."""
        return MultiModalData(
            mm_hashes=_joined(self.mm_hashes, other.mm_hashes),
            mm_placeholders=_joined(self.mm_placeholders, other.mm_placeholders),
            mm_items=_joined(self.mm_items, other.mm_items),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MultiModalData:
        """From the plain mapping that renderers of the field hand on.

        Raises:
            MMRawError: invalid_type, missing_field, unknown_field.
        """
        names = ("mm_hashes", "mm_placeholders", "mm_items")
        if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MMRawError("invalid_type", "expected an object")
        if set(data) - set(names):
            raise MMRawError("unknown_field", f"the fields are {', '.join(names)}")
        for name in names:
            if name not in data:
                raise MMRawError("missing_field", f"required field {name} is absent")
            _check_lists(data[name], f"$.{name}")
        return cls(**{name: data[name] for name in names})


def _joined(first: Mapping[str, Sequence[Any]], second: Mapping[str, Sequence[Any]]) -> Any:
    keys = dict.fromkeys([*first, *second])
    return {key: [*first.get(key, ()), *second.get(key, ())] for key in keys}


def _check_lists(value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        raise MMRawError("invalid_type", "expected an object keyed by modality", path)
    for key, items in cast("Mapping[Any, Any]", value).items():
        if not isinstance(key, str):
            raise MMRawError("invalid_type", "a modality is a string", path)
        if not isinstance(items, (list, tuple)):
            raise MMRawError("invalid_type", "expected a list", path + key_in_path(key))


def build_features(
    mm_data: MultiModalData | Mapping[str, Any],
    dialect: str = "v3",
    *,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """The features body for `mm_data`, regrouped by feature modality.

    Args:
        mm_data: Hashes, placeholders and envelopes, keyed by source modality.
        dialect: `v3` (default) or `v2`.
        run_id: Label of the run that the refs name; required as soon as there is an image.
        limits: Most images of a body, and what refs allow.

    Raises:
        MMRawError: lengths_differ, modality_mismatch, missing_slot, placeholder_invalid, and the
            codes of envelopes and refs, with the path of the image in `mm_data`.
    """
    data = mm_data if isinstance(mm_data, MultiModalData) else MultiModalData.from_dict(mm_data)
    body: dict[str, Any] = {name: {} for name in _MAPS}
    count = 0
    for source in _source_modalities(data):
        items = data.mm_items.get(source, ())
        hashes, places = data.mm_hashes[source], data.mm_placeholders[source]
        rows = zip(items, hashes, places, strict=True)
        for index, (item, mm_hash, placeholder) in enumerate(rows):
            count += 1
            _check_count(count, limits)
            place = f"$.mm_items{key_in_path(source)}[{index}]"
            ref = _ref_of(item, source, mm_hash, run_id, limits, place)
            text = _format(ref, dialect, limits, place)
            slot_place = f"$.mm_placeholders{key_in_path(source)}[{index}]"
            entry = _placeholder(placeholder, slot_place)
            values = (text, mm_hash, {"length": entry.length, "offset": entry.offset})
            for name, value in zip(_MAPS, values, strict=True):
                body[name].setdefault(ref.modality, []).append(value)
    _check_overlap(
        {m: [PlaceholderRange(**r) for r in rows] for m, rows in body["mm_placeholders"].items()}
    )
    return body


def _source_modalities(data: MultiModalData) -> list[str]:
    """The modalities that hold images, after the check that the lists are parallel."""
    maps = (data.mm_items, data.mm_hashes, data.mm_placeholders)
    names = dict.fromkeys(name for mapping in maps for name in mapping)
    for name in names:
        if len({len(mapping.get(name, ())) for mapping in maps}) != 1:
            message = "mm_items, mm_hashes and mm_placeholders must have the same length"
            raise MMRawError("lengths_differ", message, f"$.mm_items{key_in_path(name)}")
    return [name for name in names if data.mm_items.get(name)]


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.features_images:
        message = f"a features body has at most {limits.features_images} images"
        raise MMRawError("limit_exceeded", message)


def _ref_of(
    item: Any, source: str, mm_hash: Any, run_id: str | None, limits: Limits, place: str
) -> RawMMRef:
    if item is None or mm_hash is None:
        message = "a slot is empty; carry every image's envelope and hash at every slot"
        raise MMRawError("missing_slot", message, place)
    parsed = parse_item(item, limits=limits, path=place)
    if parsed.modality != source:
        message = "an envelope stands under another modality than its own"
        raise MMRawError("modality_mismatch", message, place)
    if parsed.dialect != "v1":
        message = "only envelopes of version 1 become refs; convert older ones first"
        raise MMRawError("not_convertible", message, place)
    if run_id is None:
        raise MMRawError("missing_field", "refs need a run_id", "$.run_id")
    return RawMMRef(
        family=parsed.family,
        fingerprint=parsed.layout_fingerprint,
        mm_hash=mm_hash,
        modality=parsed.feature_modality,
        payload=parsed.payload,
        raw_image_id=parsed.raw_image_id,
        raw_uri=parsed.raw_uri,
        run_id=run_id,
    )


def _format(ref: RawMMRef, dialect: str, limits: Limits, place: str) -> str:
    if dialect == "v2" and ref.raw_image_id is not None and not ref.is_inline:
        # A file: URL beside raw_image_id is only a label; v2 has no place for it.
        ref = msgspec.structs.replace(ref, raw_uri=None)
    failed: MMRawError | None = None
    try:
        return format_ref(ref, dialect, limits=limits)
    except MMRawError as error:
        failed = error
    if failed.code in ("invalid_dialect", "invalid_run_id"):
        raise failed
    raise failed.at(place)


def _placeholder(value: Any, place: str) -> PlaceholderRange:
    if value is None:
        raise MMRawError("missing_slot", "a placeholder is empty", place)
    if isinstance(value, PlaceholderRange):
        value = {"length": value.length, "offset": value.offset}
    failed: msgspec.ValidationError | None = None
    try:
        return msgspec.convert(value, PlaceholderRange)
    except msgspec.ValidationError as error:
        failed = error
    raise explain(failed, "PlaceholderRange", place)


def _check_overlap(ranges: Mapping[str, Sequence[PlaceholderRange]]) -> None:
    """No two placeholders may share a token, whatever their modalities."""
    rows = sorted(
        (r.offset, r.offset + r.length, modality, index)
        for modality, entries in ranges.items()
        for index, r in enumerate(entries)
    )
    for (_, end, _, _), (start, _, modality, index) in pairwise(rows):
        if start < end:
            place = f"$.mm_placeholders{key_in_path(modality)}[{index}]"
            raise MMRawError("placeholder_invalid", "two placeholders overlap", place)


def parse_features(
    features: Mapping[str, Any] | str | bytes | Features, *, limits: Limits = DEFAULT_LIMITS
) -> Features:
    """Reads a features body, from JSON text or from the decoded object, and all refs in it.

    Raises:
        MMRawError: modality_mismatch, lengths_differ, missing_slot, placeholder_invalid,
            hash_mismatch (a ref's hash is not the one beside it), limit_exceeded, and the codes of
            refs, with the path of the image.
    """
    if isinstance(features, Features):
        features = features.to_dict()
    if isinstance(features, (str, bytes)):
        wire = _decode(features, limits)
    else:
        wire = _from_object(features, limits)
    _check_shape(wire, limits)
    _check_overlap(wire.mm_placeholders)
    refs = {m: _refs(m, texts, wire, limits) for m, texts in wire.kwargs_data.items()}
    return Features(
        mm_hashes=wire.mm_hashes,
        mm_placeholders=wire.mm_placeholders,
        kwargs_data=wire.kwargs_data,
        refs=refs,
    )


def _too_long(limits: Limits) -> MMRawError:
    message = f"a features body has at most {limits.features_bytes} bytes"
    return MMRawError("limit_exceeded", message)


def _decode(text: str | bytes, limits: Limits) -> _WireFeatures:
    if len(text) > limits.features_bytes:
        raise _too_long(limits)
    failed: msgspec.MsgspecError | None = None
    wire: _WireFeatures | None = None
    try:
        wire = msgspec.json.decode(text, type=_WireFeatures)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        failed = error if isinstance(error, msgspec.MsgspecError) else msgspec.DecodeError()
    if wire is not None:
        # msgspec keeps the last of duplicate keys; the strict reader refuses them.
        parse_json(text)
        return wire
    raise _refusal(parse_json(text), failed, limits)


def _from_object(value: Any, limits: Limits) -> _WireFeatures:
    if not isinstance(value, Mapping):
        raise MMRawError("invalid_type", "a features body is a JSON object")
    document = dict(cast("Mapping[str, Any]", value))
    failed: msgspec.ValidationError | None = None
    try:
        return msgspec.convert(document, _WireFeatures)
    except msgspec.ValidationError as error:
        failed = error
    raise _refusal(document, failed, limits)


def _refusal(document: Any, failed: msgspec.MsgspecError | None, limits: Limits) -> MMRawError:
    """Why a body is refused; an empty slot is told apart from any other wrong type."""
    if isinstance(document, dict):
        for name in _MAPS:
            value = cast("dict[str, Any]", document).get(name)
            for key, rows in (
                cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            ).items():
                if isinstance(rows, list) and None in rows:
                    place = f"$.{name}{key_in_path(key)}[{cast('list[Any]', rows).index(None)}]"
                    message = "a slot is empty; carry every image's ref at every slot"
                    return MMRawError("missing_slot", message, place)
    if isinstance(failed, msgspec.ValidationError):
        return explain(failed, "Features")
    return MMRawError("invalid_json", "not one strict JSON document")


def _check_shape(wire: _WireFeatures, limits: Limits) -> None:
    maps = {name: cast("dict[str, list[Any]]", getattr(wire, name)) for name in _MAPS}
    modalities = wire.kwargs_data.keys()
    for name, mapping in maps.items():
        if mapping.keys() != modalities:
            message = "kwargs_data, mm_hashes and mm_placeholders must have the same modalities"
            raise MMRawError("modality_mismatch", message, f"$.{name}")
    for modality, texts in wire.kwargs_data.items():
        for name, mapping in maps.items():
            if len(mapping[modality]) != len(texts):
                message = "kwargs_data, mm_hashes and mm_placeholders must have the same lengths"
                raise MMRawError("lengths_differ", message, f"$.{name}{key_in_path(modality)}")
    _check_count(sum(map(len, wire.kwargs_data.values())), limits)
    if (
        sum(len(text) for texts in wire.kwargs_data.values() for text in texts)
        > limits.features_bytes
    ):
        raise _too_long(limits)


def _refs(modality: str, texts: list[str], wire: _WireFeatures, limits: Limits) -> list[RawMMRef]:
    refs: list[RawMMRef] = []
    for index, text in enumerate(texts):
        place = f"$.kwargs_data{key_in_path(modality)}[{index}]"
        ref = _ref_at(text, limits, place)
        if ref.modality != modality:
            message = "a ref stands under another modality than its own"
            raise MMRawError("modality_mismatch", message, place)
        if ref.mm_hash != wire.mm_hashes[modality][index]:
            message = "a ref's mm_hash is not the one beside it"
            raise MMRawError("hash_mismatch", message, place)
        refs.append(ref)
    return refs


def _ref_at(text: str, limits: Limits, place: str) -> RawMMRef:
    failed: MMRawError | None = None
    try:
        return parse_ref(text, limits=limits)
    except MMRawError as error:
        failed = error
    raise failed.at(place)
