"""Refs: the text that stands for one image on the wire.

Source: spec/README.md, sections "Refs" and "Order of checks"; schemas urn:mmraw:ref:*.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from ._generated import types
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import KimiK25Payload, QwenVlPayload
from ._generated.wire import DIALECTS, PAYLOADS, Dialect, WireDialect
from .codec import (
    canonical_json,
    check_payload_value,
    decode_base64url,
    encode_base64url,
    explain,
    holds_processed_key,
    parse_data_uri,
    parse_file_label,
    parse_json,
)
from .codec.jsontext import check_json_value, processed_payload
from .errors import MMRawError
from .grids import check_grid

__all__ = [
    "Payload",
    "RawMMRef",
    "check_raw_image_id",
    "format_ref",
    "is_ref",
    "normalize_run_id",
    "parse_ref",
]

PREFIX = "mmraw:"

#: A payload as this package holds it: typed for the families of spec/, else a JSON object.
Payload = QwenVlPayload | KimiK25Payload | dict[str, Any]


class RawMMRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image, as a ref of any dialect says it.

    Attributes:
        dialect: The dialect it was read from, or is meant for.
        family: Family of layouts, for example `qwen_vl`.
        fingerprint: 16 to 64 hex digits over the layout's knobs.
        mm_hash: Leading hex digits of the sha256 over the encoded image.
        modality: The feature modality, for example `image` or `vision_chunk`.
        payload: The family's typed payload; a JSON object where spec/ does not list the family.
        raw_image_id: Name of the stored image, or None.
        raw_uri: data: URL of the image, or a file: URL that is a label only, or None.
        run_id: The run's label without `run_`; None in dialects that carry none.
    """

    dialect: Dialect = "v3"
    family: str
    fingerprint: str
    mm_hash: str
    modality: str
    payload: Payload
    raw_image_id: str | None = None
    raw_uri: str | None = None
    run_id: str | None = None

    @property
    def stored_name(self) -> str | None:
        """The name to look up in a store: raw_image_id, else the last segment of a file: URL."""
        if self.raw_image_id is not None or self.raw_uri is None or self.is_inline:
            return self.raw_image_id
        return parse_file_label(self.raw_uri)

    @property
    def is_inline(self) -> bool:
        """Whether the ref carries the image's bytes."""
        return self.raw_uri is not None and self.raw_uri.startswith("data:")

    def fields(self) -> dict[str, Any]:
        """The fields by their wire names in `dialect`, absent ones left out, as plain JSON."""
        wire = DIALECTS[self.dialect]
        result: dict[str, Any] = {}
        for name, attribute in wire.fields:
            value = _grid_of(self) if name == "grid_thw" else getattr(self, attribute)
            if value is not None:
                result[name] = plain_json(value)
        return result


def plain_json(value: Any) -> Any:
    """Structs and tuples as the objects and lists that JSON knows; other values as they are."""
    if isinstance(value, (msgspec.Struct, tuple)):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value


def is_ref(text: object) -> bool:
    """Whether `text` is a string that starts as refs do; it may still be refused."""
    return isinstance(text, str) and text.startswith(PREFIX)


