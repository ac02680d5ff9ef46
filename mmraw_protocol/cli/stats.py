"""`mmraw stats`: which images files hold: refs by dialect and family, tokens, bytes, duplicates."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

from ..files.counts import MOST_REFUSALS, Counts
from ..files.facts import Facts
from ..files.job import Report
from ..files.noting import NotingJob
from ..files.prose import rewrite_prose
from ..files.rewriting import rewrite
from ..files.tables import rewrite_table
from ..wire.errors import MMRawError
from .engine import add_engine, stats_on_ray
from .inputs import opened
from .options import add_processes, add_quiet
from .output import error_dict, print_json, print_table, size_of, write_report
from .rewriting import add_text, named, print_refusal
from .seen import Seen, add_allow_empty, files_of, is_mere_text

EXAMPLE = "mmraw stats rollouts/ --report stats.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "files", nargs="*", default=["-"], help="files, folders, patterns, or - for standard input"
    )
    add_text(parser)
    add_allow_empty(parser)
    add_processes(parser)
    add_engine(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Prints counts; 1 where a file or a ref cannot be read, or nothing is found."""
    if args.engine == "ray":
        facts, refused = stats_on_ray(args)
        return _report(args, {**facts.report(), **refused, "failed": {}})
    total = Counts()
    refusals: list[dict[str, Any]] = []
    failed: dict[str, dict[str, str]] = {}
    seen: dict[str, str] = {}
    for file in files_of(args):
        try:
            with opened(file.path, "stats", quiet=args.quiet) as source:
                tee = Seen(source.read, {})
                do: Any = partial(rewrite_prose if args.text else rewrite, tee.read)
                if source.table is not None:
                    do = partial(rewrite_table, source.table, text=args.text)
                report: Report = do(
                    _drop,
                    NotingJob(),
                    on_error="keep",
                    processes=args.processes,
                )
                source.check_unchanged()
                if not (report.unchanged or report.refused):
                    seen[file.path] = tee.text("images") if source.table is None else "0 images"
        except MMRawError as error:
            if not is_mere_text(file, error.code):
                failed[file.path] = error_dict(error)
            continue
        total.merge(report)
        refusals += [{"file": file.path, **one} for one in named(report)]
    summary: dict[str, Any] = {
        **(total.facts or Facts()).report(),
        "refused": sum(total.refused.values()),
        "refused_by_code": total.refused,
        "refusals": refusals[:MOST_REFUSALS],
        "failed": failed,
    }
    if not summary["images"]:
        summary["seen"] = seen
    return _report(args, summary)


def _report(args: argparse.Namespace, summary: dict[str, Any]) -> int:
    """Prints and writes the report; 1 where anything was refused, or nothing was found."""
    write_report(summary, args.report)
    if args.json:
        print_json(summary)
    else:
        _print(summary)
    is_empty = not summary["images"] and not args.allow_empty
    return 1 if summary["refused"] or summary["failed"] or is_empty else 0


def _drop(data: bytes) -> None:
    """Takes the bytes of files, which do not change."""


def _print(summary: dict[str, Any]) -> None:
    print(f"{summary['images']} images, {summary['duplicates']} of them duplicates; "
          f"{size_of(summary['image_bytes'])} inline, "
          f"{size_of(summary['distinct_bytes'])} without duplicates")  # fmt: skip
    for title in ("forms", "families", "tokens", "sizes", "refused_by_code"):
        rows = sorted(summary[title].items(), key=lambda item: -item[1])
        if rows:
            print_table((title.replace("_", " "), "count"), rows)
    for name, text in summary.get("seen", {}).items():
        print(f"{name}: found no image: {text}")
    for one in summary["refusals"]:
        print_refusal(one["file"], one, sys.stdout)
    for name, error in summary["failed"].items():
        print(f"{name}: {error['code']}: {error['message']}")
