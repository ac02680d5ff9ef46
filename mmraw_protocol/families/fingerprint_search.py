"""The layout of a fingerprint: a hash cannot be inverted, but few layouts are in use.

Published layouts come first, then a configuration at hand mixed with them, then one or two layout
parameters of either with another value that people set.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from msgspec.structs import asdict

from ..wire._generated.families import FAMILIES
from ..wire.errors import MMRawError
from .base import Adapter
from .fingerprint import fingerprint_text, layout_fingerprint
from .published import SCHEMES, PublishedLayout, published_layouts

__all__ = ["FoundLayout", "find_layout"]

#: Pixels of the merged patches in use; budgets are given as multiples of them.
_UNITS = (1, 16 * 16, 28 * 28, 32 * 32)
_MOST_UNITS = 16384
_COMMON = tuple(
    n * unit for unit in (784, 1024) for n in (4, 16, 64, *range(256, 4097, 256), 16384)
)
_SENTINEL = 987654321987


class FoundLayout(NamedTuple):
    """The layout of a fingerprint.

    Attributes:
        family: The family.
        lines: The lines of checkpoints that publish it, or the layout that was changed; empty if
            the configuration at hand was.
        scheme: `v1`, `unversioned` or `positional`.
        values: Every layout parameter.
        changed: Those that differ from the lines, or from the configuration.
    """

    family: str
    lines: tuple[str, ...]
    scheme: str
    values: dict[str, Any]
    changed: dict[str, Any]


def find_layout(
    fingerprint: str, *, family: str | None = None, near: Adapter | None = None
) -> FoundLayout | None:
    """The layout of a fingerprint; None if no layout in use has it.

    Args:
        fingerprint: 32 hex digits.
        family: The ref's, if it is known.
        near: The configuration at hand; the result is given as a difference from it.
    """
    rows = [row for row in published_layouts().values() if family in (None, row.family)]
    if near is not None:
        found = _beside(fingerprint, near, rows)
        if found is not None:
            return found
    for row in rows:
        if row.fingerprint == fingerprint:
            return FoundLayout(row.family, row.lines, row.scheme, _values(row.adapter), {})
    return _changed(fingerprint, rows)


def _values(adapter: Adapter) -> dict[str, Any]:
    config: Any = getattr(adapter, "config", None)
    return {} if config is None else asdict(config)


def _beside(fingerprint: str, near: Adapter, rows: list[PublishedLayout]) -> FoundLayout | None:
    """The configuration at hand, with some of its parameters as another line publishes them."""
    own = _values(near)
    others = [_values(row.adapter) for row in rows if row.family == near.family]
    for scheme in SCHEMES:
        for changed in _mixtures(own, others):
            if _hash(near.family, {**own, **changed}, scheme) == fingerprint:
                return FoundLayout(near.family, (), scheme, {**own, **changed}, changed)
        for changed in _one_or_two_changed(fingerprint, near.family, own, scheme):
            return FoundLayout(near.family, (), scheme, {**own, **changed}, changed)
    return None


def _mixtures(own: Mapping[str, Any], others: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {}
    for other in others:
        differing = [name for name in own if other.get(name) != own[name] and name in other]
        for count in range(1, len(differing) + 1):
            for names in itertools.combinations(differing, count):
                yield {name: other[name] for name in names}


def _changed(fingerprint: str, rows: list[PublishedLayout]) -> FoundLayout | None:
    """A published layout with one or two of its parameters changed."""
    for row in rows:
        values = _values(row.adapter)
        for changed in _one_or_two_changed(fingerprint, row.family, values, row.scheme):
            return FoundLayout(row.family, row.lines, row.scheme, {**values, **changed}, changed)
    return None


def _one_or_two_changed(
    fingerprint: str, family: str, values: dict[str, Any], scheme: str
) -> Iterator[dict[str, Any]]:
    for name, value in values.items():
        for other in _other_values(family, name, value):
            if _hash(family, {**values, name: other}, scheme) == fingerprint:
                yield {name: other}
    numbers = [name for name, value in values.items() if type(value) is int]
    for name in numbers:
        yield from ({name: found} for found in _search(fingerprint, family, values, scheme, name))
    for first, second in itertools.permutations(numbers, 2):
        for value in _COMMON:
            given = {**values, first: value}
            for found in _search(fingerprint, family, given, scheme, second, _COMMON):
                yield {first: value, second: found}


def _other_values(family: str, name: str, value: Any) -> list[Any]:
    """Returns other values that a parameter may have that is no number."""
    if isinstance(value, bool):
        return [not value]
    omitted = FAMILIES[family].fingerprint_omits if family in FAMILIES else {}
    return [omitted[name]] if name in omitted and omitted[name] != value else []


def _numbers() -> Iterator[int]:
    for unit in _UNITS:
        yield from range(unit, (_MOST_UNITS + 1) * unit, unit)
    yield from (1 << power for power in range(15, 41))


def _search(
    fingerprint: str,
    family: str,
    values: Mapping[str, Any],
    scheme: str,
    name: str,
    numbers: tuple[int, ...] | None = None,
) -> Iterator[int]:
    """The numbers of one parameter that give the fingerprint; the rest of the text is made once."""
    try:
        text = fingerprint_text(family, {**values, name: _SENTINEL}, SCHEMES[scheme])
    except MMRawError:
        return
    head, _, tail = text.partition(str(_SENTINEL))
    begun, end, wanted = (
        sha256(head.encode("ascii")),
        tail.encode("ascii"),
        bytes.fromhex(fingerprint),
    )
    for number in numbers or _numbers():
        digest = begun.copy()
        digest.update(b"%d" % number + end)
        if digest.digest().startswith(wanted):
            yield number


def _hash(family: str, values: Mapping[str, Any], scheme: str) -> str | None:
    try:
        return layout_fingerprint(family, values, SCHEMES[scheme])
    except MMRawError:
        return None