def normalize_run_id(text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.run_id") -> str:
    """A run label with one leading `run_` taken off.

    Raises:
        MMRawError: invalid_type, invalid_run_id, limit_exceeded.
    """
    _check_string("RunId", text, path)
    if len(text) > limits.name_chars:
        message = f"run_id is longer than {limits.name_chars} characters"
        raise MMRawError("limit_exceeded", message, path)
    return text.removeprefix("run_")


def check_raw_image_id(
    text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.raw_image_id"
) -> str:
    """`text` if it is a safe file name for a stored image.

    Raises:
        MMRawError: invalid_type, invalid_raw_image_id, limit_exceeded.
    """
    _check_string("RawImageId", text, path)
    if len(text) > limits.raw_image_id_bytes:
        message = f"raw_image_id is longer than {limits.raw_image_id_bytes} bytes"
        raise MMRawError("limit_exceeded", message, path)
    return text


def _check_string(name: str, value: str, path: str) -> None:
    """Holds `value` against a string definition of spec/."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "expected a string", path)
    failed: msgspec.ValidationError | None = None
    try:
        msgspec.convert(value, getattr(types, name))
    except msgspec.ValidationError as error:
        failed = error
    if failed is not None:
        code = "invalid_run_id" if name == "RunId" else "invalid_raw_image_id"
        hint = "a plain run label" if name == "RunId" else "a plain file name"
        raise MMRawError(code, f"expected {hint} of A-Z a-z 0-9 _ . - (see the schema)", path)


def parse_ref(text: str, *, limits: Limits = DEFAULT_LIMITS) -> RawMMRef:
    """Reads a ref of any dialect.

    The grammar, the family's payload and the base64 of an inline image are checked; hashes and
    pixels are not: that is the materializer's part.

    Raises:
        MMRawError: not_a_ref, unsupported_dialect, and every code of the sections that
            spec/README.md lists under "Order of checks".
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "a ref is a string")
    if not text.startswith(PREFIX):
        raise MMRawError("not_a_ref", "a ref starts with mmraw:")
    if not text.isascii():
        raise MMRawError("invalid_encoding", "a ref is plain ASCII")
    wire = _dialect_of(text)
    if wire.encoding == "segments":
        return _parse_segments(text, wire, limits)
    body = text[len(wire.prefix) :]
    if wire.encoding == "json":
        _check_length(len(body), limits)
        return _parse_object(body.encode("ascii"), wire, limits)
    _check_length(len(body) // 4 * 3, limits)
    return _parse_object(decode_base64url(body), wire, limits)


def _dialect_of(text: str) -> WireDialect:
    """Tells dialects apart by the text alone; v3-runless shows only inside v3."""
    for name in ("v3", "v2", "v1"):
        if text.startswith(DIALECTS[name].prefix):
            return DIALECTS[name]
    if text.startswith("{", len(PREFIX)):
        return DIALECTS["unversioned-data"]
    if ":" in text[len(PREFIX) :]:
        raise MMRawError("unsupported_dialect", "the tag behind mmraw: is not v1, v2 or v3")
    return DIALECTS["unversioned-uri"]


def _check_length(size: int, limits: Limits) -> None:
    """Refuses by length alone: an inline image in base64, a payload, and the other fields."""
    most = limits.inline_image_bytes // 3 * 4 + 4 + limits.payload_bytes + 8192
    if size > most:
        raise MMRawError("limit_exceeded", "the ref is longer than its limits allow")


def _parse_segments(text: str, wire: WireDialect, limits: Limits) -> RawMMRef:
    if len(text) > limits.v2_ref_chars:
        message = f"a ref of this dialect has at most {limits.v2_ref_chars} characters"
        raise MMRawError("limit_exceeded", message)
    wanted = len(wire.segments)
    parts = text[len(wire.prefix) :].split(":", wanted)
    if len(parts) != wanted:
        message = f"expected {wanted} parts behind {wire.prefix}"
        raise MMRawError("invalid_segments", message)
    values: dict[str, Any] = dict(zip(wire.segments, parts, strict=True))
    if "grid_thw" in values:
        values["grid_thw"] = _grid_of_text(values["grid_thw"])
        return _model(_convert(values, wire.opaque, wire), wire, limits)
    payload = decode_base64url(values.pop("payload"), "$.payload")
    if len(payload) > limits.payload_bytes:
        raise _payload_too_long(limits)
    family = cast(str, values["family"])
    values["payload"] = _decode_payload(payload, family, wire, limits)
    if family not in PAYLOADS:
        opaque = values.pop("payload")
        struct = _convert({**values, "payload": msgspec.Raw(b"{}")}, wire.opaque, wire)
        return _model(struct, wire, limits, payload=opaque)
    return _model(_convert(values, wire.listed[family], wire), wire, limits)


def _grid_of_text(text: str) -> list[list[int]]:
    match = re.fullmatch(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,6})x([1-9][0-9]{0,6})", text)
    if match is None:
        raise MMRawError("invalid_grid", "expected TxHxW in plain decimal", "$.grid_thw")
    return [[int(side) for side in match.groups()]]


