"""The fingerprint of a layout: what both sides must agree on before they compare grids.

Source: spec/README.md, section "Fingerprint".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire._generated.wire import DIALECTS, FINGERPRINT_ORDER
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.json import canonical_json


def layout_fingerprint(family: str, values: Mapping[str, Any], dialect: str = "v3") -> str:
    """32 hex digits over the knobs `values` of `family`, in the hashing scheme of `dialect`.

    Raises:
        MMRawError: invalid_dialect, not_convertible (a positional scheme that the family lacks),
            missing_field (a knob of the positional scheme), and the codes of canonical JSON.
    """
    return sha256_hex(fingerprint_text(family, values, dialect).encode("ascii"))[:32]


def fingerprint_text(family: str, values: Mapping[str, Any], dialect: str = "v3") -> str:
    """The text that is hashed."""
    wire = DIALECTS.get(dialect)
    if wire is None:
        raise MMRawError("invalid_dialect", f"the dialects are {', '.join(DIALECTS)}")
    if not isinstance(family, str) or not family.isascii():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "a family is an ASCII string", "$.family")
    if wire.fingerprint_scheme == "positional":
        return f"image-layout:v1:{family}:" + _positional(family, values)
    parts = [f"{name}={canonical_json(values[name])}" for name in _sorted(values)]
    version = "v1:" if wire.fingerprint_scheme == "v1" else ""
    return f"image-layout:{version}{family}:" + ":".join(parts)


def _sorted(values: Mapping[str, Any]) -> list[str]:
    for name in values:
        if not isinstance(name, str) or not name.isascii():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MMRawError("invalid_type", "a knob's name is an ASCII string", "$.values")
    return sorted(values)


def _positional(family: str, values: Mapping[str, Any]) -> str:
    order = FINGERPRINT_ORDER.get(family)
    if order is None:
        message = "this family has no fingerprint in dialect v1"
        raise MMRawError("not_convertible", message, "$.fingerprint")
    for name in order:
        if name not in values:
            raise MMRawError("missing_field", f"knob {name} is absent", "$.values")
    return ":".join(canonical_json(values[name]) for name in order)
