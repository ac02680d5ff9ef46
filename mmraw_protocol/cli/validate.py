"""`mmraw validate`: every ref, envelope and features body in files, JSON or JSON lines."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from ..files.checking import check, check_lines
from ..files.counts import MOST_REFUSALS, Counts
from ..files.facts import Facts
from ..files.lines import is_document
from ..files.output import ended_by_signals
from ..files.reader import Block, LineReader
from ..files.tables import check_table
from ..files.validation import Finding
from ..materialize.verification import Verifier
from ..wire.errors import MMRawError
from ..wire.msgpack_stream import JsonText
from .engine import add_engine, checked_on_ray
from .following import followed
from .inputs import opened
from .options import add_processes, add_quiet, add_verification, verifier_of
from .output import ERROR_PAGE, place_of, print_json, print_table, write_report
from .seen import DATA_IMAGES, Seen, add_allow_empty, files_of

EXAMPLE = "mmraw validate rollouts.jsonl --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "files",
        nargs="*",
        default=["-"],
        help="files, folders, patterns, or - for standard input; lines that are no JSON are text, "
        "in which refs are found",
    )
    add_allow_empty(parser)
    add_processes(parser)
    add_engine(parser)
    add_quiet(parser, facts=True)
    add_verification(parser)
    parser.add_argument(
        "--format",
        choices=("text", "github"),
        default="text",
        help="github: an annotation for each refusal, as GitHub's workflows show them",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on with what is appended to a file of lines, until interrupted",
    )
    parser.set_defaults(wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    """Prints refusals and a summary; 1 where anything was refused, or nothing was checked."""
    verifier = verifier_of(args, each=args.report is not None)
    if args.engine == "ray":
        return _report(args, checked_on_ray(args, verifier))
    names = [one.path for one in files_of(args)]
    if args.follow:
        if len(names) != 1 or names == ["-"] or args.json:
            args.wrong("--follow takes one file, and prints no JSON")
        return _follow(args, names[0], verifier)
    total = Counts()
    refusals: list[dict[str, Any]] = []
    for name in names:
        checked = _check_file(args, name, verifier)
        total.merge(checked)
        refusals += _rows(name, checked)
    summary = _summary_of(args, total, refusals)
    if not total.counts:
        summary["seen"] = {name: _seen(name) for name in names}
    return _report(args, summary)


def _summary_of(
    args: argparse.Namespace, total: Counts, refusals: list[dict[str, Any]]
) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "checked": total.counts,
        "refused": sum(total.refused.values()),
        "refused_by_code": total.refused,
        "refusals": refusals[:MOST_REFUSALS],
        "text_lines": total.text_lines,
    }
    if args.report is not None:
        summary["found"] = (total.facts or Facts()).report()
    return summary


def _report(args: argparse.Namespace, summary: dict[str, Any]) -> int:
    """Prints and writes the report; 1 where anything was refused, or nothing was checked."""
    write_report(summary, args.report)
    if args.json:
        print_json(summary)
    else:
        _print(args, summary)
    is_empty = not summary["checked"] and not args.allow_empty
    return 1 if summary["refused"] or is_empty else 0


def _rows(name: str, checked: Counts) -> list[dict[str, Any]]:
    fields = ("line", "kind", "code", "path", "message", "column", "byte")
    return [{"file": name, **{of: getattr(one, of) for of in fields}} for one in checked.refusals]


def _follow(args: argparse.Namespace, name: str, verifier: Verifier) -> int:
    """Checks lines as they are appended; what is refused is printed at once."""
    total = Counts()
    refusals: list[dict[str, Any]] = []

    def take(block: Block) -> None:
        checked = check_lines(block, verifier)
        total.merge(checked)
        rows = _rows(name, checked)
        refusals.extend(rows[: MOST_REFUSALS - len(refusals)])
        for row in rows:
            _print_row(args, row)

    with ended_by_signals(), followed(name) as lines:
        reader = LineReader(lines.read)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                while block := reader.next_block():
                    take(block)
        finally:
            if is_document(lines.rest):
                take(Block(lines.rest, reader.line, True))
            elif lines.rest.strip():
                message = "the last line has no end yet and was not checked"
                print(f"mmraw: {name}:{reader.line}: {message}", file=sys.stderr)
            refused = sum(total.refused.values())
            write_report(_summary_of(args, total, refusals), args.report)
            print(_summary(total.counts, refused, total.text_lines), flush=True)
    return 1 if refused or not (total.counts or args.allow_empty) else 0


def _seen(name: str) -> str:
    """Describe a file without anything of this protocol; standard input is consumed by now."""
    seen = Seen(lambda size: b"", DATA_IMAGES)
    if name == "-":
        return "0 refs"
    with contextlib.suppress(MMRawError), opened(name, "look at", quiet=True) as source:
        if source.table is not None:
            return f"0 refs; columns {', '.join(source.table.schema.names)}"
        seen = Seen(JsonText(source.read).read, DATA_IMAGES)
        while seen.read(1 << 20):
            pass
    return seen.text("refs")


def _check_file(args: argparse.Namespace, name: str, verifier: Verifier) -> Counts:
    """Check a file; an unreadable one is a refusal, and the others are still checked."""
    failed: MMRawError | None = None
    try:
        with opened(name, "validate", quiet=args.quiet) as source:
            if source.table is not None:
                checked = check_table(source.table, verifier, processes=args.processes)
            else:
                checked = check(
                    source.read, processes=args.processes, verifier=verifier, plain=source.plain
                )
            source.check_unchanged()
            return checked
    except MMRawError as error:
        failed = error
    checked = Counts()
    checked.add(0, Finding("file", failed))
    return checked


def _print_row(args: argparse.Namespace, row: dict[str, Any]) -> None:
    what = f"{row['kind']} refused: {row['code']} at {row['path']}: {row['message']}"
    if args.format == "github":
        line = f",line={row['line']}" if row["line"] else ""
        line += f",col={row['byte']}" if row["byte"] else ""
        column = f"column {row['column']}: " if row["column"] else ""
        print(f"::error file={_escaped(row['file'], ':,')}{line}::{_escaped(column + what)}")
        return
    print(f"{place_of(row)}: {what}", flush=args.follow)


def _escaped(text: str, more: str = "") -> str:
    """A text within a command of GitHub's workflows."""
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _summary(counts: dict[str, int], refused: int, text_lines: int) -> str:
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
    text = f"; {text_lines} {'line' if text_lines == 1 else 'lines'} of text" if text_lines else ""
    return f"checked {found}; refused {refused}{text}"


def _print(args: argparse.Namespace, summary: dict[str, Any]) -> None:
    for row in summary["refusals"]:
        _print_row(args, row)
    for name, seen in summary.get("seen", {}).items():
        print(f"{name}: found nothing to check: {seen}")
    print(_summary(summary["checked"], summary["refused"], summary.get("text_lines", 0)))
    if summary["refused"]:
        rows = sorted(summary["refused_by_code"].items(), key=lambda item: -item[1])
        pages = [(code, count, f"{ERROR_PAGE}#{code}") for code, count in rows]
        print_table(("code", "count", "page"), pages)
