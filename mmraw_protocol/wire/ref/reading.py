"""Reading refs: every dialect, with every rule; what is plain is read by the fast path first."""

from __future__ import annotations

import re
from sys import intern
from typing import Any, cast

import msgspec

from .. import fastpath, jsonbulk
from .._generated.limits import DEFAULT_LIMITS, Limits
from .._generated.types import QwenVlPayload
from .._generated.wire import DIALECTS, PAYLOADS, Dialect, WireDialect
from ..base64 import decode_base64url
from ..errors import MMRawError
from ..explain import explain
from ..json import (
    LARGE,
    check_json,
    check_json_value,
    check_large_json,
    check_raw_json,
    document_bounds,
    utf8_of,
)
from ..jsonfew import check_few_json, check_few_values, listed_family
from ..payload import check_payload_value, read_payload
from . import fast
from .checks import check_payload, check_sources, longest_object, run_label
from .inline import Sink
from .model import PREFIX, RawMMRef


def parse_ref(text: str, *, limits: Limits = DEFAULT_LIMITS) -> RawMMRef:
    """Reads a ref of any dialect.

    The grammar, the family's payload and the base64 of an inline image are checked; hashes and
    pixels are not: that is the materializer's part.

    Raises:
        MMRawError: not_a_ref, unsupported_dialect, and every code of the sections that
            spec/README.md lists under "Order of checks".
    """
    if fastpath.enabled and isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        read = fast.READERS.get(text[:9])
        ref = None if read is None else read(text, limits)
        if ref is not None:
            return ref
    return _parse_carefully(text, limits)


def read_ref(
    text: str, sink: Sink, *, keep_uri: bool = True, limits: Limits = DEFAULT_LIMITS
) -> tuple[RawMMRef, bool]:
    """`parse_ref`, and whether the bytes of an inline image went to `sink`, in pieces.

    Where they did not, some may have gone there all the same. Without `keep_uri` the raw_uri of a
    ref whose image went to `sink` may be cut off.

    Raises:
        MMRawError: what `parse_ref` raises.
    """
    if fastpath.enabled and isinstance(text, str) and text.startswith(fast.V3):  # pyright: ignore[reportUnnecessaryIsInstance]
        ref = fast.parse_v3(text, limits, sink, keep_uri)
        return (_parse_carefully(text, limits), False) if ref is None else (ref, ref.is_inline)
    return parse_ref(text, limits=limits), False


