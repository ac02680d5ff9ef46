"""`mmraw store fsck`: every object against its name, every reference against the store."""

from __future__ import annotations

import argparse

import msgspec

from ...stores.maintenance import FsckReport, check
from ..output import print_json, progress_bar, size_of
from .options import (
    add_runs,
    add_store,
    add_work,
    object_line,
    print_problems,
    print_some,
    store_at,
)

NAME = "fsck"
HELP = (
    "read every object of a store and compare it with its name; with rollout files, tell also "
    "which of the images they refer to are missing or different, and which objects none refers to"
)
EXAMPLE = "mmraw store fsck rollouts.jsonl --store s3://bucket/run_exp42/assets/images --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("files", nargs="*", help="rollout files, JSON or JSON lines")
    add_store(parser)
    add_runs(parser)
    add_work(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what is wrong; 1 where anything is. Objects that nothing refers to are no fault."""
    store = store_at(args.store, args)
    with progress_bar("checking objects", None) as progress:
        report = check(store, args.files, workers=args.workers, state=args.state, progress=progress)
    if args.json:
        print_json({"ok": report.ok, **msgspec.to_builtins(report)})
    else:
        _print(report, with_files=bool(args.files))
    return 0 if report.ok else 1


def _print(report: FsckReport, *, with_files: bool) -> None:
    print_some("corrupt", map(object_line, report.corrupt))
    print_some("missing", (f"{m.raw_image_id} ({m.file}:{m.line})" for m in report.missing))
    print_some(
        "another image than the hash beside the name",
        (f"{m.raw_image_id} ({m.file}:{m.line})" for m in report.mismatched),
    )
    print_some("no names of images", map(object_line, report.foreign))
    print_problems(report.problems)
    resumed = f" ({report.resumed} of them before)" if report.resumed else ""
    print(f"{report.objects} objects{resumed}, {size_of(report.bytes)} read")
    if with_files:
        print(
            f"{report.refs} refs, {report.mentions} images referred to, "
            f"{report.other_runs} of other runs, {len(report.orphaned)} objects not referred to"
        )
    print("all well" if report.ok else "not all well")
