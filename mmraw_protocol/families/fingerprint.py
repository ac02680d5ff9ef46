"""The fingerprint of a layout: what both sides must agree on before they compare grids.

Source: spec/README.md, section "Fingerprint".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.families import FAMILIES
from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.json import canonical_json
from ..wire.ref import wire_of


def layout_fingerprint(
    family: str, values: Mapping[str, Any], dialect: str = DEFAULT_DIALECT
) -> str:
    """32 hex digits over the layout parameters `values`, in the hashing scheme of `dialect`.

    Raises:
        MMRawError: invalid_dialect, not_convertible (a positional scheme that the family lacks),
            missing_field (a parameter of the positional scheme), and the codes of canonical JSON.
    """
    return sha256_hex(fingerprint_text(family, values, dialect).encode("ascii"))[:32]


def fingerprint_text(family: str, values: Mapping[str, Any], dialect: str = DEFAULT_DIALECT) -> str:
    """The text that is hashed; some parameters are in it only if they have another value.

    Args:
        family: An ASCII string.
        values: The layout parameters by their names.
        dialect: Of the ref whose fingerprint it is.

    Raises:
        MMRawError: invalid_type (the family), not_convertible (a dialect without fingerprints).
    """
    wire = wire_of(dialect)
    if not isinstance(family, str) or not family.isascii():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", expected("a family, an ASCII string", family), "$.family")
    if "fingerprint" not in wire.attributes:
        message = f"dialect {wire.dialect} names no fingerprint"
        raise MMRawError("not_convertible", message, "$.fingerprint")
    values = {name: value for name, value in values.items() if not is_omitted(family, name, value)}
    if wire.fingerprint_scheme == "positional":
        return f"image-layout:v1:{family}:" + _positional(family, values)
    parts = [f"{name}={canonical_json(values[name])}" for name in _sorted(values)]
    version = "v1:" if wire.fingerprint_scheme == "v1" else ""
    return f"image-layout:{version}{family}:" + ":".join(parts)


def is_omitted(family: str, name: str, value: object) -> bool:
    """True if no fingerprint has this value of this parameter."""
    info = FAMILIES.get(family)
    if info is None or name not in info.fingerprint_omits:
        return False
    default = info.fingerprint_omits[name]
    return type(value) is type(default) and value == default


def _sorted(values: Mapping[str, Any]) -> list[str]:
    for name in values:
        if not isinstance(name, str) or not name.isascii():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MMRawError(
                "invalid_type",
                expected("the name of a layout parameter, an ASCII string", name),
                "$.values",
            )
    return sorted(values)


def _positional(family: str, values: Mapping[str, Any]) -> str:
    info = FAMILIES.get(family)
    order = () if info is None else info.fingerprint_order
    if not order:
        message = "this family has no positional fingerprint"
        raise MMRawError("not_convertible", message, "$.fingerprint")
    for name in order:
        if name not in values:
            message = f"expected layout parameter {name}, which is absent"
            raise MMRawError("missing_field", message, "$.values")
    for name in {} if info is None else info.fingerprint_omits:
        if name in values:
            message = f"the positional fingerprint has no place for {name}"
            raise MMRawError("not_convertible", message, "$.fingerprint")
    return ":".join(canonical_json(values[name]) for name in order)
