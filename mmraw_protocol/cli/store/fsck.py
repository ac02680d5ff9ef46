"""`mmraw store fsck`: every object against its name, every reference against the store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from ...stores import AssetStore
from ...stores.maintenance import FsckReport, check
from ...wire.errors import ERRORS
from ..engine import add_engine, fsck_on_ray
from ..output import place_of, print_json, progress_bar, size_of, write_report
from ..seen import add_allow_empty
from .options import (
    add_runs,
    add_store,
    add_work,
    files_in,
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
#: Entries of a folder without objects that are named.
_MOST_NAMES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("files", nargs="*", help="rollout files, folders, patterns")
    add_store(parser)
    add_runs(parser)
    add_allow_empty(parser)
    add_work(parser)
    add_engine(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what is wrong; 1 where anything is, or where there was nothing to check.

    Objects that nothing refers to are no fault.
    """
    if args.engine == "ray":
        return _report(args, fsck_on_ray(args))
    store = store_at(args.store, args)
    files = files_in(args.files)
    with progress_bar("checking objects", None, quiet=args.quiet) as progress:
        report = check(store, files, workers=args.workers, state=args.state, progress=progress)
    ok = report.ok and (args.allow_empty or not report.is_empty)
    seen = _seen(report, store) if report.is_empty else None
    whole = {"ok": ok, **msgspec.to_builtins(report)} | ({"seen": seen} if seen else {})
    write_report(whole, args.report)
    if args.json:
        print_json(whole)
        return 0 if ok else 1
    _print(report)
    if seen is not None:
        print(f"found nothing to check: {seen}")
    print("all well" if ok else "not all well")
    return 0 if ok else 1


def _report(args: argparse.Namespace, report: dict[str, Any]) -> int:
    """Prints what Ray's workers found of the images that files name."""
    ok = not report["refused"] and bool(report["checked"] or args.allow_empty)
    write_report({"ok": ok, **report}, args.report)
    if args.json:
        print_json({"ok": ok, **report})
        return 0 if ok else 1
    for one in report["refusals"]:
        print(f"{place_of(one)}: {one['code']}: {one['message']}")
    for code, count in sorted(report["refused_by_code"].items()):
        print(f"  {count} x {code}: {ERRORS[code].remedy}")
    checked, size = report["checked"], size_of(report["bytes"])
    print(f"{checked.get('image', 0)} images referred to, {size} of them in the store")
    if not checked:
        print("found nothing to check: 0 references in the files")
    print("all well" if ok else "not all well")
    return 0 if ok else 1


def _seen(report: FsckReport, store: AssetStore) -> str:
    """Describe a store without objects, or files without references."""
    if report.objects:
        if report.with_files:
            return f"{report.objects} objects, and 0 references in the files"
        return f"{report.objects} objects, none of which has a hash in its name"
    root = getattr(store, "root", None)
    if not isinstance(root, Path) or not root.is_dir():
        return "0 objects"
    names = sorted(entry.name for entry in root.iterdir())
    shown = ", ".join(json.dumps(name) for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    below = "; images are usually in assets/images below" if "assets" in names else ""
    return f"0 objects; the folder has {shown or 'nothing'}{more}{below}"


def _print(report: FsckReport) -> None:
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
    if report.with_files:
        print(
            f"{report.refs} refs, {report.mentions} images referred to, "
            f"{report.other_runs} of other runs, {len(report.orphaned)} objects not referred to"
        )