def _convert(values: dict[str, Any], struct: Any, wire: WireDialect) -> msgspec.Struct:
    failed: msgspec.ValidationError | None = None
    try:
        return msgspec.convert(values, struct)
    except msgspec.ValidationError as error:
        failed = error
    raise explain(failed, wire.schema)


def _decode_payload(data: bytes, family: str, wire: WireDialect, limits: Limits) -> Any:
    """The payload of a segments dialect: typed for listed families."""
    struct = PAYLOADS.get(family)
    if struct is None:
        return check_payload_value(_strict_payload(data, limits), limits=limits)
    return _typed(data, struct, wire, "$.payload", limits)


def _strict_payload(data: bytes | memoryview, limits: Limits) -> Any:
    return parse_json(data, max_depth=limits.payload_depth, path="$.payload")


def _typed(data: bytes, struct: Any, wire: WireDialect, path: str, limits: Limits) -> Any:
    """A typed decode of JSON text that is as strict as `parse_json`."""
    failed: msgspec.MsgspecError | None = None
    try:
        value = msgspec.json.decode(data, type=struct)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        failed = error if isinstance(error, msgspec.MsgspecError) else msgspec.DecodeError()
        value = None
    if failed is not None:
        raise _refusal(data, failed, wire, path)
    if msgspec.json.encode(value) != data:
        # Only the canonical text of a value is known to hold no duplicate keys and the like.
        parse_json(data, path=path)
    return value


def _refusal(data: bytes, failed: msgspec.MsgspecError, wire: WireDialect, path: str) -> MMRawError:
    """Why a typed decode failed; processed tensors and broken JSON come before all else."""
    suspicious = any(key in data for key in (b"pixel_values", b"image_", b"\\u"))
    if suspicious or not isinstance(failed, msgspec.ValidationError):
        try:
            value = parse_json(data, path=path)
        except MMRawError as error:
            return error
        if holds_processed_key(value):
            return processed_payload(path)
    if isinstance(failed, msgspec.ValidationError):
        return explain(failed, wire.schema, path)
    return MMRawError("invalid_json", "not one strict JSON document", path)


def _parse_object(data: bytes, wire: WireDialect, limits: Limits) -> RawMMRef:
    """A dialect that is one JSON object, possibly under the v3 tag without run_id."""
    head = _head(data, wire)
    if wire.dialect == "v3" and "run_id" not in head.names:
        wire = DIALECTS["v3-runless"]
    if wire.dialect == "unversioned-data" and head.is_later:
        message = "an unversioned ref without fingerprint is of a dialect that is not read"
        raise MMRawError("unsupported_dialect", message)
    struct = wire.listed.get(head.family or "")
    if struct is not None:
        value = _typed(data, struct, wire, "$", limits)
        return _model(value, wire, limits)
    value = _typed(data, wire.opaque, wire, "$", limits)
    raw = memoryview(value.payload)
    if len(raw) > limits.payload_bytes:
        raise _payload_too_long(limits)
    payload = check_payload_value(_strict_payload(raw, limits), limits=limits)
    return _model(value, wire, limits, payload=payload)


class _Head(msgspec.Struct):
    """What must be known of an object before it can be decoded by its type."""

    family: Any = msgspec.UNSET
    fingerprint: Any = msgspec.UNSET
    run_id: Any = msgspec.UNSET
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_head_decoder = msgspec.json.Decoder(_Head)


class _Seen(msgspec.Struct, frozen=True):
    names: frozenset[str]
    family: str | None

    @property
    def is_later(self) -> bool:
        return {"family", "payload"} <= self.names and "fingerprint" not in self.names


