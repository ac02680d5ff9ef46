"""Building features bodies: from envelopes to refs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ._generated.checks import check_placeholder_range
from ._generated.dialects import DEFAULT_DIALECT, DEFAULT_ITEM, DIALECTS
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import PlaceholderRange
from .check import key_in_path
from .errors import MMRawError
from .features_batch import build_together
from .features_model import MAPS, MultiModalData, check_count, check_overlap, ref_of_item
from .item import MODALITY, parse_item
from .json import check_json_value
from .modality import check_modality
from .ref import RawMMRef, format_ref


def build_features(
    mm_data: MultiModalData | Mapping[str, Any],
    dialect: str = DEFAULT_DIALECT,
    *,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """The features body for `mm_data`, regrouped by feature modality.

    Args:
        mm_data: Hashes, placeholders and envelopes, keyed by source modality.
        dialect: A dialect of refs that is written.
        run_id: Label of the run that the refs name; required as soon as there is an image.
        limits: Most images of a body, and what refs allow.

    Raises:
        MMRawError: modality_unsupported (a video or audio), lengths_differ, modality_mismatch,
            missing_slot, placeholder_invalid, and the codes of envelopes and refs, with the path of
            the image in `mm_data`.
    """
    data = mm_data if isinstance(mm_data, MultiModalData) else MultiModalData.from_dict(mm_data)
    together = _together(data, dialect, run_id, limits)
    if together is not None:
        return together
    data.check_modalities()
    body: dict[str, Any] = {name: {} for name in MAPS}
    count = 0
    for source in _source_modalities(data):
        items = data.mm_items.get(source, ())
        hashes, ranges = data.mm_hashes[source], data.mm_placeholders[source]
        rows = zip(items, hashes, ranges, strict=True)
        for index, (item, mm_hash, placeholder) in enumerate(rows):
            count += 1
            check_count(count, limits)
            path = f"$.mm_items{key_in_path(source)}[{index}]"
            ref = _ref_of(item, source, mm_hash, run_id, limits, path)
            text = format_described(ref, dialect, limits, path)
            entry = _placeholder(placeholder, source, index)
            values = (text, mm_hash, {"length": entry.length, "offset": entry.offset})
            for name, value in zip(MAPS, values, strict=True):
                body[name].setdefault(ref.modality, []).append(value)
    check_overlap(
        {m: [PlaceholderRange(**r) for r in rows] for m, rows in body["mm_placeholders"].items()}
    )
    return body


def _together(
    data: MultiModalData, dialect: str, run_id: str | None, limits: Limits
) -> dict[str, Any] | None:
    """The body of images of one modality, built at once; None means undecided."""
    maps = (data.mm_items, data.mm_hashes, data.mm_placeholders)
    if dialect != DEFAULT_DIALECT or run_id is None or any([*m] != [MODALITY] for m in maps):
        return None
    items, hashes, ranges = (mapping[MODALITY] for mapping in maps)
    if not 0 < len(items) == len(hashes) == len(ranges):
        return None
    return build_together([*items], [*hashes], [*ranges], run_id, limits)


def _source_modalities(data: MultiModalData) -> list[str]:
    """The modalities that hold images, after the check that the lists are parallel."""
    maps = (data.mm_items, data.mm_hashes, data.mm_placeholders)
    names = dict.fromkeys(name for mapping in maps for name in mapping)
    for name in names:
        if len({len(mapping.get(name, ())) for mapping in maps}) != 1:
            counts = ", ".join(str(len(mapping.get(name, ()))) for mapping in maps)
            message = f"expected as many mm_items, mm_hashes and mm_placeholders, got {counts}"
            raise MMRawError("lengths_differ", message, f"$.mm_items{key_in_path(name)}")
    return [name for name in names if data.mm_items.get(name)]


def _ref_of(
    item: Any, source: str, mm_hash: Any, run_id: str | None, limits: Limits, path: str
) -> RawMMRef:
    if item is None or mm_hash is None:
        message = "expected an envelope and a hash in each slot, got null"
        raise MMRawError("missing_slot", message, path)
    parsed = parse_item(item, limits=limits, path=path)
    if parsed.modality != source:
        message = "the envelope's modality differs from the key it is listed under"
        raise MMRawError("modality_mismatch", message, path)
    check_modality(parsed.vllm_modality, f"{path}.vllm_modality")
    if parsed.dialect != DEFAULT_ITEM:
        message = "expected an envelope of version 1, got an older one; convert it first"
        raise MMRawError("not_convertible", message, path)
    if run_id is None:
        message = "expected a run_id, which refs need; got none"
        raise MMRawError("missing_field", message, "$.run_id")
    return ref_of_item(parsed, parsed.family, mm_hash, run_id)


def format_described(ref: RawMMRef, dialect: str, limits: Limits, path: str) -> str:
    """The text of an envelope's ref; a label that the dialect cannot carry is left out.

    Raises:
        MMRawError: what `format_ref` raises, with the path.
    """
    wire = DIALECTS.get(dialect) if isinstance(dialect, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    is_label = ref.raw_image_id is not None and not ref.is_inline
    if wire is not None and is_label and "raw_uri" not in wire.attributes:
        # A file: URL next to raw_image_id is only a label, which such a dialect does not carry.
        ref = msgspec.structs.replace(ref, raw_uri=None)
    failed: MMRawError | None = None
    try:
        return format_ref(ref, dialect, limits=limits)
    except MMRawError as error:
        failed = error
    if failed.code in ("invalid_dialect", "invalid_run_id"):
        raise failed
    raise failed.with_path_prefix(path)


def _placeholder(value: Any, source: str, index: int) -> PlaceholderRange:
    path = f"$.mm_placeholders{key_in_path(source)}[{index}]"
    if value is None:
        raise MMRawError("missing_slot", "expected a placeholder in each slot, got null", path)
    if isinstance(value, PlaceholderRange):
        value = {"length": value.length, "offset": value.offset}
    check_json_value(value, path=path)
    check_placeholder_range(value, path, DEFAULT_LIMITS)
    return PlaceholderRange(length=value["length"], offset=value["offset"])
