"""`mmraw inspect`: what a text holds of this protocol, verified with what is at hand."""

from __future__ import annotations

import argparse
from typing import Any

from ..wire.errors import MMRawError
from .contents import read_contents, where
from .explained import Explained, explain, told_checks
from .inputs import read_text
from .options import add_verification, verifier_of
from .output import ERROR_PAGE, error_dict, print_json, print_table

EXAMPLE = "mmraw inspect mmraw:v3:eyJmYW1pbHkiOi…"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "what",
        nargs="?",
        help="the text itself, or a file: a ref, a document, JSON lines, or any text with refs in "
        "it; - for standard input",
    )
    add_verification(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the verdict and what the text says; 1 where anything is refused or contradicts."""
    verifier = verifier_of(args)
    things = [explain(thing, verifier) for thing in read_contents(read_text(args.what, whole=True))]
    refused = [one for one in things if one.faults]
    if args.json:
        print_json(_as_json(things[0]) if len(things) == 1 else _all_as_json(things))
    elif len(things) == 1:
        _print_one(things[0])
    else:
        _print_all(things, len(refused))
    return 1 if refused else 0


def _print_one(one: Explained) -> None:
    first, *rest = _verdict(one)
    place = where(one.thing) if one.thing.places else ""
    print(f"{place}: {first}" if place else first)
    for line in rest:
        print(line)
    if one.rows:
        print()
        print_table(("field", "value", "meaning"), one.rows, title=one.title)


def _verdict(one: Explained) -> list[str]:
    """The verdict in one line, then whatever helps with a refusal."""
    checks = told_checks(one.checks)
    if not one.faults:
        return [f"ok: {'; '.join(filter(None, (one.title, one.summary, checks)))}"]
    lines = [f"refused: {fault}" for fault in _placed(one)]
    lines += [f"    {hint}" for hint in one.hints]
    lines += [f"    {remedy}" for remedy in dict.fromkeys(fault.remedy for fault in one.faults)]
    lines += [f"    {ERROR_PAGE}#{code}" for code in dict.fromkeys(f.code for f in one.faults)]
    return [*lines, *([f"    {checks}"] if checks else [])]


def _print_all(things: list[Explained], refused: int) -> None:
    total = f"{len(things)} found"
    print(f"refused: {refused} of {len(things)}" if refused else f"ok: {total}, nothing is refused")
    for one in sorted(things, key=lambda one: not one.faults):
        first, *rest = _verdict(one)
        print(f"{where(one.thing) or one.title}: {first}")
        for line in rest:
            print(line)


def _placed(one: Explained) -> list[MMRawError]:
    """The faults with their paths in the whole document; strings of JSON begin at their own `$`."""
    path = one.thing.path
    return [fault if " > " in path else fault.with_path_prefix(path) for fault in one.faults]


def _as_json(one: Explained) -> dict[str, Any]:
    placed = [error_dict(fault) for fault in _placed(one)]
    places = one.thing.places
    line, column = places[0] if places else (one.thing.line, None)
    document: dict[str, Any] = {
        "ok": not placed,
        "kind": one.title,
        "path": one.thing.path,
        "line": line,
        "column": column,
        "value": one.value,
        "facts": {name: text for name, text, _ in one.rows},
        "checks": one.checks,
        "faults": placed,
        "hints": one.hints,
    }
    return document | ({"error": placed[0]} if placed else {})


def _all_as_json(things: list[Explained]) -> dict[str, Any]:
    rows = [_as_json(one) for one in things]
    return {"ok": all(row["ok"] for row in rows), "kind": "text", "things": rows}
