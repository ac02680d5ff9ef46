"""A job on the strings of files: what it opens in each process, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol

import msgspec

from .counts import Counts
from .facts import Note
from .prefixes import StringPrefixes

#: How a refused string is treated: stop without any output, or leave it as it is.
OnError = Literal["fail", "keep"]


class Rewriter(Protocol):
    """Rewrites strings.

    Attributes:
        prefixes: Which strings it wants to see.
        most: Bytes of the longest one that it takes, as it stands in the document.
    """

    prefixes: StringPrefixes
    most: int

    def rewrite(self, text: str, key: str | None) -> str:
        """The new text; the same where nothing is to change. `key` where `prefixes.keys` asks."""
        ...

    def drain_stats(self) -> list[Note]:
        """Notes on the strings since the last call, then cleared."""
        ...


class Job(Protocol):
    """Opens a rewriter; it can be pickled, so that worker processes open their own."""

    def open(self) -> Rewriter:
        """A rewriter of this process."""
        ...


class Report(Counts):
    """Counts of the strings of a rewriting: `changed`, `unchanged` and refused.

    Attributes:
        bytes_read, bytes_written: Of the documents.
        complete: Whether the end was reached; a refusal under `fail` stops before.
    """

    bytes_read: int = 0
    bytes_written: int = 0
    complete: bool = False


class Done(msgspec.Struct):
    """A part of a file, rewritten: bytes, or a batch of rows, and its bytes before and now."""

    data: Any
    size: int
    new_size: int
    counts: Counts = msgspec.field(default_factory=Counts)


def pass_on(parts: Iterable[Done], write: Callable[[Any], object], on_error: OnError) -> Report:
    """Writes the parts of a file in order, and reports what happened to them."""
    report = Report()
    for part in parts:
        report.merge(part.counts)
        if part.counts.refused and on_error == "fail":
            return report
        report.bytes_read += part.size
        report.bytes_written += part.new_size
        write(part.data)
    report.complete = True
    return report
