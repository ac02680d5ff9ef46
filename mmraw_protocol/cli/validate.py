"""`mmraw validate`: every ref, envelope and features body in files, JSON or JSON lines."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import MMRawError
from ..validation import Finding, check_document
from .output import print_json, print_table, progress_bar

NAME = "validate"
HELP = "check every ref, envelope and features body in files (JSON or JSON lines)"
EXAMPLE = "mmraw validate rollouts.jsonl --json"

#: Refusals that are printed one by one; the summary counts them all.
MOST_PRINTED = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("files", nargs="*", default=["-"], help="files, or - for standard input")


def run(args: argparse.Namespace) -> int:
    """Prints refusals and a summary; 1 where anything was refused."""
    counts: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []
    for name in args.files:
        for line, finding in _findings(name):
            counts[finding.kind] += 1
            if finding.error is None:
                continue
            codes[finding.error.code] += 1
            if len(refused) < MOST_PRINTED:
                refused.append(_report(name, line, finding))
    summary = {
        "checked": dict(counts),
        "refused": sum(codes.values()),
        "refused_by_code": dict(codes),
        "refusals": refused,
    }
    if args.json:
        print_json(summary)
    else:
        _print(summary)
    return 1 if codes else 0


def _report(name: str, line: int, finding: Finding) -> dict[str, Any]:
    error = cast(MMRawError, finding.error)
    return {
        "file": name,
        "line": line,
        "kind": finding.kind,
        "code": error.code,
        "path": error.path,
        "message": error.message,
    }


def _print(summary: dict[str, Any]) -> None:
    for row in summary["refusals"]:
        where = f"{row['file']}:{row['line']}"
        print(f"{where}: {row['kind']} refused: {row['code']} at {row['path']}: {row['message']}")
    checked = ", ".join(f"{count} {kind}" for kind, count in sorted(summary["checked"].items()))
    print(f"checked {checked or 'nothing'}; refused {summary['refused']}")
    if summary["refused"]:
        rows = sorted(summary["refused_by_code"].items(), key=lambda item: -item[1])
        print_table(("code", "count"), rows)


def _findings(name: str) -> Iterator[tuple[int, Finding]]:
    """(line, finding) of everything in a file, line by line where lines are documents."""
    if name == "-":
        yield from _findings_in(sys.stdin.buffer, None)
        return
    file: BinaryIO | None = None
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below; the error must leave no context)
    except (OSError, ValueError):
        file = None
    if file is None:
        raise MMRawError("source_unavailable", "a file cannot be read")
    with file:
        yield from _findings_in(file, Path(name).stat().st_size)


def _findings_in(file: BinaryIO, size: int | None) -> Iterator[tuple[int, Finding]]:
    with progress_bar("validating", size) as progress:
        done = 0
        for number, text in _documents(file):
            for finding in check_document(text):
                yield number, finding
            done += len(text)
            progress(done)


def _documents(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that are documents; the whole file where its first line is only a part of one."""
    first = file.readline()
    if _is_partial(first):
        yield 1, first + file.read()
        return
    if first.strip():
        yield 1, first.strip()
    for number, line in enumerate(file, start=2):
        if line.strip():
            yield number, line.strip()


def _is_partial(line: bytes) -> bool:
    """Whether a line opens a document that it does not close, as pretty-printed JSON does."""
    text = line.strip()
    return text.startswith((b"{", b"[")) and not text.endswith((b"}", b"]"))