def _head(data: bytes, wire: WireDialect) -> _Seen:
    failed: msgspec.MsgspecError | None = None
    head = _Head()
    try:
        head = _head_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        failed = error if isinstance(error, msgspec.MsgspecError) else msgspec.DecodeError()
    if failed is not None:
        raise _refusal(data, failed, wire, "$")
    names = frozenset(n for n in _Head.__struct_fields__ if getattr(head, n) is not msgspec.UNSET)
    return _Seen(names, head.family if isinstance(head.family, str) else None)


def _payload_too_long(limits: Limits) -> MMRawError:
    message = f"the payload has more than {limits.payload_bytes} bytes of JSON"
    return MMRawError("limit_exceeded", message, "$.payload")


def _model(
    value: Any, wire: WireDialect, limits: Limits, payload: dict[str, Any] | None = None
) -> RawMMRef:
    """The ref that a checked wire object says, after the rules that no schema can say."""
    if wire.family is not None:
        family, typed = wire.family, QwenVlPayload(image_grid_thw=value.grid_thw)
    else:
        family = getattr(value, "family", None) or value.__struct_config__.tag
        typed = value.payload if payload is None else payload
    run_id = getattr(value, "run_id", None)
    ref = RawMMRef(
        dialect=cast(Dialect, wire.dialect),
        family=family,
        fingerprint=value.fingerprint,
        mm_hash=value.mm_hash,
        modality=value.modality,
        payload=typed,
        raw_image_id=getattr(value, "raw_image_id", None),
        raw_uri=getattr(value, "raw_uri", None),
        run_id=None if run_id is None else normalize_run_id(run_id, limits=limits),
    )
    _check_names(ref, limits)
    check_payload(ref.payload, limits=limits)
    check_sources(ref.raw_uri, ref.raw_image_id, limits, alone=wire.dialect == "unversioned-uri")
    return ref


def _check_names(ref: RawMMRef, limits: Limits) -> None:
    for name in ("family", "modality"):
        if len(getattr(ref, name)) > limits.name_chars:
            message = f"longer than {limits.name_chars} characters"
            raise MMRawError("limit_exceeded", message, f"$.{name}")


def _grid_of(ref: RawMMRef) -> Any:
    return ref.payload.image_grid_thw if isinstance(ref.payload, QwenVlPayload) else None


def check_payload(
    payload: Payload, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.payload"
) -> None:
    """The family-level rules of a typed payload where no configuration is at hand.

    Raises:
        MMRawError: invalid_grid, limit_exceeded.
    """
    if isinstance(payload, QwenVlPayload):
        check_grid(payload.image_grid_thw[0], limits=limits, path=f"{path}.image_grid_thw")
    elif isinstance(payload, KimiK25Payload):
        check_grid(payload.grid_thws[0], limits=limits, path=f"{path}.grid_thws")


def check_sources(
    raw_uri: str | None, raw_image_id: str | None, limits: Limits, *, alone: bool = False
) -> None:
    """At least one source, each well-formed; a file: label agrees with raw_image_id.

    `alone` allows a file: URL without raw_image_id (dialect unversioned-uri).

    Raises:
        MMRawError: missing_source, invalid_raw_uri, invalid_raw_image_id, invalid_base64,
            empty_source, limit_exceeded.
    """
    if raw_image_id is not None:
        check_raw_image_id(raw_image_id, limits=limits)
    if raw_uri is None:
        if raw_image_id is None:
            raise MMRawError("missing_source", "neither raw_image_id nor raw_uri is given")
        return
    if raw_uri.startswith("data:"):
        parse_data_uri(raw_uri, limits=limits)
        return
    name = parse_file_label(raw_uri)
    check_raw_image_id(name, limits=limits, path="$.raw_uri")
    if not alone and name != raw_image_id:
        message = "a file: label must stand beside a raw_image_id equal to its last segment"
        raise MMRawError("invalid_raw_uri", message, "$.raw_uri")