def _parse_carefully(text: str, limits: Limits) -> RawMMRef:
    """Every rule in the order of checks, each with its own error."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "a ref is a string")
    if not text.startswith(PREFIX):
        raise MMRawError("not_a_ref", "a ref starts with mmraw:")
    if not text.isascii():
        raise MMRawError("invalid_encoding", "a ref is plain ASCII")
    wire = _dialect_of(text)
    if wire.encoding == "segments":
        return _parse_segments(text, wire, limits)
    # No slice of the text is kept: an inline image makes it tens of megabytes long.
    size = len(text) - len(wire.prefix)
    if wire.encoding == "json":
        _check_length(size, limits)
        return _parse_object(text[len(wire.prefix) :].encode("ascii"), wire, limits)
    _check_length(size // 4 * 3, limits)
    return _parse_object(decode_base64url(text, start=len(wire.prefix)), wire, limits)


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
    """Refuses by length alone."""
    if size > longest_object(limits):
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
        return read_payload(data, limits)
    data = utf8_of(data, "$.payload")
    if jsonbulk.is_json(data):
        check_few_values(data, limits, "$.payload")
        return _typed_few(data, struct, wire, limits, "$.payload")
    return _typed(data, struct, wire, limits, "$.payload", is_json=False)


def _typed(
    data: bytes,
    struct: Any,
    wire: WireDialect,
    limits: Limits,
    path: str = "$",
    is_json: bool | None = True,
) -> Any:
    """A typed decode of JSON text that is as strict as `parse_json`.

    `is_json` says whether msgspec has read all of it, for its head; None: it has not tried.
    """
    value, failed = _decode(data, struct)
    if failed is not None:
        raise _refusal(data, failed, wire, limits, path, is_json)
    if len(data) <= LARGE and msgspec.json.encode(value) != data:
        # Only the canonical text of a value is known to hold no duplicate keys and the like.
        check_json(data, **document_bounds(limits), path=path)
    return value


def _decode(data: bytes, struct: Any) -> tuple[Any, msgspec.MsgspecError | None]:
    try:
        return msgspec.json.decode(data, type=struct), None
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return None, error if isinstance(error, msgspec.MsgspecError) else msgspec.DecodeError()


def _refusal(
    data: bytes,
    failed: msgspec.MsgspecError,
    wire: WireDialect,
    limits: Limits,
    path: str,
    is_json: bool | None,
) -> MMRawError:
    """Why a typed decode failed; broken JSON and processed tensors come before all else."""
    try:
        check_raw_json(data, **document_bounds(limits), path=path, is_json=is_json)
    except MMRawError as error:
        return error
    if isinstance(failed, msgspec.ValidationError):
        return explain(failed, wire.schema, path)
    return jsonbulk.not_json(path)


def _typed_few(data: bytes, struct: Any, wire: WireDialect, limits: Limits, path: str = "$") -> Any:
    """`_typed` of JSON text that `check_few_values` let pass."""
    if not fastpath.enabled or len(data) > LARGE:
        return _typed(data, struct, wire, limits, path)
    check_few_json(data, path)
    value, failed = _decode(data, struct)
    if failed is not None:
        raise explain(cast(msgspec.ValidationError, failed), wire.schema, path)
    return value


def _parse_object(data: bytes, wire: WireDialect, limits: Limits) -> RawMMRef:
    """A dialect that is one JSON object, possibly under the v3 tag without run_id."""
    data = utf8_of(data, "$")
    head = _head(data, wire, limits)
    if wire.dialect == "v3" and head.run_id is msgspec.UNSET:
        wire = DIALECTS["v3-runless"]
    struct = wire.listed.get(listed_family(head.family) or "")
    if struct is not None:
        check_few_values(data, limits)
    if len(data) > LARGE:
        check_large_json(data, **document_bounds(limits))
    if wire.dialect == "unversioned-data" and head.is_later:
        check_json(data, **document_bounds(limits))
        message = "an unversioned ref without fingerprint is of a dialect that is not read"
        raise MMRawError("unsupported_dialect", message)
    if struct is not None:
        return _model(_typed_few(data, struct, wire, limits), wire, limits)
    value = _typed(data, wire.opaque, wire, limits)
    raw = memoryview(value.payload)
    if len(raw) > limits.payload_bytes:
        raise _payload_too_long(limits)
    payload = read_payload(raw, limits)
    return _model(value, wire, limits, payload=payload)


class _Head(msgspec.Struct):
    """What must be known of an object before it can be decoded by its type."""

    family: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    fingerprint: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    run_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_later(self) -> bool:
        """Whether an unversioned object is of the later form that is not read."""
        there = self.family is not msgspec.UNSET and self.payload is not msgspec.UNSET
        return there and self.fingerprint is msgspec.UNSET


_head_decoder = msgspec.json.Decoder(_Head)


def _head(data: bytes, wire: WireDialect, limits: Limits) -> _Head:
    is_json = None
    try:
        return _head_decoder.decode(data)
    except msgspec.MsgspecError as error:
        failed = error
        # A wrong type is noticed before what stands behind it.
        is_json = None if isinstance(error, msgspec.ValidationError) else False
    except (UnicodeError, RecursionError):
        failed = msgspec.DecodeError()
    raise _refusal(data, failed, wire, limits, "$", is_json)


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
        # Interned: the refs of one body share these.
        family=intern(family),
        fingerprint=intern(value.fingerprint),
        mm_hash=value.mm_hash,
        modality=intern(value.modality),
        payload=typed,
        raw_image_id=getattr(value, "raw_image_id", None),
        raw_uri=getattr(value, "raw_uri", None),
        run_id=None if run_id is None else intern(run_label(run_id, limits)),
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
