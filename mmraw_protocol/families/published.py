"""Published layout parameters by their fingerprint."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..wire._generated.dialects import DIALECTS
from ..wire._generated.families import FAMILIES
from ..wire.errors import MMRawError
from .base import Adapter
from .registry import get_adapter

__all__ = ["SCHEMES", "PublishedLayout", "known_adapter", "published_layouts"]

#: Each scheme of fingerprints, and a dialect that has it.
SCHEMES: dict[str, str] = {
    wire.fingerprint_scheme: name
    for name, wire in sorted(DIALECTS.items())
    if "fingerprint" in wire.attributes
}


class PublishedLayout(NamedTuple):
    """The layout parameters of one or several lines of checkpoints, in one scheme.

    Attributes:
        family: The family.
        lines: The lines that publish them.
        scheme: `v1`, `unversioned` or `positional`.
        fingerprint: 32 hex digits.
        adapter: With these parameters.
    """

    family: str
    lines: tuple[str, ...]
    scheme: str
    fingerprint: str
    adapter: Adapter


@functools.cache
def published_layouts() -> dict[tuple[str, str], PublishedLayout]:
    """Every published layout of the built-in families, by family and fingerprint."""
    found: dict[tuple[str, str], PublishedLayout] = {}
    for family, info in FAMILIES.items():
        for line in info.lines:
            adapter = get_adapter(family, line)
            for scheme, dialect in SCHEMES.items():
                try:
                    fingerprint = adapter.fingerprint(dialect)
                except MMRawError:
                    # The family has no fingerprint of this scheme.
                    continue
                before = found.get((family, fingerprint))
                lines = (*(before.lines if before else ()), line)
                adapter = before.adapter if before else adapter
                row = PublishedLayout(family, lines, scheme, fingerprint, adapter)
                found[family, fingerprint] = row
    return found


@functools.lru_cache(256)
def known_adapter(family: str, fingerprint: str | None, dialect: str) -> Adapter | None:
    """The adapter of a fingerprint, if the layout parameters are published; None else.

    Args:
        family: As the ref names it; one of a plugin is known by its default parameters.
        fingerprint: The ref's.
        dialect: The ref's: the fingerprint must be of its scheme.
    """
    found = published_layouts().get((family, fingerprint or ""))
    if found is not None:
        return found.adapter if DIALECTS[dialect].fingerprint_scheme == found.scheme else None
    if fingerprint is None or family in FAMILIES:
        return None
    try:
        adapter = get_adapter(family)
        return adapter if adapter.fingerprint(dialect) == fingerprint else None
    except MMRawError:
        return None
