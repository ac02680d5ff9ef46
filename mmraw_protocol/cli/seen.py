"""Describe an input in which a command found nothing, so that a wrong file is noticed."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ..files.checking import check
from ..files.names import Named, expanded, open_named
from ..files.texts import find_refs
from ..wire.errors import MMRawError
from .output import counted

#: The start of a data: URL of an image in JSON, and its name in reports.
DATA_IMAGES = {b'"data:image': "data: images"}

#: Bytes of the beginning that are looked at closely.
_SAMPLE = 1 << 20
_MOST_ROWS = 20
_MOST_COLUMNS = 6
_MOST_NAME = 40


def add_allow_empty(parser: argparse.ArgumentParser) -> None:
    """--allow-empty."""
    parser.add_argument(
        "--allow-empty", action="store_true", help="succeed where nothing is found to work on"
    )


def files_of(args: argparse.Namespace, *, descriptions: bool = False) -> list[Named]:
    """The files that arguments name; standard error names each argument without one.

    Args:
        args: Those of the command: `files`, and what `add_allow_empty` asks for.
        descriptions: As for `expanded`.

    Raises:
        MMRawError: source_unavailable (some arguments have files and some have none), and what
            `expanded` raises.
    """
    named = [(one, expanded([one], descriptions=descriptions)) for one in args.files]
    without = [argument for argument, files in named if not files]
    for argument in without:
        print(f"mmraw: {argument}: found no file in it, or of this pattern", file=sys.stderr)
    if 0 < len(without) < len(named) and not args.allow_empty:
        message = "expected files in every folder and of every pattern, got none in some"
        raise MMRawError("source_unavailable", message)
    return [file for _, files in named for file in files]


def is_mere_text(file: Named, code: str) -> bool:
    """Whether a file of a folder is text without refs, such as a page about the data.

    Args:
        file: The file.
        code: Of the error that reading it as rollouts gave.
    """
    if file.within is None or code != "invalid_json":
        return False
    with open_named(file.path) as source:
        data = source.read(_SAMPLE + 1)
    checked = check(io.BytesIO(data).read)
    return len(data) <= _SAMPLE and bool(checked.text_lines) and not checked.counts


class Seen:
    """Hands an input on and remembers what it looks like.

    Args:
        read: Gives up to so many bytes, and none at the end.
        marks: Texts to count, with their names in `text`.
    """

    def __init__(self, read: Callable[[int], bytes], marks: Mapping[bytes, str]) -> None:
        self._read = read
        self._marks = marks
        self._counts = dict.fromkeys(marks, 0)
        self._sample = self._tail = b""
        self._lines = 0

    def read(self, size: int) -> bytes:
        """Reads up to `size` bytes, none at the end."""
        data = self._read(size)
        if len(self._sample) < _SAMPLE:
            self._sample += data[: _SAMPLE - len(self._sample)]
        self._lines += data.count(b"\n")
        for mark in self._marks:
            # One that began in the bytes before ends here.
            begun = self._tail[1 - len(mark) :] if len(mark) > 1 else b""
            self._counts[mark] += data.count(mark) + (begun + data[: len(mark) - 1]).count(mark)
        longest = max(map(len, self._marks), default=1)
        self._tail = (self._tail + data[-longest:])[-longest:]
        return data

    @property
    def found(self) -> int:
        """The number of marks that were found."""
        return sum(self._counts.values())

    def text(self, wanted: str) -> str:
        """A sentence for people: `300 rows, 0 refs; column "messages" holds JSON text`."""
        parts = [self._size(), f"0 {wanted}"]
        parts += [f"{count} {self._marks[mark]}" for mark, count in self._counts.items() if count]
        text = self._sample.decode("utf-8", "replace")
        if wanted == "refs" and next(find_refs(text), None) is not None:
            parts.append("but refs within text (see --text)")
        columns = _columns(self._rows())
        texts = [name for name, is_json in columns.items() if is_json]
        if texts:
            return f"{', '.join(parts)}; {_named(texts)} {_holds(texts)} JSON text"
        return f"{', '.join(parts)}{f'; {_named(list(columns))}' if columns else ''}"

    def _size(self) -> str:
        sample = self._sample.strip()
        if not sample:
            return "nothing at all"
        lines = self._lines + (not self._tail.endswith(b"\n"))
        if next(self._rows(), None) is not None:
            return counted(lines, "row")
        return "one document" if sample[:1] in b"[{" else f"{counted(lines, 'line')} of text"

    def _rows(self) -> Iterator[Any]:
        """The values of the first lines, as far as they are JSON."""
        for line in self._sample.split(b"\n", _MOST_ROWS)[:_MOST_ROWS]:
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _columns(rows: Iterator[Any]) -> dict[str, bool]:
    """The keys of rows, and whether JSON text stands under each."""
    found: dict[str, bool] = {}
    for row in rows:
        for name, value in cast("dict[str, Any]", row).items() if isinstance(row, dict) else ():
            found[name] = found.get(name, False) or _is_json_text(value)
    return found


def _is_json_text(value: Any) -> bool:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return isinstance(json.loads(value), (dict, list))
    return False


def _named(names: list[str]) -> str:
    shown = [json.dumps(name[:_MOST_NAME]) for name in names[:_MOST_COLUMNS]]
    more = ["and others"] if len(names) > _MOST_COLUMNS else []
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(shown + more)}"


def _holds(names: list[str]) -> str:
    return "holds" if len(names) == 1 else "hold"
