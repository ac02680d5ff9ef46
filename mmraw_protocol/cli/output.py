"""Output of commands: JSON for machines, tables for people; uses rich if installed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from ..files.output import whole_output
from ..wire.errors import MMRawError

#: The page in the repository with one section for each error code.
ERROR_PAGE = "docs/reference/wire/errors.md"
#: Seconds between two lines of progress where there is no terminal.
SECONDS_BETWEEN_LINES = 10.0


def print_json(value: Any, to: IO[str] | None = None) -> None:
    """Prints one JSON document, by default on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=True), file=to or sys.stdout)


def write_report(value: Any, to: Path | None) -> None:
    """The JSON document as a file, whole or not at all; nothing where no file is named.

    Raises:
        MMRawError: store_full, store_permission, store_invalid.
    """
    if to is not None:
        with whole_output(to) as output:
            output.write(json.dumps(value, indent=2).encode() + b"\n")
            output.commit()


def print_error(error: MMRawError, *, as_json: bool = False) -> None:
    """The refusal: JSON on standard output, or three lines on standard error."""
    if as_json:
        print_json({"error": error_dict(error)})
        return
    print(f"mmraw: {error}", file=sys.stderr)
    print(f"       {error.remedy}", file=sys.stderr)
    print(f"       {ERROR_PAGE}#{error.code}", file=sys.stderr)


def error_dict(error: MMRawError) -> dict[str, str]:
    """The refusal as JSON."""
    return {"code": error.code, "path": error.path, "message": error.message}


def place_of(refusal: Mapping[str, Any], file: str = "") -> str:
    """Where a refusal of a report is: file, line or row, column, byte; and what tells its row."""
    row: dict[str, Any] = {"file": file, **refusal}
    place = ":".join(str(row[n]) for n in ("file", "line", "column", "byte") if row.get(n))
    kept = ", ".join(f"{name} {value}" for name, value in row.get("kept", {}).items())
    return f"{place} ({kept})" if kept else place


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table: by rich on a terminal, else plain columns that tools can cut."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and _rich_table(columns, cells, title):
        return
    if title:
        print(title)
    widths = [
        max(len(row[index]) for row in [list(columns), *cells]) for index in range(len(columns))
    ]
    for row in [list(columns), ["-" * width for width in widths], *cells]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _rich_table(columns: Sequence[str], cells: list[list[str]], title: str) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        # Text, not markup: a cell may hold anything, also square brackets.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
    return True


class Progress(Protocol):
    """A function that is called with the progress of the work."""

    def __call__(self, done: int) -> None:
        """Reports that `done` units are done."""
        ...


@contextmanager
def progress_bar(
    title: str, total: int | None, *, quiet: bool = False
) -> Generator[Progress, None, None]:
    """Progress on standard error: a bar on a terminal with rich, else a line each ten seconds."""
    rich: Any = None
    if sys.stderr.isatty():
        with suppress(ImportError):
            rich = import_module("rich.progress"), import_module("rich.console")
    if quiet:
        yield lambda done: None
    elif rich is None:
        yield _lines(title, total)
    else:
        with rich[0].Progress(console=rich[1].Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)


def _lines(title: str, total: int | None) -> Progress:
    told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES:
            told = now
            how_far = f"{done:,} of {total:,}" if total else f"{done:,}"
            print(f"mmraw: {title}: {how_far}", file=sys.stderr, flush=True)

    return tell


def shorten(text: str, most: int = 60) -> str:
    """`text`, or its beginning and its length."""
    return text if len(text) <= most else f"{text[: most - 20]}... ({len(text)} characters)"


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size_of(count: int) -> str:
    """Bytes for people: 812 B, 47.9 KB, 3.1 MB."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000 or unit == "MB":
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
