"""Reading features bodies, and all refs in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import msgspec

from .. import fastpath
from .._generated.limits import DEFAULT_LIMITS, Limits
from .._generated.types import Features as _WireFeatures
from ..errors import MMRawError
from ..explain import explain, key_in_path
from ..json import LARGE, check_json_value, check_large_json, parse_json
from ..ref import RawMMRef, parse_ref
from . import fast
from .memory import RefMemory
from .model import MAPS, Features, check_count, check_overlap


def parse_features(
    features: Mapping[str, Any] | str | bytes | Features,
    *,
    limits: Limits = DEFAULT_LIMITS,
    memory: RefMemory | None = None,
) -> Features:
    """Reads a features body, from JSON text or from the decoded object, and all refs in it.

    Args:
        features: The body.
        limits: What the body and its refs are held against.
        memory: Spares reading refs again that earlier turns of a conversation carried; its limits
            are those of refs.

    Raises:
        MMRawError: modality_mismatch, lengths_differ, missing_slot, placeholder_invalid,
            hash_mismatch (a ref's hash is not the one beside it), limit_exceeded, and the codes of
            refs, with the path of the image.
    """
    if isinstance(features, Features):
        features = features.to_dict()
    if fastpath.enabled:
        read = partial(parse_ref, limits=limits) if memory is None else memory.parse_ref
        found = fast.parse(features, limits, read)
        if found is not None:
            return found
    if isinstance(features, (str, bytes)):
        wire = _decode(features, limits)
    else:
        wire = _from_object(features, limits)
    _check_shape(wire, limits)
    check_overlap(wire.mm_placeholders)
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
    # Five values an image: hash, ref, placeholder and its two numbers.
    most = 5 * limits.features_images + 256
    large = len(text) > LARGE
    if large:
        check_large_json(text, max_values=most, max_text=None)
    failed: msgspec.MsgspecError | None = None
    wire: _WireFeatures | None = None
    try:
        wire = msgspec.json.decode(text, type=_WireFeatures)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        failed = error if isinstance(error, msgspec.MsgspecError) else msgspec.DecodeError()
    if wire is not None:
        if not large:
            # msgspec keeps the last of duplicate keys; the strict reader refuses them.
            parse_json(text, max_values=most)
        return wire
    raise _refusal(parse_json(text, max_values=most), failed, limits)


def _from_object(value: Any, limits: Limits) -> _WireFeatures:
    if not isinstance(value, Mapping):
        raise MMRawError("invalid_type", "a features body is a JSON object")
    document = dict(cast("Mapping[str, Any]", value))
    failed: msgspec.ValidationError | None = None
    try:
        wire = msgspec.convert(document, _WireFeatures)
        check_json_value(list(wire.kwargs_data))
        return wire
    except msgspec.ValidationError as error:
        failed = error
    except UnicodeError:
        # A lone surrogate, which the check below names.
        pass
    # What a text could not hold is refused as it would be there.
    check_json_value(document)
    raise _refusal(document, failed, limits)


def _refusal(document: Any, failed: msgspec.MsgspecError | None, limits: Limits) -> MMRawError:
    """Why a body is refused; an empty slot is told apart from any other wrong type."""
    if isinstance(document, dict):
        for name in MAPS:
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
    maps = {name: cast("dict[str, list[Any]]", getattr(wire, name)) for name in MAPS}
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
    check_count(sum(map(len, wire.kwargs_data.values())), limits)
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
