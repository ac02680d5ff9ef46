"""Features bodies of which every image is as it should be, built together.

One decode, one encode and one pattern a ref take a third of the time of image by image. Where
anything may be wrong the answer is None, and the body is built image by image to find the error.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import msgspec

from ._generated.dialects import CANONICAL_ITEM, DEFAULT_DIALECT, DIALECTS
from ._generated.limits import Limits
from ._generated.modalities import UNSUPPORTED
from ._generated.types import PlaceholderRange
from .base64 import encode_base64url
from .features_model import ref_of_item
from .item import holds_lists
from .ref import RawMMRef

_WIRE = DIALECTS[DEFAULT_DIALECT]
_Items: Any = list[CANONICAL_ITEM.union]
_Ranges = list[PlaceholderRange]
_encode_lines = msgspec.json.Encoder().encode_lines


def build_together(
    items: list[Any], hashes: list[Any], ranges: list[Any], run_id: str, limits: Limits
) -> dict[str, Any] | None:
    """The body of decoded envelopes of built-in families, with refs of the default dialect."""
    if _WIRE.fits is None or len(items) > limits.features_images:
        return None
    try:
        refs = _refs(items, hashes, run_id)
        spans = msgspec.convert(ranges, _Ranges)
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError):
        return None
    if refs is None or any(b.offset < a.offset + a.length for a, b in pairwise(spans)):
        return None
    body: dict[str, Any] = {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}
    texts, kept, placeholders = (body[name] for name in body)
    try:
        documents = _encode_lines(refs).split(b"\n")
        for ref, data, span in zip(refs, documents, spans, strict=False):
            if not _WIRE.fits(data, ref.family, ref, limits):
                return None
            modality = ref.modality
            texts.setdefault(modality, []).append(_WIRE.prefix + encode_base64url(data))
            kept.setdefault(modality, []).append(ref.mm_hash)
            row = {"length": span.length, "offset": span.offset}
            placeholders.setdefault(modality, []).append(row)
    except (ValueError, TypeError, KeyError):
        return None
    return body


def _refs(items: list[Any], hashes: list[Any], run_id: str) -> list[RawMMRef] | None:
    payloads = [cast("Any", i).get("payload") if type(i) is dict else None for i in items]
    if not all(type(payload) is dict and holds_lists(payload.values()) for payload in payloads):
        return None
    values = cast("list[Any]", msgspec.convert(items, _Items))
    if any(value.vllm_modality in UNSUPPORTED for value in values):
        return None
    # These values are not carried over, so encoding them would not find their faults.
    if any(value.vllm_modality == "" or type(value.raw_ref) is str for value in values):
        return None
    return [
        ref_of_item(value, value.__struct_config__.tag, mm_hash, run_id)
        for value, mm_hash in zip(values, hashes, strict=True)
    ]
