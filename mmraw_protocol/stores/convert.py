"""Moving a ref from one dialect to another, without loss or not at all.

Source: spec/README.md, section "Conversion".
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, cast

import msgspec

from ..families import get_adapter, layout_fingerprint
from ..wire._generated.dialects import DEFAULT_DIALECT, DIALECTS, Dialect, WireDialect
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.base64 import encode_base64
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import (
    RawMMRef,
    lost_fields,
    normalize_run_id,
    parse_ref,
    wire_of,
    write_ref,
)
from ..wire.ref_pattern import document_of, filled, pattern_of, patterns_of, tail_of, text_of
from .base import AssetStore, Storage
from .names import sniff_extension

__all__ = ["RefConverter", "convert_ref"]

#: A checkpoint's preprocessor configuration, or layout parameters.
Config = Mapping[str, Any] | str | PathLike[str]

_STORAGES = ("offload", "inline")
_SOURCES = frozenset({"raw_image_id", "raw_uri"})
#: Fields whose loss depends on more than the table of dialects.
_HANDLED = frozenset({*_SOURCES, "fingerprint", "payload", "run_id"})
#: Patterns of refs that are known at once; a run has some hundreds.
_MOST_PATTERNS = 4096
_MEDIA_TYPES = {"jpg": "jpeg", "png": "png", "webp": "webp", "gif": "gif"}


class ConversionLoss:
    """The fields that a ref lacks or would lose in its target dialect."""

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
    to: str = DEFAULT_DIALECT,
    run_id: str | None = None,
    config: Config | None = None,
    store: AssetStore | None = None,
    *,
    storage: Storage | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """The ref `text` in dialect `to`, canonical.

    Args:
        text: A ref of any dialect.
        to: Any dialect, also those that `format_ref` does not write.
        run_id: The run's label, if the source names none. If the target has no place for
            it, the same label given here says that the caller keeps it.
        config: Layout parameters or a preprocessor_config.json (mapping or path), if the
            fingerprint must move to the other hashing scheme and is not that of the defaults.
        store: With a store, inline bytes may be offloaded on the way and stored files inlined;
            the bytes are verified against mm_hash. Without one, no source may change its kind.
        storage: How a ref holds its image, in a dialect that can carry both sources: `offload`
            stores inline bytes, `inline` takes stored ones in. None leaves the source as it is.
        limits: Of the ref that is read and the one that is written.

    Raises:
        MMRawError: invalid_dialect; not_convertible, naming each field that is missing or would be
            lost; hash_mismatch, run_mismatch, source_unavailable and the store's codes;
            unsupported_option; what `parse_ref` raises.
    """
    converter = RefConverter(to, run_id, config, store, storage=storage, limits=limits)
    return converter.convert(text)


class RefConverter:
    """Converts many refs as `convert_ref`: what does not depend on the ref is computed once.

    The arguments are those of `convert_ref`.
    """

    def __init__(
        self,
        to: str = DEFAULT_DIALECT,
        run_id: str | None = None,
        config: Config | None = None,
        store: AssetStore | None = None,
        *,
        storage: Storage | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        wire = wire_of(to)
        if storage is not None and (storage not in _STORAGES or not wire.attributes >= _SOURCES):
            message = "expected storage offload or inline, with a dialect that carries both sources"
            raise MMRawError("unsupported_option", message)
        self.wire = wire
        self.run_id = None if run_id is None else normalize_run_id(run_id, limits=limits)
        self.config = config
        self.store = store
        self.storage: Storage | None = storage
        self.limits = limits
        self._fingerprints: dict[tuple[str, str], str | None] = {}
        #: By a ref's pattern: what becomes of it.
        self._made: dict[bytes, bytes] = {}
        #: Dialects of which the target holds every field as it is.
        self._kept = frozenset(
            name
            for name, source in DIALECTS.items()
            if storage is None
            and source.fingerprint_scheme == wire.fingerprint_scheme
            and "run_id" in source.attributes <= wire.attributes
            and _needed(wire) <= _needed(source)
            and (source.family, source.uri) in ((wire.family, wire.uri), (wire.family, None))
        )

    def convert(self, text: str) -> str:
        """The ref `text` in the target dialect.

        Raises:
            MMRawError: what `convert_ref` raises.
        """
        pattern = None if self.store is not None else pattern_of(text)
        if pattern is None:
            return self._converted(text)
        document, *digits = pattern
        made = self._made.get(document)
        if made is not None:
            return text_of(filled(made, *digits))
        new = self._converted(text)
        with contextlib.suppress(MMRawError):
            made = document_of(self._converted(text_of(document)))
            if made and text_of(filled(made, *digits)) == new:
                if len(self._made) >= _MOST_PATTERNS:
                    self._made.clear()
                self._made[document] = made
        return new

    def convert_together(self, texts: Sequence[bytes]) -> list[bytes | None]:
        """Converts refs together; None for each that only `convert` can convert.

        Args:
            texts: Refs without their `mmraw:`. So are the results.
        """
        known = self._made
        if self.store is not None:
            return [None] * len(texts)
        return [
            None
            if pattern is None or (made := known.get(pattern[0])) is None
            else tail_of(filled(made, pattern[1], pattern[2]))
            for pattern in patterns_of(texts)
        ]

    def _converted(self, text: str) -> str:
        """The ref in the target dialect, read and written."""
        ref = parse_ref(text, limits=self.limits)
        if ref.dialect in self._kept:
            return self._write(ref)
        losses = ConversionLoss()
        changes: dict[str, Any] = {"run_id": _run_id(ref, self.wire, self.run_id, losses)}
        if self.wire.family is not None and ref.family != self.wire.family:
            losses.lost += ["family", "payload"]
        else:
            changes["fingerprint"] = self._fingerprint(ref, losses)
        kind = _wanted_source(ref, self.wire, self.storage)
        if kind is not None and self.store is None:
            _note_losses(ref, self.wire, kind, losses)
        absent = {name for name in _needed(self.wire) if getattr(ref, name) is None}
        losses.missing += sorted(absent - _HANDLED)
        losses.lost += [name for name in lost_fields(ref, self.wire) if name not in _HANDLED]
        if error := losses.error(self.wire.dialect):
            raise error
        if kind is None:
            named = "raw_image_id" in self.wire.attributes
            changes["raw_image_id"] = ref.stored_name if named else None
        else:
            run_id = ref.run_id or self.run_id
            store = cast("AssetStore", self.store)
            changes |= _through_store(ref, kind, store, run_id, self.limits)
        return self._write(msgspec.structs.replace(ref, **changes))

    def _write(self, ref: RawMMRef) -> str:
        failed: MMRawError | None = None
        try:
            return write_ref(ref, self.wire, self.limits)
        except MMRawError as error:
            failed = error
        if failed.code == "limit_exceeded" and self.wire.encoding == "segments":
            message = f"{self.wire.dialect} would lose payload: a ref of it is too short for it"
            raise MMRawError("not_convertible", message, "$.payload")
        raise failed

    def _fingerprint(self, ref: RawMMRef, losses: ConversionLoss) -> str | None:
        """The fingerprint under the target's hashing scheme, which layout parameters give."""
        source = DIALECTS[ref.dialect]
        if source.fingerprint_scheme == self.wire.fingerprint_scheme:
            return ref.fingerprint
        carried = "fingerprint" in self.wire.attributes
        # The defaults say nothing of a ref without a fingerprint: the caller has to.
        said = self.config is not None or (carried and ref.fingerprint is not None)
        own = ref.fingerprint
        known = said and (own is None or self._of(ref.family, source) == own)
        found = self._of(ref.family, self.wire) if known and carried else None
        if carried and found is None:
            losses.missing.append("fingerprint (pass the layout's config)")
        elif not carried and not known:
            losses.lost.append("fingerprint")
        return found

    def _of(self, family: str, wire: WireDialect) -> str | None:
        """The fingerprint of the configuration in a dialect; None if nothing gives it."""
        key = (family, wire.fingerprint_scheme)
        if key not in self._fingerprints:
            if len(self._fingerprints) > 1000:  # families are input: no table grows with them
                self._fingerprints.clear()
            self._fingerprints[key] = _fingerprint_of(family, wire, self.config)
        return self._fingerprints[key]


