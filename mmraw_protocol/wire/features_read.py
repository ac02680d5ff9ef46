"""Reading features bodies, and all refs in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ._generated.checks import check_features
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import Features as WireFeatures
from .check import key_in_path
from .errors import MMRawError
from .features_model import MAPS, Features, check_count, check_overlap
from .json import check_json_value, parse_json
from .modality import check_maps
from .ref import RawMMRef, parse_ref

if TYPE_CHECKING:
    from .ref_memory import RefMemory

#: Values in a body for each image (hash, ref, placeholder and its two numbers), and others.
_VALUES_AN_IMAGE, _VALUES_BESIDE = 5, 256


def parse_features(
    features: Mapping[str, Any] | str | bytes | Features,
    *,
    limits: Limits = DEFAULT_LIMITS,
    memory: RefMemory | None = None,
) -> Features:
    """Reads a features body, from JSON text or from the decoded object, and all refs in it.

    Args:
        features: The body.
        limits: What the body and its refs may hold.
        memory: Spares reading refs again that earlier turns of a conversation carried; its limits
            are those of refs.

    Raises:
        MMRawError: modality_unsupported (a video or audio), modality_mismatch, lengths_differ,
            missing_slot, placeholder_invalid, hash_mismatch (a ref's hash is not the one beside
            it), limit_exceeded, and the codes of refs, with the path of the image.
    """
    given: Any = features.to_dict() if isinstance(features, Features) else features
    document = _document(given, limits)
    failed: MMRawError | None = None
    try:
        wire = _typed(document)
        # The values made of the document take as much memory again.
        document = None
        _check_shape(wire, limits)
        check_overlap(wire.mm_placeholders)
        read = partial(parse_ref, limits=limits) if memory is None else memory.parse_ref
        refs = {m: _refs(m, texts, wire, read) for m, texts in wire.kwargs_data.items()}
        return Features(
            mm_hashes=wire.mm_hashes,
            mm_placeholders=wire.mm_placeholders,
            kwargs_data=wire.kwargs_data,
            refs=refs,
        )
    except MMRawError as error:
        failed = error.with_traceback(None)
    # A broken schema rule is named before a broken rule beyond the schema.
    if document is None:
        document = _document(given, limits)
    if not isinstance(given, (str, bytes)):
        check_json_value(document)
    check_modalities(document)
    _check_slots(document)
    check_features(document, "$", limits)
    raise failed


def _document(features: Any, limits: Limits) -> Any:
    if isinstance(features, Mapping):
        return dict(cast("Mapping[str, Any]", features))
    if not isinstance(features, (str, bytes)):
        return features
    if len(features) > limits.features_bytes:
        raise _too_long(limits)
    most = _VALUES_AN_IMAGE * limits.features_images + _VALUES_BESIDE
    return parse_json(features, max_values=most)


def _typed(document: Any) -> WireFeatures:
    """The body by its types; a hash is checked by its ref, which must have the same.

    Raises:
        MMRawError: invalid_type.
    """
    try:
        lists = [rows for name in MAPS for rows in document[name].values()]
        # msgspec also converts sets, which have no order.
        if all(isinstance(rows, (list, tuple)) for rows in lists):
            wire = msgspec.convert(document, WireFeatures)
            check_json_value([*wire.kwargs_data])
            return wire
    except (msgspec.ValidationError, UnicodeError, TypeError, KeyError, AttributeError):
        pass
    message = "expected a features body by its schema, got another type or structure"
    raise MMRawError("invalid_type", message)


def _too_long(limits: Limits) -> MMRawError:
    message = f"expected at most {limits.features_bytes} bytes in a features body, got more"
    return MMRawError("limit_exceeded", message)


def check_modalities(document: Any) -> None:
    """Refuses a body, of any shape, that holds a video or audio.

    Raises:
        MMRawError: modality_unsupported.
    """
    if isinstance(document, Mapping):
        body = cast("Mapping[str, Any]", document)
        check_maps({name: body.get(name) for name in MAPS})


def _check_slots(document: Any) -> None:
    """An empty slot has a code of its own: it once stopped engines."""
    for name in MAPS:
        if not isinstance(document, dict):
            return
        by_modality = cast("dict[str, Any]", document).get(name)
        if not isinstance(by_modality, dict):
            continue
        for key, rows in cast("dict[Any, Any]", by_modality).items():
            if isinstance(rows, (list, tuple)) and None in rows:
                path = f"$.{name}{key_in_path(key)}[{cast('list[Any]', rows).index(None)}]"
                message = "expected a value in each slot, got null; carry every image's ref"
                raise MMRawError("missing_slot", message, path)


def _check_shape(wire: WireFeatures, limits: Limits) -> None:
    maps = {name: cast("dict[str, list[Any]]", getattr(wire, name)) for name in MAPS}
    check_maps(maps)
    modalities = wire.kwargs_data.keys()
    for name, mapping in maps.items():
        if mapping.keys() != modalities:
            message = "kwargs_data, mm_hashes and mm_placeholders must have the same modalities"
            raise MMRawError("modality_mismatch", message, f"$.{name}")
    for modality, texts in wire.kwargs_data.items():
        for name, mapping in maps.items():
            if len(mapping[modality]) != len(texts):
                wanted, got = len(texts), len(mapping[modality])
                message = f"expected {wanted} values as in kwargs_data, got {got}"
                raise MMRawError("lengths_differ", message, f"$.{name}{key_in_path(modality)}")
    check_count(sum(map(len, wire.kwargs_data.values())), limits)
    characters = sum(len(text) for texts in wire.kwargs_data.values() for text in texts)
    if characters > limits.features_bytes:
        raise _too_long(limits)


def _refs(
    modality: str, texts: list[str], wire: WireFeatures, read: Callable[[str], RawMMRef]
) -> list[RawMMRef]:
    refs: list[RawMMRef] = []
    failed: MMRawError | None = None
    for text, mm_hash in zip(texts, wire.mm_hashes[modality], strict=True):
        try:
            ref = read(text)
        except MMRawError as error:
            failed = error
            break
        if ref.modality != modality:
            message = "the ref's modality differs from the key it is listed under"
            failed = MMRawError("modality_mismatch", message)
            break
        if ref.mm_hash != mm_hash:
            message = "expected the mm_hash that is listed for the ref, got another"
            failed = MMRawError("hash_mismatch", message)
            break
        refs.append(ref)
    if failed is not None:
        raise failed.with_path_prefix(f"$.kwargs_data{key_in_path(modality)}[{len(refs)}]")
    return refs
