"""Writing refs: canonical text that the reader accepts."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from .. import fastpath
from .._generated.limits import DEFAULT_LIMITS, Limits
from .._generated.wire import DIALECTS, Dialect, WireDialect
from ..base64 import encode_base64url
from ..errors import MMRawError
from ..json import canonical_json
from . import fast, stored
from .checks import normalize_run_id
from .model import RawMMRef
from .reading import parse_ref


def format_ref(ref: RawMMRef, dialect: str = "v3", *, limits: Limits = DEFAULT_LIMITS) -> str:
    """The canonical text of `ref` in a dialect that is written: v3 (default) or v2.

    What is written is what `parse_ref` accepts: the values are checked as if read.

    Raises:
        MMRawError: invalid_dialect, not_convertible (a field that the dialect has no place for),
            and what `parse_ref` raises.
    """
    if fastpath.enabled and type(ref) is RawMMRef:
        text = None
        if dialect == "v3" and ref.raw_uri is None:
            # What renderers write most: an image stored by its content.
            text = stored.write(ref, limits)
        if text is None:
            text = fast.write(ref, dialect, limits)
        if text is not None:
            return text
    wire = DIALECTS.get(dialect)
    if wire is None or not wire.write:
        raise MMRawError("invalid_dialect", "write v3 or v2; other dialects are for convert_ref")
    return write_ref(ref, wire, limits)


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
