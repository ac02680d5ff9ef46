"""Failures by section of the specification and reason, the simplest vector of each first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .answers import Outcome
from .vectors import Vector, simplest_first

__all__ = ["Group", "by_section", "sorted_by_size"]


class Group(NamedTuple):
    """Failures of one section for one reason.

    Attributes:
        section: Of spec/README.md.
        reason: One of `REASONS`.
        failures: How many there are.
        simplest: The id of the one with the shortest input.
    """

    section: str
    reason: str
    failures: int
    simplest: str


def sorted_by_size(found: Iterable[Outcome], vectors: Mapping[str, Vector]) -> list[Outcome]:
    """Outcomes with the simplest vector first."""
    return sorted(found, key=lambda one: simplest_first(vectors[one.id]))


def by_section(found: Sequence[Outcome], vectors: Mapping[str, Vector]) -> list[Group]:
    """The groups of failures, the largest first."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in sorted_by_size(found, vectors):
        groups.setdefault((vectors[one.id].spec, one.reason), []).append(one)
    rows = [Group(*names, len(group), group[0].id) for names, group in groups.items()]
    return sorted(rows, key=lambda row: (-row.failures, row.section, row.reason))