def _needed(wire: WireDialect) -> frozenset[str]:
    """The required fields of a dialect, by the names of the model."""
    return frozenset(attribute for name, attribute in wire.fields if name in wire.required)


def _run_id(
    ref: RawMMRef, wire: WireDialect, label: str | None, losses: ConversionLoss
) -> str | None:
    if "run_id" in wire.attributes:
        if ref.run_id is None and label is None:
            losses.missing.append("run_id")
        return ref.run_id or label
    if ref.run_id is not None and ref.run_id != label:
        losses.lost.append("run_id")
    return None


def _fingerprint_of(family: str, wire: WireDialect, config: Config | None) -> str | None:
    """The fingerprint of a configuration in a dialect; None if there is none."""
    failed: MMRawError | None = None
    try:
        return get_adapter(family, config).fingerprint(wire.dialect)
    except MMRawError as error:
        failed = error
    if failed.code != "unknown_family":
        raise failed
    if not isinstance(config, Mapping) or wire.fingerprint_scheme == "positional":
        return None
    return layout_fingerprint(family, dict(config), wire.dialect)


#: A source of another kind than the ref's own: a stored name, the bytes, or a file: label.
_Kind = Literal["raw_image_id", "data", "label"]


def _wanted_source(ref: RawMMRef, wire: WireDialect, storage: Storage | None) -> _Kind | None:
    """The kind that the source must change to, or None if the target holds it as it is."""
    syntax = None if wire.uri is None else wire.uri[1]
    if syntax == "raw_uri":
        if storage == "offload" and ref.is_inline:
            return "raw_image_id"
        return "data" if storage == "inline" and not ref.is_inline else None
    if syntax is None:
        return None if ref.raw_uri is None else "raw_image_id"
    if syntax == "data_url":
        return None if ref.is_inline and ref.raw_image_id is None else "data"
    return None if ref.raw_uri is not None and not ref.is_inline else "label"


