"""Writing refs: canonical text that the reader accepts."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, cast

import msgspec

from ._generated.dialects import DEFAULT_DIALECT, DIALECTS, WRITABLE, WireDialect
from ._generated.families import FAMILIES
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import RefFields
from .base64 import encode_base64url
from .check import expected
from .errors import MMRawError
from .json import canonical_json, check_json_value, to_builtins
from .ref_model import RawMMRef, lost_fields, normalize_run_id
from .ref_read import UNDECIDED, canonical_readers, parse_strictly

_encode = msgspec.json.Encoder().encode
_texts = attrgetter(*sorted({*RefFields.__struct_fields__} - {"payload"}))
_TEXT_TYPES = frozenset({str, type(None)})


def format_ref(
    ref: RawMMRef, dialect: str = DEFAULT_DIALECT, *, limits: Limits = DEFAULT_LIMITS
) -> str:
    """The canonical text of `ref` in a dialect that is written; `WRITABLE` lists them.

    What is written is what `parse_ref` accepts: the values are checked as if read.

    Raises:
        MMRawError: invalid_dialect, not_convertible (a field that the dialect cannot carry), and
            what `parse_ref` raises.
    """
    wire = DIALECTS.get(dialect) if isinstance(dialect, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if wire is None or not wire.write:
        message = f"expected {' or '.join(WRITABLE)}; convert_ref writes the other dialects"
        raise MMRawError("invalid_dialect", message)
    return write_ref(ref, wire, limits)


def write_ref(ref: RawMMRef, wire: WireDialect, limits: Limits) -> str:
    """`format_ref` for any dialect.

    Raises:
        MMRawError: not_convertible, and what `parse_ref` raises.
    """
    try:
        text = _write_canonical(ref, wire, limits)
        if text is not None:
            return text
    except UNDECIDED:
        pass
    document = _document(ref, wire)
    if isinstance(document.get("run_id"), str):
        document["run_id"] = normalize_run_id(document["run_id"], limits=limits)
    check_json_value(document)
    wire.check(document, "$", limits)
    text = wire.prefix + _body(document, wire)
    # Reading it again also checks the lengths, and labels against names.
    parse_strictly(text, limits)
    return text


def _write_canonical(ref: RawMMRef, wire: WireDialect, limits: Limits) -> str | None:
    """The text of a ref of a built-in family; None if a rule may be broken.

    Raises:
        ValueError, TypeError, KeyError: A value is of another type.
    """
    if type(ref) is not RawMMRef or wire.fits is None:
        return None
    if wire.dialect == DEFAULT_DIALECT:
        # The model's fields are those of the default dialect, so it encodes as that does.
        if ref.dialect != DEFAULT_DIALECT:
            ref = msgspec.structs.replace(ref, dialect=DEFAULT_DIALECT)
        # Bytes, numbers and enums would become strings that look right.
        if not _TEXT_TYPES.issuperset(map(type, _texts(ref))):
            return None
        data = _encode(ref)
        fits = wire.fits(data, ref.family, ref, limits)
        return wire.prefix + encode_base64url(data) if fits else None
    if wire.encoding != "segments" or lost_fields(ref, wire):
        return None
    payload = encode_base64url(_encode(ref.payload))
    parts = [payload if name == "payload" else getattr(ref, name) for name in wire.segments]
    text = wire.prefix + ":".join(parts)
    return text if canonical_readers[wire.prefix](text, limits) is not None else None


def _document(ref: RawMMRef, wire: WireDialect) -> dict[str, Any]:
    """The fields of a dialect by their wire names.

    Raises:
        MMRawError: invalid_type, not_convertible.
    """
    if not isinstance(ref, RawMMRef):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", expected("a RawMMRef", cast("object", ref)))
    if wire.family is not None and ref.family != wire.family:
        message = f"dialect {wire.dialect} knows family {wire.family} only"
        raise MMRawError("not_convertible", message, "$.family")
    for name in lost_fields(ref, wire):
        message = f"dialect {wire.dialect} cannot carry {name}"
        raise MMRawError("not_convertible", message, f"$.{name}")
    document: dict[str, Any] = {}
    for name, attribute in wire.fields:
        value: Any = to_builtins(getattr(ref, attribute))
        if wire.family is not None and attribute == "payload" and isinstance(value, dict):
            # One family alone: its grid says all of its payload.
            value = cast("dict[str, Any]", value).get(FAMILIES[wire.family].grid_key)
        if value is not None:
            document[name] = value
    return document


def _body(document: dict[str, Any], wire: WireDialect) -> str:
    if wire.encoding == "json":
        return canonical_json(document)
    if wire.encoding == "base64url-json":
        return encode_base64url(canonical_json(document).encode("ascii"))
    parts: list[str] = []
    for name in wire.segments:
        value: Any = document[name]
        if name == "payload":
            value = encode_base64url(canonical_json(value).encode("ascii"))
        elif isinstance(value, list):
            value = "x".join(str(side) for side in cast("list[list[int]]", value)[0])
        parts.append(value)
    return ":".join(parts)
