"""Building features bodies: from envelopes to refs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .. import fastpath
from .._generated.limits import DEFAULT_LIMITS, Limits
from .._generated.types import PlaceholderRange
from ..errors import MMRawError
from ..explain import key_in_path, typed
from ..item import parse_item
from ..ref import RawMMRef, format_ref
from . import fast
from .model import MAPS, MultiModalData, check_count, check_overlap


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
    if fastpath.enabled and dialect == "v3":
        plain = fast.build(data, run_id, limits)
        if plain is not None:
            return plain
    body: dict[str, Any] = {name: {} for name in MAPS}
    count = 0
    for source in _source_modalities(data):
        items = data.mm_items.get(source, ())
        hashes, places = data.mm_hashes[source], data.mm_placeholders[source]
        rows = zip(items, hashes, places, strict=True)
        for index, (item, mm_hash, placeholder) in enumerate(rows):
            count += 1
            check_count(count, limits)
            place = f"$.mm_items{key_in_path(source)}[{index}]"
            ref = _ref_of(item, source, mm_hash, run_id, limits, place)
            text = _format(ref, dialect, limits, place)
            slot_place = f"$.mm_placeholders{key_in_path(source)}[{index}]"
            entry = _placeholder(placeholder, slot_place)
            values = (text, mm_hash, {"length": entry.length, "offset": entry.offset})
            for name, value in zip(MAPS, values, strict=True):
                body[name].setdefault(ref.modality, []).append(value)
    check_overlap(
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
    return typed(value, PlaceholderRange, "PlaceholderRange", place)