def _note_losses(ref: RawMMRef, wire: WireDialect, wanted: _Kind, losses: ConversionLoss) -> None:
    """Refuses to change a source's kind without a store."""
    source = DIALECTS[ref.dialect].uri
    uri = "raw_uri" if source is None else source[0]
    if wanted == "raw_image_id":
        if ref.stored_name is None:
            losses.missing.append("raw_image_id (pass a store)")
        losses.lost.append(uri)
        return
    if wanted == "label" or not ref.is_inline:
        needed = "raw_uri" if wire.uri is None else wire.uri[0]
        losses.missing.append(f"{needed} (pass a store)")
    if ref.raw_image_id is not None:
        losses.lost.append("raw_image_id")
    if ref.raw_uri is not None and not (wanted == "data" and ref.is_inline):
        losses.lost.append(uri)


def _through_store(
    ref: RawMMRef, wanted: _Kind, store: AssetStore, run_id: str | None, limits: Limits
) -> dict[str, str | None]:
    """The source in another kind, its bytes read once and verified."""
    data = _bytes_of(ref, store, run_id, limits)
    if wanted == "data":
        kind = _MEDIA_TYPES.get(sniff_extension(data), "png")
        uri = ref.raw_uri if ref.is_inline else f"data:image/{kind};base64,{encode_base64(data)}"
        return {"raw_uri": uri, "raw_image_id": None}
    name = ref.stored_name
    if name is None or (ref.is_inline and not _is_stored(store, name, data, run_id)):
        name = store.put(data, run_id=run_id)
    if wanted == "label":
        return {"raw_uri": store.url(name, run_id=run_id), "raw_image_id": None}
    return {"raw_uri": None, "raw_image_id": name}


def _is_stored(store: AssetStore, name: str, data: bytes, run_id: str | None) -> bool:
    """True if the store holds just these bytes under `name`."""
    try:
        return store.get(name, run_id=run_id) == data
    except MMRawError as error:
        if error.code not in ("source_unavailable", "object_corrupt", "limit_exceeded"):
            raise
    return False


def _bytes_of(ref: RawMMRef, store: AssetStore, run_id: str | None, limits: Limits) -> bytes:
    if ref.is_inline:
        data = parse_data_uri(cast(str, ref.raw_uri), limits=limits).data
    else:
        data = store.get(cast(str, ref.stored_name), run_id=run_id)
    digest = sha256_hex(data)
    if len(ref.mm_hash) not in (32, 64) or not digest.startswith(ref.mm_hash):
        message = "expected the bytes that mm_hash names, got others"
        raise MMRawError("hash_mismatch", message, "$.mm_hash")
    return data


def dialect_names() -> tuple[Dialect, ...]:
    """The dialects, newest first as spec/ lists them."""
    return cast("tuple[Dialect, ...]", tuple(DIALECTS))
