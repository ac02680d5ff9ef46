"""The content of a ref, in any dialect.

Source: spec/README.md, section "Fields"; schemas urn:mmraw:ref:*.
"""

from __future__ import annotations

from typing import Any

from ..system.shown import Shown
from ._generated.checks import check_raw_image_id as _check_raw_image_id
from ._generated.checks import check_run_id
from ._generated.dialects import DIALECTS, WireDialect
from ._generated.families import FAMILIES
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import RefFields
from .data_url import parse_file_label
from .errors import MMRawError
from .json import to_builtins

PREFIX = "mmraw:"
#: Refs of an early branch to processed features.
FEATURES_PREFIX = "mmfile:"
#: The beginnings of texts that are read as refs, if only to be rejected by name.
PREFIXES = (PREFIX, FEATURES_PREFIX)


class RawMMRef(Shown, RefFields, frozen=True, kw_only=True, omit_defaults=True):
    """One image, as a ref of any dialect says it; its fields are those of `RefFields`."""

    @property
    def stored_name(self) -> str | None:
        """The name to look up in a store: raw_image_id, else the last segment of a file: URL."""
        if self.raw_image_id is not None or self.raw_uri is None or self.is_inline:
            return self.raw_image_id
        return parse_file_label(self.raw_uri)

    @property
    def is_inline(self) -> bool:
        """True if the ref carries the image's bytes."""
        return self.raw_uri is not None and self.raw_uri.startswith("data:")

    def fields(self) -> dict[str, Any]:
        """The fields by their wire names in `dialect`, absent ones left out, as builtins."""
        wire = DIALECTS[self.dialect]
        result: dict[str, Any] = {}
        for name, attribute in wire.fields:
            value = getattr(self, attribute)
            if wire.family is not None and attribute == "payload":
                value = getattr(value, FAMILIES[wire.family].grid_key, None)
            if value is not None:
                result[name] = to_builtins(value)
        return result

    def _repr_html_(self) -> str:
        """Returns the HTML that a notebook shows."""
        from ..materialize.notebook import ref_html

        return ref_html(self)


def is_ref(text: object) -> bool:
    """True if `text` is a string that starts as refs do; it may still be rejected."""
    return isinstance(text, str) and text.startswith(PREFIXES)


def normalize_run_id(text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.run_id") -> str:
    """A run label with one leading `run_` removed.

    Raises:
        MMRawError: invalid_run_id, limit_exceeded.
    """
    check_run_id(text, path, limits)
    return text.removeprefix("run_")


def check_raw_image_id(
    text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.raw_image_id"
) -> str:
    """`text` if it is a safe file name for a stored image.

    Raises:
        MMRawError: invalid_raw_image_id, limit_exceeded.
    """
    _check_raw_image_id(text, path, limits)
    return text


def wire_of(dialect: str) -> WireDialect:
    """The entry of a dialect.

    Raises:
        MMRawError: invalid_dialect.
    """
    wire = DIALECTS.get(dialect) if isinstance(dialect, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if wire is None:
        message = f"expected a dialect of {', '.join(DIALECTS)}, got another value"
        raise MMRawError("invalid_dialect", message)
    return wire


#: Fields that v3-runless and v1 lack: a caller that converts to them keeps the run's label.
_KEPT_APART = frozenset({"dialect", "family", "run_id"})


def lost_fields(ref: RawMMRef, wire: WireDialect) -> list[str]:
    """The fields of a ref that a dialect cannot carry, by the names of the model."""
    lost = frozenset(RefFields.__struct_fields__) - wire.attributes - _KEPT_APART
    return [name for name in sorted(lost) if getattr(ref, name) is not None]
