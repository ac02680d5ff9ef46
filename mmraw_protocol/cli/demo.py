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
from .output import print_json, print_table, size_of

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
        _print(journeys, refusals, report)
    return 0 if all(journey.identical for journey in journeys) else 1


def _write(report: Path, text: str) -> None:
    failed = False
    try:
        report.write_text(text, encoding="utf-8")
    except OSError:
        failed = True
    if failed:
        raise MMRawError("store_permission", "the report cannot be written to the folder")


_LEGEND = """\
Each picture is packed (read, hashed, described, stored or kept inline), its ref is built, parsed by
the server's rules, materialized back (read once, hash verified, decoded, grid compared) and held
against the original. at: offset+length of its placeholder in the prompt.
"""


def _print(journeys: list[Journey], refusals: list[Refusal], report: Path) -> None:
    print(_LEGEND)
    for journey in journeys:
        _print_journey(journey)
    print("Refused, as they must be:")
    for refusal in refusals:
        print(f"  {refusal.title}")
        print(f"    {refusal.code} at {refusal.path}: {refusal.message}")
    print()
    count = sum(len(journey.steps) for journey in journeys)
    same = sum(step.identical for journey in journeys for step in journey.steps)
    print(f"{same} of {count} images came back identical, pixel for pixel.")
    print(f"Report with every picture under its patch grid: {report}")


def _print_journey(journey: Journey) -> None:
    turns = " then ".join(map(str, journey.turns))
    print(
        f"{journey.family}, {journey.storage}, {journey.dialect}: {turns} images a turn; "
        f"body {size_of(len(journey.body))}, {journey.prompt_tokens} prompt tokens; "
        f"pack {journey.pack_seconds * 1e3:.1f} ms, build {journey.build_seconds * 1e3:.2f} ms, "
        f"parse {journey.parse_seconds * 1e3:.2f} ms"
    )
    columns = (
        *("picture", "kind", "size", "file", "pack ms", "grid", "tokens", "at"),
        *("ref", "back ms", "pixels"),
    )
    rows = [
        (
            step.picture,
            f"{step.format} {step.mode}",
            f"{step.width}x{step.height}",
            size_of(step.encoded_bytes),
            f"{step.pack_seconds * 1e3:.1f}",
            "x".join(map(str, step.grid_thw)),
            step.num_tokens,
            f"{step.placeholder_offset}+{step.placeholder_length}",
            f"{size_of(step.ref_chars)}",
            f"{step.materialize_seconds * 1e3:.1f}",
            "identical" if step.identical else "DIFFER",
        )
        for step in journey.steps
    ]
    print_table(columns, rows)
    print()
