"""`mmraw validate`: every ref, envelope and features body in files, JSON or JSON lines."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import msgspec

from ..files.checking import MOST_REFUSALS, Checked, check
from ..files.tables import check_table
from ..files.validation import Finding
from ..materialize.verification import Verifier
from ..wire.errors import MMRawError
from ..wire.msgpack_stream import JsonText
from .inputs import expanded, opened
from .options import add_processes, add_quiet, add_verification, verifier_of
from .output import ERROR_PAGE, print_json, print_table
from .seen import DATA_IMAGES, Seen, add_allow_empty

EXAMPLE = "mmraw validate rollouts.jsonl --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "files", nargs="*", default=["-"], help="files, folders, patterns, or - for standard input"
    )
    add_allow_empty(parser)
    add_processes(parser)
    add_quiet(parser)
    add_verification(parser)


def run(args: argparse.Namespace) -> int:
    """Prints refusals and a summary; 1 where anything was refused, or nothing was checked."""
    verifier = verifier_of(args)
    total = Checked()
    refusals: list[dict[str, Any]] = []
    names = [one.path for one in expanded(args.files)]
    for name in names:
        checked = _check_file(args, name, verifier)
        total.merge(checked)
        refusals += [{"file": name, **msgspec.to_builtins(one)} for one in checked.refusals]
    summary: dict[str, Any] = {
        "checked": total.counts,
        "refused": sum(total.refused.values()),
        "refused_by_code": total.refused,
        "refusals": refusals[:MOST_REFUSALS],
    }
    is_empty = not total.counts
    if is_empty:
        summary["seen"] = {name: _seen(name) for name in names}
    if args.json:
        print_json(summary)
    else:
        _print(summary)
    return 1 if total.refused or (is_empty and not args.allow_empty) else 0


def _seen(name: str) -> str:
    """What a file without anything of this protocol looks like; standard input is gone by now."""
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


def _check_file(args: argparse.Namespace, name: str, verifier: Verifier) -> Checked:
    """What is in a file; one that cannot be read is a refusal, and the others are still checked."""
    failed: MMRawError | None = None
    try:
        with opened(name, "validate", quiet=args.quiet) as source:
            if source.table is not None:
                checked = check_table(source.table, processes=args.processes, verifier=verifier)
            else:
                checked = check(source.read, processes=args.processes, verifier=verifier)
            source.check_unchanged()
            return checked
    except MMRawError as error:
        failed = error
    checked = Checked()
    checked.add(0, Finding("file", failed))
    return checked


def _print(summary: dict[str, Any]) -> None:
    for row in summary["refusals"]:
        where = ":".join(str(row[name]) for name in ("file", "line", "column") if row[name])
        print(f"{where}: {row['kind']} refused: {row['code']} at {row['path']}: {row['message']}")
    for name, seen in summary.get("seen", {}).items():
        print(f"{name}: found nothing to check: {seen}")
    checked = ", ".join(f"{count} {kind}" for kind, count in sorted(summary["checked"].items()))
    print(f"checked {checked or 'nothing'}; refused {summary['refused']}")
    if summary["refused"]:
        rows = sorted(summary["refused_by_code"].items(), key=lambda item: -item[1])
        pages = [(code, count, f"{ERROR_PAGE}#{code}") for code, count in rows]
        print_table(("code", "count", "page"), pages)