def format_ref(ref: RawMMRef, dialect: str = "v3", *, limits: Limits = DEFAULT_LIMITS) -> str:
    """The canonical text of `ref` in a dialect that is written: v3 (default) or v2.

    What is written is what `parse_ref` accepts: the values are checked as if read.

    Raises:
        MMRawError: invalid_dialect, not_convertible (a field that the dialect has no place for),
            and what `parse_ref` raises.
    """
    wire = DIALECTS.get(dialect)
    if wire is None or not wire.write:
        raise MMRawError("invalid_dialect", "write v3 or v2; other dialects are for convert_ref")
    return write_ref(ref, wire, limits)


def ref_from_fields(fields: Any, dialect: str) -> RawMMRef:
    """The ref that fields by their wire names say in `dialect`, checked as if read.

    Raises:
        MMRawError: invalid_dialect, invalid_type, and what `parse_ref` raises.
    """
    wire = DIALECTS.get(dialect)
    if wire is None:
        raise MMRawError("invalid_dialect", f"the dialects are {', '.join(DIALECTS)}")
    if not isinstance(fields, dict):
        raise MMRawError("invalid_type", "expected an object of fields")
    values = cast("dict[str, Any]", fields)
    check_json_value(values)
    struct = wire.opaque if wire.family is not None else _listed(values, wire)
    if struct is not None:
        return _model(_convert(values, struct, wire), wire, DEFAULT_LIMITS)
    payload = values.get("payload")
    stand_in = {**values, "payload": msgspec.Raw(b"{}")} if isinstance(payload, dict) else values
    typed = _convert(stand_in, wire.opaque, wire)
    return _model(typed, wire, DEFAULT_LIMITS, payload=check_payload_value(payload))


def _listed(values: dict[str, Any], wire: WireDialect) -> Any:
    family = values.get("family")
    return wire.listed.get(family) if isinstance(family, str) else None


def write_any(ref: RawMMRef, dialect: str, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """The canonical text of `ref` in any dialect, also those that `format_ref` does not write.

    Raises:
        MMRawError: what `format_ref` raises.
    """
    wire = DIALECTS.get(dialect)
    if wire is None:
        raise MMRawError("invalid_dialect", f"the dialects are {', '.join(DIALECTS)}")
    return write_ref(ref, wire, limits)


def write_ref(ref: RawMMRef, wire: WireDialect, limits: Limits) -> str:
    """The canonical text of `ref` in any dialect, read again before it is returned."""
    if not isinstance(ref, RawMMRef):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "expected a RawMMRef")
    attributes = {attribute for _, attribute in wire.fields}
    for name in ("raw_uri", "raw_image_id"):
        if getattr(ref, name) is not None and name not in attributes:
            message = f"dialect {wire.dialect} has no place for {name}"
            raise MMRawError("not_convertible", message, f"$.{name}")
    fields = msgspec.structs.replace(ref, dialect=cast(Dialect, wire.dialect)).fields()
    if wire.family is not None and ref.family != wire.family:
        message = f"dialect {wire.dialect} knows family {wire.family} only"
        raise MMRawError("not_convertible", message, "$.family")
    if isinstance(fields.get("run_id"), str):
        fields["run_id"] = normalize_run_id(fields["run_id"], limits=limits)
    text = wire.prefix + _body(fields, wire)
    parse_ref(text, limits=limits)
    return text


def _body(fields: dict[str, Any], wire: WireDialect) -> str:
    if wire.encoding == "json":
        return canonical_json(fields)
    if wire.encoding == "base64url-json":
        return encode_base64url(canonical_json(fields).encode("ascii"))
    parts: list[str] = []
    for name in wire.segments:
        value = fields.get(name)
        if name == "payload":
            value = encode_base64url(canonical_json(value).encode("ascii"))
        elif name == "grid_thw" and isinstance(value, list):
            value = "x".join(str(side) for side in cast("list[list[int]]", value)[0])
        if not isinstance(value, str):
            raise MMRawError("missing_field", f"required field {name} is absent", f"$.{name}")
        parts.append(value)
    return ":".join(parts)
