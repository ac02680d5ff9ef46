"""`mmraw compat`: what changed between two versions of spec/, and whom it breaks."""

from __future__ import annotations

import argparse
from collections import Counter

from ..specdiff.gate import Strictness, breaking, compare_specs
from ..specdiff.rules import RULES
from ..specdiff.sources import read_spec
from ..wire.schemas import spec_folder
from .output import print_json, print_table

EXAMPLE = "mmraw compat v1.0 spec --strict reader"

_CHOICES: tuple[Strictness, ...] = ("none", "reader", "writer", "any")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("old", metavar="OLD", help="a folder, or a git revision")
    parser.add_argument(
        "new", metavar="NEW", nargs="?", help="the same (default: what is installed)"
    )
    parser.add_argument(
        "--strict",
        choices=_CHOICES,
        default="any",
        help="fail where new readers refuse old documents (reader), old readers new ones (writer), "
        "either (any, the default), or never (none)",
    )
    parser.add_argument(
        "--spec", default="spec", metavar="FOLDER", help="where spec/ stands in the repository"
    )


def run(args: argparse.Namespace) -> int:
    """Prints every change; 1 where one breaks more than --strict allows."""
    old = read_spec(args.old, args.spec)
    new = read_spec(args.new or str(spec_folder()), args.spec)
    changes = compare_specs(old, new)
    fatal = breaking(changes, args.strict)
    counts = Counter(change.breaks for change in changes)
    if args.json:
        rows = [
            {
                "rule": change.rule,
                "breaks": change.breaks,
                "path": change.path,
                "detail": change.detail,
                "meaning": RULES[change.rule].meaning,
            }
            for change in changes
        ]
        print_json({"changes": rows, "breaking": len(fatal), "counts": dict(counts)})
        return 1 if fatal else 0
    if changes:
        print_table(
            ("breaks", "rule", "path", "detail"),
            [(change.breaks, change.rule, change.path, change.detail) for change in changes],
        )
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{len(changes)} changes ({told or 'none'}); {len(fatal)} against --strict {args.strict}")
    return 1 if fatal else 0
