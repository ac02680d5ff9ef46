"""Moving a ref from one dialect to another, without loss or not at all.

Source: spec/README.md, section "Conversion".
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.wire import DIALECTS, Dialect, WireDialect
from .codec import encode_base64, parse_data_uri, sha256_hex
from .errors import MMRawError
from .refs import RawMMRef, normalize_run_id, parse_ref, write_ref

if TYPE_CHECKING:
    from .assets import AssetStore

__all__ = ["convert_ref"]

#: A checkpoint's preprocessor configuration, or the layout's knobs.
Config = Mapping[str, Any] | str | PathLike[str]

_MEDIA_TYPES = {"jpg": "jpeg", "png": "png", "webp": "webp", "gif": "gif"}


class _Losses:
    """What stands between a ref and its target dialect."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.lost: list[str] = []

    def error(self, to: str) -> MMRawError | None:
        if not self.missing and not self.lost:
            return None
        parts: list[str] = []
        if self.missing:
            parts.append(f"{to} needs {', '.join(self.missing)}")
        if self.lost:
            parts.append(f"{to} would lose {', '.join(self.lost)}")
        name = (self.missing + self.lost)[0].split(" ")[0]
        return MMRawError("not_convertible", "; ".join(parts), f"$.{name}")


def convert_ref(
    text: str,
    to: str = "v3",
    run_id: str | None = None,
    config: Config | None = None,
    store: AssetStore | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """The ref `text` in dialect `to`, canonical.

    Args:
        text: A ref of any dialect.
        to: Any dialect, also those that `format_ref` does not write.
        run_id: The run's label, where the source names none. Where the target has no place for
            it, the same label given here says that the caller keeps it.
        config: The layout's knobs or a preprocessor_config.json (mapping or path), where the
            fingerprint must move to the other hashing scheme and is not that of the defaults.
        store: With a store, inline bytes may be offloaded on the way and stored files inlined;
            the bytes are verified against mm_hash. Without one, no source may change its kind.
        limits: Of the ref that is read and the one that is written.

    Raises:
        MMRawError: invalid_dialect; not_convertible, naming each field that is missing or would be
            lost; hash_mismatch, source_unavailable and the store's codes; what `parse_ref` raises.
    """
    wire = DIALECTS.get(to)
    if wire is None:
        raise MMRawError("invalid_dialect", f"the dialects are {', '.join(DIALECTS)}")
    ref = parse_ref(text, limits=limits)
    losses = _Losses()
    changes: dict[str, Any] = {
        "run_id": _run_id(ref, wire, run_id, losses, limits),
        "fingerprint": _fingerprint(ref, wire, config, losses),
    }
    if wire.family is not None and ref.family != wire.family:
        losses.lost.append("family")
    changes |= _sources(ref, wire, losses, store, limits)
    if error := losses.error(to):
        raise error
    return write_ref(msgspec.structs.replace(ref, **changes), wire, limits)


def _attributes(wire: WireDialect) -> set[str]:
    return {attribute for _, attribute in wire.fields}


def _run_id(
    ref: RawMMRef, wire: WireDialect, given: str | None, losses: _Losses, limits: Limits
) -> str | None:
    label = None if given is None else normalize_run_id(given, limits=limits)
    if "run_id" in _attributes(wire):
        if ref.run_id is None and label is None:
            losses.missing.append("run_id")
        return ref.run_id or label
    if ref.run_id is not None and ref.run_id != label:
        losses.lost.append("run_id")
    return None


def _fingerprint(ref: RawMMRef, wire: WireDialect, config: Config | None, losses: _Losses) -> str:
    """The fingerprint under the target's hashing scheme; only the knobs can give it."""
    source = DIALECTS[ref.dialect]
    if source.fingerprint_scheme == wire.fingerprint_scheme:
        return ref.fingerprint
    pair = _both_fingerprints(ref, source.dialect, wire.dialect, config)
    if pair is None or pair[0] != ref.fingerprint:
        losses.missing.append("fingerprint (pass the layout's config)")
        return ref.fingerprint
    return pair[1]


def _both_fingerprints(
    ref: RawMMRef, source: str, target: str, config: Config | None
) -> tuple[str, str] | None:
    from .adapters import get_adapter
    from .adapters.fingerprint import layout_fingerprint

    failed: MMRawError | None = None
    try:
        adapter = get_adapter(ref.family, config)
        return adapter.fingerprint(source), adapter.fingerprint(target)
    except MMRawError as error:
        failed = error
    if failed.code != "unknown_family":
        raise failed
    if not isinstance(config, Mapping) or "positional" in {
        DIALECTS[name].fingerprint_scheme for name in (source, target)
    }:
        return None
    values = dict(config)
    return (
        layout_fingerprint(ref.family, values, source),
        layout_fingerprint(ref.family, values, target),
    )


def _sources(
    ref: RawMMRef, wire: WireDialect, losses: _Losses, store: AssetStore | None, limits: Limits
) -> dict[str, str | None]:
    """raw_uri and raw_image_id as the target can hold them."""
    name = ref.stored_name
    label = None if ref.is_inline else ref.raw_uri
    places = _attributes(wire)
    if places >= {"raw_uri", "raw_image_id"}:
        return {"raw_uri": ref.raw_uri, "raw_image_id": name}
    if "raw_image_id" in places:
        if ref.raw_uri is None:
            return {"raw_uri": None, "raw_image_id": name}
        wanted = "raw_image_id"
    else:
        wanted = "data" if wire.dialect == "unversioned-data" else "label"
        if wanted == "data" and ref.is_inline and name is None:
            return {"raw_uri": ref.raw_uri, "raw_image_id": None}
        if wanted == "label" and label is not None:
            return {"raw_uri": label, "raw_image_id": None}
    if store is None:
        _note_losses(ref, wanted, losses)
        return {"raw_uri": ref.raw_uri, "raw_image_id": name}
    return _through_store(ref, wanted, store, limits)


def _note_losses(ref: RawMMRef, wanted: str, losses: _Losses) -> None:
    """Without a store no source can change its kind."""
    names = {v: k for k, v in DIALECTS[ref.dialect].fields}
    uri = names.get("raw_uri", "raw_uri")
    if wanted == "raw_image_id":
        if ref.stored_name is None:
            losses.missing.append("raw_image_id (pass a store)")
        losses.lost.append(uri)
    elif wanted == "data":
        if ref.is_inline:
            losses.lost.append("raw_image_id")
        else:
            losses.missing.append("raw_image_data (pass a store)")
    else:
        losses.missing.append("raw_image_uri (pass a store)")
        if ref.is_inline:
            losses.lost.append(uri)


def _through_store(
    ref: RawMMRef, wanted: str, store: AssetStore, limits: Limits
) -> dict[str, str | None]:
    """The source in another kind, its bytes read once and verified."""
    data = _bytes_of(ref, store, limits)
    if wanted == "data":
        kind = _MEDIA_TYPES.get(_extension(data), "png")
        uri = ref.raw_uri if ref.is_inline else f"data:image/{kind};base64,{encode_base64(data)}"
        return {"raw_uri": uri, "raw_image_id": None}
    name = ref.stored_name
    if ref.is_inline and (name is None or not store.has(name)):
        name = store.put(data)
    name = cast(str, name)
    if wanted == "label":
        return {"raw_uri": store.url(name), "raw_image_id": None}
    return {"raw_uri": None, "raw_image_id": name}


def _extension(data: bytes) -> str:
    from .assets.names import sniff_extension

    return sniff_extension(data)


def _bytes_of(ref: RawMMRef, store: AssetStore, limits: Limits) -> bytes:
    if ref.is_inline:
        data = parse_data_uri(cast(str, ref.raw_uri), limits=limits).data
    else:
        data = store.get(cast(str, ref.stored_name))
    digest = sha256_hex(data)
    if len(ref.mm_hash) not in (32, 64) or not digest.startswith(ref.mm_hash):
        raise MMRawError("hash_mismatch", "the bytes are not those that mm_hash names", "$.mm_hash")
    return data


def dialect_names() -> tuple[Dialect, ...]:
    """The dialects, newest first as spec/ lists them."""
    return cast("tuple[Dialect, ...]", tuple(DIALECTS))
