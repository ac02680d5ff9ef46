"""`mmraw store gc`: old objects that no rollout file refers to."""

from __future__ import annotations

import argparse

import msgspec

from ...stores.maintenance import CollectReport, collect
from ..output import print_json, progress_bar, size_of, write_report
from .options import (
    add_runs,
    add_store,
    add_work,
    duration,
    files_in,
    object_line,
    print_problems,
    print_some,
    store_at,
)

NAME = "gc"
HELP = (
    "tell which old objects none of the given rollout files refers to, and with --delete remove "
    "them; nothing is removed if a file cannot be read whole or holds no reference"
)
EXAMPLE = "mmraw store gc rollouts/*.jsonl --store s3://bucket/run_exp42/assets/images --delete"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "files",
        nargs="+",
        help="every rollout file whose images must stay: files, folders, patterns",
    )
    add_store(parser)
    add_runs(parser)
    parser.add_argument(
        "--older-than",
        type=duration,
        default="7d",
        metavar="AGE",
        help="leave alone what was put within this time, for example 12h (default: %(default)s)",
    )
    parser.add_argument("--delete", action="store_true", help="remove; else only tell")
    parser.add_argument(
        "--allow-empty", action="store_true", help="take files that hold no reference at all"
    )
    parser.add_argument(
        "--remove-all", action="store_true", help="go on where nothing of the store would be left"
    )
    add_work(parser, state=False)


def run(args: argparse.Namespace) -> int:
    """Prints what would go or went; 1 where a file cannot be read whole."""
    store = store_at(args.store, args)
    with progress_bar("removing objects", None, quiet=args.quiet) as progress:
        report = collect(
            store,
            files_in(args.files),
            older_than=args.older_than,
            delete=args.delete,
            allow_empty=args.allow_empty,
            remove_all=args.remove_all,
            workers=args.workers,
            progress=progress,
        )
    whole = {"ok": report.ok, **msgspec.to_builtins(report)}
    write_report(whole, args.report)
    if args.json:
        print_json(whole)
    else:
        _print(report, asked=args.delete)
    return 0 if report.ok else 1


def _print(report: CollectReport, *, asked: bool) -> None:
    if not report.deleted:
        print_some("nothing refers to", map(object_line, report.removable))
    print_problems(report.problems)
    print(
        f"{report.objects} objects ({size_of(report.bytes)}): {report.referred} referred to, "
        f"{report.young} young, {report.ageless} of unknown age, "
        f"{len(report.removable)} removable ({size_of(report.removable_bytes)})"
    )
    if report.deleted:
        again = f", {report.renewed} left: put again or gone meanwhile" if report.renewed else ""
        print(f"removed {report.removed} ({size_of(report.removed_bytes)}){again}")
    elif report.everything:
        print("nothing was removed, since nothing would be left; --remove-all removes every object")
    elif asked:
        print("nothing was removed, since not every file could be relied on")
    else:
        print("nothing was removed; --delete removes")
