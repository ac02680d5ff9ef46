"""`mmraw store sync`: copy the objects of one store into another."""

from __future__ import annotations

import argparse

import msgspec

from ...stores.maintenance import copy_store
from ..output import print_json, progress_bar, size_of, write_report
from .options import add_runs, add_work, object_line, print_some, store_at

NAME = "sync"
HELP = (
    "copy the objects that one store has and another lacks or has damaged; every object is "
    "verified on the way, and nothing is removed"
)
EXAMPLE = "mmraw store sync outputs/run_exp42/assets/images s3://bucket/run_exp42/assets/images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("source", help="directory or store URL to read")
    parser.add_argument("destination", help="directory or store URL to write")
    add_runs(parser)
    add_work(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what was copied; 1 where an object was not."""
    source = store_at(args.source, args)
    destination = store_at(args.destination, args, create=True)
    with progress_bar("copying objects", None, quiet=args.quiet) as progress:
        report = copy_store(
            source, destination, workers=args.workers, state=args.state, progress=progress
        )
    whole = {"ok": report.ok, **msgspec.to_builtins(report)}
    write_report(whole, args.report)
    if args.json:
        print_json(whole)
        return 0 if report.ok else 1
    print_some("not copied", map(object_line, report.refused))
    print(
        f"{report.objects} objects: {report.copied} copied ({size_of(report.copied_bytes)}), "
        f"{report.mended} of them over damaged ones; {report.there} there already, "
        f"{report.resumed} done before, {len(report.refused)} not copied"
    )
    return 0 if report.ok else 1
