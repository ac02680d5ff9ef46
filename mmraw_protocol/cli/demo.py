"""`mmraw demo`: the main job on real pictures, step by step, with a report."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from ..demo import Journey, Refusal, example_pictures, run_demo, show_refusals, write_report
from ..demo.run import RUN_ID
from ..materialize import Materializer
from ..stores import LocalStore
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.families import DEFAULT_FAMILY
from ..wire.errors import MMRawError
from .options import check_folder
from .output import print_json

EXAMPLE = "mmraw demo my.jpg other.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("pictures", nargs="*", type=Path, help="your own files")
    parser.add_argument("--out", type=Path, default=Path("mmraw-demo"), help="folder to write to")


def run(args: argparse.Namespace) -> int:
    """Runs every route; 1 where a pixel differs."""
    check_folder(args.out)
    pictures = args.pictures or example_pictures()
    store = LocalStore(args.out / f"run_{RUN_ID}" / "assets" / "images", run_id=RUN_ID)
    journeys = run_demo(pictures, store)
    stored = next(
        j for j in journeys if j.family == DEFAULT_FAMILY and j.dialect == DEFAULT_DIALECT
    )
    refusals = show_refusals(stored.steps[0].ref, store)
    report = args.out / "report.html"
    images = [Materializer(store, cache_bytes=0).materialize(step.ref) for step in stored.steps]
    _write(report, write_report(journeys, images, refusals))
    if args.json:
        values = [msgspec.to_builtins(journey) for journey in journeys]
        refused = [msgspec.to_builtins(refusal) for refusal in refusals]
        print_json({"journeys": values, "refused": refused, "report": str(report)})
    else:
        _print(stored, journeys, refusals, report)
    return 0 if all(journey.identical for journey in journeys) else 1


def _write(report: Path, text: str) -> None:
    failed = False
    try:
        report.write_text(text, encoding="utf-8")
    except OSError:
        failed = True
    if failed:
        raise MMRawError("store_permission", "the report cannot be written to the folder")


def _print(stored: Journey, journeys: list[Journey], refusals: list[Refusal], report: Path) -> None:
    """A row for each picture as it travels by default; the report has every family and way."""
    for step in stored.steps:
        verdict = "identical" if step.identical else "DIFFERENT"
        print(
            f"{step.picture:<18} {step.encoded_bytes:>9,} B file \u2192 "
            f"{step.ref_chars:,} B ref \u2192 {step.num_tokens:,} tokens \u2192 {verdict}"
        )
    print("\nRefused, as they must be:")
    for refusal in refusals:
        print(f"  {refusal.title}\n    {refusal.code} at {refusal.path}: {refusal.message}")
    count = sum(len(journey.steps) for journey in journeys)
    same = sum(step.identical for journey in journeys for step in journey.steps)
    families = len({journey.family for journey in journeys})
    ways = len({(journey.storage, journey.dialect) for journey in journeys})
    print(f"\n{families} families, {ways} ways over the wire:")
    print(f"{same} of {count} images came back identical, pixel for pixel.")
    print(f"Report with every picture under its patch grid: {report}")
