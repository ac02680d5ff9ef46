"""Reading refs of any dialect.

A ref of a built-in family that is written as it should be is decoded by msgspec, and one generated
pattern says that its text is canonical and its strings are right. Any other text goes to the strict
reader, the only code that raises errors.

Source: spec/README.md, sections "Refs" and "Order of checks".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from sys import intern
from typing import Any, cast

import msgspec

from ._generated.dialects import DIALECTS, WireDialect
from ._generated.families import FAMILIES
from ._generated.limits import DEFAULT_LIMITS, Limits
from .base64 import decode_base64url, decode_url
from .check import expected
from .data_url import check_label_names
from .errors import MMRawError
from .json import Document, check_json_value, processed_payload, read_json
from .ref_model import FEATURES_PREFIX, PREFIX, RawMMRef, wire_of

#: A longer text is canonical only if an inline image makes it so long.
_LONGEST_SHORT = 1 << 14
#: Values in a ref or an envelope outside its payload.
_VALUES_BESIDE = 64
#: Bytes of a ref's JSON outside its image and payload.
_BYTES_BESIDE = 8192
_GRID = re.compile(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,6})x([1-9][0-9]{0,6})")
#: Exceptions of a text that is not canonical: the strict reader decides about it.
UNDECIDED = (
    msgspec.MsgspecError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)
#: Characters of `mmraw:v3:` and of every other tag.
_TAG_LENGTH = 9

#: Dialects by their prefix; those that share one differ in encoding and fields.
_by_prefix: dict[str, list[WireDialect]] = {}
for _wire in sorted(DIALECTS.values(), key=lambda wire: len(wire.without)):
    _by_prefix.setdefault(_wire.prefix, []).append(_wire)


def parse_ref(text: str, *, limits: Limits = DEFAULT_LIMITS) -> RawMMRef:
    """Reads a ref of any dialect.

    The grammar, the family's payload and the base64 of an inline image are checked; hashes and
    pixels are not: that is the materializer's part.

    Raises:
        MMRawError: not_a_ref, unsupported_dialect, and every code of the sections that
            spec/README.md lists under "Order of checks".
    """
    try:
        ref = canonical_readers[text[:_TAG_LENGTH]](text, limits)
        if ref is not None:
            return ref
    except UNDECIDED:
        pass
    return parse_strictly(text, limits)


def _reader(wire: WireDialect) -> _Reader:
    """Reads canonical refs of a dialect; None means undecided, not invalid."""
    start, read = len(wire.prefix), wire.read
    assert read is not None

    def read_segments(text: str, limits: Limits) -> RawMMRef | None:
        return None if len(text) > limits.v2_ref_chars else read(text, RawMMRef, limits)

    def read_json(text: str, limits: Limits) -> RawMMRef | None:
        if len(text) > _LONGEST_SHORT:
            from .ref_stream import read_inline

            return read_inline(text, wire, limits)
        data = decode_url(text, start)
        return None if data is None else read(data, RawMMRef, limits)

    return read_segments if wire.encoding == "segments" else read_json


_Reader = Callable[[str, Limits], "RawMMRef | None"]
#: By the tag of a text: what reads it if it is canonical and of a built-in family.
canonical_readers: dict[str, _Reader] = {
    prefix: _reader(wires[0])
    for prefix, wires in _by_prefix.items()
    if wires[0].read is not None and len(prefix) == _TAG_LENGTH
}


def parse_strictly(text: str, limits: Limits) -> RawMMRef:
    """The strict reader: every rule in the order of checks, each with its own error."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", expected("a ref, a string", text))
    if text.startswith(FEATURES_PREFIX):
        message = "mmfile: refs name processed features; this contract carries raw images"
        raise MMRawError("unsupported_dialect", message)
    if not text.startswith(PREFIX):
        message = f"expected a text that starts with mmraw:, got a text of {len(text)} characters"
        raise MMRawError("not_a_ref", message)
    if not text.isascii():
        # The first of them; the text itself is not repeated.
        at = next(index for index, letter in enumerate(text, start=1) if letter > "\x7f")
        message = f"expected ASCII; got a character beyond it at character {at}"
        raise MMRawError("invalid_encoding", message)
    candidates = _candidates(text)
    wire = candidates[0]
    if wire.encoding == "segments":
        document = _read_segments(text, wire, limits)
    else:
        # No slice of the text is kept: an inline image makes it tens of megabytes long.
        size = len(text) - len(wire.prefix)
        _check_length(size if wire.encoding == "json" else size // 4 * 3, limits)
        start = len(wire.prefix)
        is_json = wire.encoding == "json"
        data = text[start:].encode("ascii") if is_json else decode_base64url(text, start=start)
        document = read_raw_document(data, limits)
        wire = _dialect_within(document, candidates)
    wire.check(document, "$", limits)
    return _model(document, wire, limits)


def _candidates(text: str) -> list[WireDialect]:
    """The dialects of a text's prefix and encoding."""
    tagged = _by_prefix.get(text[: text.find(":", len(PREFIX)) + 1])
    if tagged is not None:
        return tagged
    encoding = "json" if text.startswith("{", len(PREFIX)) else "base64url-json"
    if encoding != "json" and text.find(":", len(PREFIX)) >= 0:
        tags = sorted(prefix[len(PREFIX) : -1] for prefix in _by_prefix if prefix != PREFIX)
        message = f"expected one of the tags {', '.join(tags)} after mmraw:, got another"
        raise MMRawError("unsupported_dialect", message)
    return [wire for wire in _by_prefix[PREFIX] if wire.encoding == encoding]


def _dialect_within(document: Any, candidates: list[WireDialect]) -> WireDialect:
    """The dialect of a document, by the fields that it lacks."""
    if isinstance(document, dict):
        for wire in reversed(candidates):
            if not any(name in document for name in wire.without):
                return wire
    return candidates[0]


def _check_length(size: int, limits: Limits) -> None:
    inline = limits.inline_image_bytes // 3 * 4 + 4
    most = inline + limits.payload_bytes + _BYTES_BESIDE
    if size > most:
        raise MMRawError("limit_exceeded", f"expected at most {most} bytes in a ref, got {size}")


def read_raw_document(data: str | bytes, limits: Limits, path: str = "$") -> Any:
    """The decoded JSON text of a ref, an envelope or a payload.

    Raises:
        MMRawError: what `parse_json` raises; limit_exceeded; processed_payload.
    """
    most = limits.payload_nodes + _VALUES_BESIDE
    document = read_json(data, max_values=most, path=path)
    if _is_built_in(document.member("family")):
        _check_values(document, limits, path)
    return document.check(tensors=False)


def _is_built_in(family: object) -> bool:
    return isinstance(family, str) and family in FAMILIES


def _check_values(document: Document, limits: Limits, path: str) -> None:
    """Documents of built-in families hold about 20 values; more are rejected unread.

    Raises:
        MMRawError: processed_payload (if a tensor key is spelled without escapes),
            limit_exceeded.
    """
    if document.marks <= limits.listed_values:
        return
    if document.spells_tensor_key():
        raise processed_payload(path)
    message = f"expected at most {limits.listed_values} JSON values, got more; refs need about 20"
    raise MMRawError("limit_exceeded", message, path)


def _read_segments(text: str, wire: WireDialect, limits: Limits) -> dict[str, Any]:
    if len(text) > limits.v2_ref_chars:
        message = f"expected at most {limits.v2_ref_chars} characters, got {len(text)}"
        raise MMRawError("limit_exceeded", message)
    wanted = len(wire.segments)
    parts = text[len(wire.prefix) :].split(":", wanted)
    if len(parts) != wanted:
        message = f"expected {wanted} parts after {wire.prefix}, got {text.count(':') - 1}"
        raise MMRawError("invalid_segments", message)
    values: dict[str, Any] = dict(zip(wire.segments, parts, strict=True))
    if wire.family is not None:
        name = next(name for name, attribute in wire.fields if attribute == "payload")
        values[name] = _grid_of(values[name], f"$.{name}")
        return values
    data = decode_base64url(values.pop("payload"), "$.payload")
    if len(data) > limits.payload_bytes:
        message = (
            f"expected at most {limits.payload_bytes} bytes of JSON in the payload, got {len(data)}"
        )
        raise MMRawError("limit_exceeded", message, "$.payload")
    document = read_json(data, max_values=limits.payload_nodes, path="$.payload")
    if _is_built_in(values["family"]):
        _check_values(document, limits, "$.payload")
    payload = document.check(tensors=False)
    # Faults of the payload are named first.
    return {"payload": payload, **values}


def _grid_of(text: str, path: str) -> list[list[int]]:
    match = _GRID.fullmatch(text)
    if match is None:
        message = f"expected TxHxW without leading zeros, got {len(text)} characters"
        raise MMRawError("invalid_grid", message, path)
    return [[int(side) for side in match.groups()]]


def _model(document: dict[str, Any], wire: WireDialect, limits: Limits) -> RawMMRef:
    """The ref that a checked document says."""
    values: dict[str, Any] = {a: document.get(name) for name, a in wire.fields}
    info = FAMILIES.get(values.setdefault("family", wire.family))
    if info is not None:
        payload = values["payload"]
        if wire.family is not None:
            payload = {info.grid_key: payload}
        values["payload"] = msgspec.convert(payload, info.payload)
    for name, beginning in wire.strips:
        values[name] = values[name].removeprefix(beginning)
    for name in wire.shared:
        values[name] = intern(values[name])
    named = "raw_image_id" in wire.attributes
    check_label_names(values.get("raw_uri"), values.get("raw_image_id"), named)
    return RawMMRef(dialect=wire.dialect, **values)


def ref_from_fields(fields: Any, dialect: str) -> RawMMRef:
    """The ref that fields by their wire names say in `dialect`, checked as if read.

    Raises:
        MMRawError: invalid_dialect, invalid_type, and what `parse_ref` raises.
    """
    wire = wire_of(dialect)
    if not isinstance(fields, dict):
        raise MMRawError("invalid_type", "expected an object of fields")
    check_json_value(fields)
    wire.check(fields, "$", DEFAULT_LIMITS)
    return _model(cast("dict[str, Any]", fields), wire, DEFAULT_LIMITS)
