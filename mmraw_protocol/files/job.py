"""A job on the strings of files: what it opens in each process, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol

import msgspec

from ..system.shown import Shown
from ..wire.errors import ErrorCode, MMRawError
from .heads import Heads

#: What happens where a string is refused: stop without any output, or leave it as it is.
OnError = Literal["fail", "keep"]

#: Refusals that a report names one by one; it counts them all.
MOST_PLACES = 100


class Rewriter(Protocol):
    """Rewrites strings.

    Attributes:
        heads: Which strings it wants to see.
        most: Bytes of the longest one that it takes, as it stands in the document.
    """

    heads: Heads
    most: int

    def rewrite(self, text: str, key: str | None) -> str:
        """The new text; the same where nothing is to change. `key` where `heads.keys` asks."""
        ...

    def take_notes(self) -> list[tuple[str, int]]:
        """What there is to tell of the strings since the last call: names with sizes in bytes."""
        ...


class Job(Protocol):
    """Opens a rewriter; it can be pickled, so that worker processes open their own."""

    def open(self) -> Rewriter:
        """A rewriter of this process."""
        ...


class Refusal(Shown, msgspec.Struct, frozen=True):
    """A string that was refused: where it opens (line or row, column, byte from 1), and why."""

    line: int
    byte: int
    code: ErrorCode
    path: str
    message: str
    column: str = ""


class Tally(Shown, msgspec.Struct):
    """What happened to the strings that were looked at."""

    changed: int = 0
    unchanged: int = 0
    refused: dict[str, int] = {}
    refusals: list[Refusal] = []
    notes: list[tuple[str, int]] = []

    def add(self, other: Tally) -> None:
        """Adds what happened in a later part; its notes are left to the caller."""
        self.changed += other.changed
        self.unchanged += other.unchanged
        for code, count in other.refused.items():
            self.refused[code] = self.refused.get(code, 0) + count
        self.refusals += other.refusals[: MOST_PLACES - len(self.refusals)]

    def refuse(self, error: MMRawError, place: Callable[[], tuple[int, int]]) -> None:
        """Counts a refusal; the place is asked for only where it will be named."""
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        if len(self.refusals) < MOST_PLACES:
            line, byte = place()
            self.refusals.append(Refusal(line, byte, error.code, error.path, error.message))


class Report(Shown, msgspec.Struct):
    """What a rewriting did.

    Attributes:
        tally: Of the strings.
        bytes_read, bytes_written: Of the documents.
        complete: Whether the end was reached; a refusal under `fail` stops before.
    """

    tally: Tally = msgspec.field(default_factory=Tally)
    bytes_read: int = 0
    bytes_written: int = 0
    complete: bool = False


class Done(msgspec.Struct):
    """A part of a file, rewritten: bytes, or a batch of rows, and how many bytes it had before."""

    data: Any
    size: int
    tally: Tally = msgspec.field(default_factory=Tally)


#: Given what a rewriter noted, in order.
Note = Callable[[list[tuple[str, int]]], None]


def pass_on(
    parts: Iterable[Done], write: Callable[[Any], object], on_error: OnError, note: Note | None
) -> Report:
    """Writes the parts of a file in order, and reports what happened to them."""
    report = Report()
    for part in parts:
        report.tally.add(part.tally)
        if note is not None and part.tally.notes:
            note(part.tally.notes)
        if part.tally.refused and on_error == "fail":
            return report
        report.bytes_read += part.size
        report.bytes_written += len(part.data)
        write(part.data)
    report.complete = True
    return report
