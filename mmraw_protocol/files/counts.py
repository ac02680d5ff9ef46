"""Counts of the things in files by kind, and their refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from ..system.shown import Shown
from ..wire.errors import ErrorCode, MMRawError
from .facts import Facts, Note

if TYPE_CHECKING:
    from .validation import Finding

#: Refusals that are named one by one; all are counted.
MOST_REFUSALS = 100


class Refusal(Shown, msgspec.Struct, frozen=True):
    """A thing that was refused, and why.

    Attributes:
        line: On which it begins, or its row.
        code, path, message: As in `MMRawError`.
        kind: What it is, where things are checked.
        byte: Where it opens in the line, from 1: a string that is rewritten, or a ref in text.
        column: Of a table.
    """

    line: int
    code: ErrorCode
    path: str
    message: str
    kind: str = ""
    byte: int = 0
    column: str = ""


class Taker(Protocol):
    """Takes what is found in lines.

    Attributes:
        text_lines: Lines that were checked as text.
    """

    text_lines: int

    def count(self, kind: str, number: int) -> None:
        """Things with which all is well."""
        ...

    def add(self, line: int, finding: Finding, byte: int = 0) -> None:
        """What was found on a line, or at a byte of it."""
        ...


class Counts(Shown, msgspec.Struct):
    """Things by kind, refusals by code, the first refusals one by one, and what was noted.

    Attributes:
        facts: What was noted of images; None where nothing was.
        text_lines: Lines that were checked as text, because they are no JSON.
    """

    counts: dict[str, int] = {}
    refused: dict[str, int] = {}
    refusals: list[Refusal] = []
    facts: Facts | None = None
    text_lines: int = 0

    @property
    def changed(self) -> int:
        """Strings that were rewritten."""
        return self.counts.get("changed", 0)

    @property
    def unchanged(self) -> int:
        """Strings of a job's kind that stay."""
        return self.counts.get("unchanged", 0)

    def count(self, kind: str, number: int = 1) -> None:
        """Counts things of a kind."""
        if number:
            self.counts[kind] = self.counts.get(kind, 0) + number

    def refuse(
        self, error: MMRawError, place: Callable[[], tuple[int, int]], kind: str = ""
    ) -> None:
        """Counts a refusal; line and byte are asked for only where it will be named."""
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        if len(self.refusals) < MOST_REFUSALS:
            line, byte = place()
            refusal = Refusal(line, error.code, error.path, error.message, kind, byte)
            self.refusals.append(refusal)

    def add(self, line: int, finding: Finding, byte: int = 0) -> None:
        """Counts a thing that was checked, and why it was refused."""
        self.count(finding.kind)
        self.note(finding.notes)
        for error in () if finding.error is None else (finding.error, *finding.others):
            self.refuse(error, lambda: (line, byte), finding.kind)

    def note(self, notes: Iterable[Note]) -> None:
        """Adds notes on images."""
        if notes:
            self.facts = self.facts or Facts()
            self.facts.note(notes)

    def merge(self, other: Counts) -> None:
        """Adds what was found in a later part."""
        if other.facts is not None:
            self.facts = self.facts or Facts()
            self.facts.merge(other.facts)
        for mine, theirs in ((self.counts, other.counts), (self.refused, other.refused)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number
        self.text_lines += other.text_lines
        self.refusals += other.refusals[: MOST_REFUSALS - len(self.refusals)]
