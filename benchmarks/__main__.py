"""`python -m benchmarks`: measure, print the table, and write it with its charts into a folder."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import files, growth
from .cases import GROUPS, Figure, floors, shared
from .measure import machine
from .report import figure_row, markdown, write

ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    """Measures; 0 whatever the figures are: a busy machine is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rounds of each comparison (30)")
    parser.add_argument("--only", choices=[*GROUPS, "growth", "files"], help="one group alone")
    parser.add_argument("--out", type=Path, help="folder for JSON, charts and the table")
    parser.add_argument(
        "--largest", type=int, default=40 * 2**20, help="bytes of the largest image"
    )
    parser.add_argument("--most", type=int, default=10_000, help="images of the largest body")
    parser.add_argument("--megabytes", type=float, default=1000, help="of the file in processes")
    parser.add_argument("--processors", default="", help="an interpreter that has transformers")
    args = parser.parse_args(argv)
    os.chdir(ROOT)
    result: dict[str, Any] = {"machine": machine(), "rounds": args.rounds}
    figures: list[Figure] = []
    for name, group in GROUPS.items():
        if args.only in (None, name):
            figures += group(args.rounds)
    if args.processors:
        figures += _processors(args.processors, max(2, args.rounds // 4), result)
    result["growth"] = {}
    if args.only in (None, "files"):
        results = files.shared(max(2, args.rounds // 6), args.megabytes)
        figures += shared(results, args.megabytes)
        result["growth"]["files"] = {
            "title": f"One file of {args.megabytes:g} MB of lines, by the clock",
            "across": "processes",
            "series": files.series(results),
        }
    result["figures"] = [figure_row(figure) for figure in figures]
    result["floors"] = floors(args.rounds)
    if args.only in (None, "growth"):
        result["growth"] |= _growth(max(2, args.rounds // 10), args.largest, args.most)
    result["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    print(markdown(result))
    if args.out is not None:
        write(result, args.out, group=args.only)
    return 0


def _growth(rounds: int, largest: int, most: int) -> dict[str, Any]:
    return {
        "refs": {
            "title": "Reading one ref, by its length",
            "across": "characters of the ref",
            "series": list(growth.refs(rounds, largest)),
        },
        "features": {
            "title": "Building one features body, by its images",
            "across": "images",
            "series": list(growth.features(rounds, most)),
        },
        "conversations": {
            "title": "All bodies of one conversation, one new image a turn",
            "across": "turns",
            "series": list(growth.conversations(rounds, min(200, most))),
        },
    }


def _processors(interpreter: str, rounds: int, result: dict[str, Any]) -> list[Figure]:
    done = subprocess.run(
        [interpreter, "-m", "benchmarks.processors", str(rounds)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    result["processors"] = found
    figures: list[Figure] = []
    for row, target in zip(found["rows"], (50, 50, 5000), strict=True):
        width, height = row["size"]
        times = row["processor"] / row["describe"]
        name = f"{found['processor']} of transformers {found['transformers']}, decode excluded"
        figures.append(
            Figure(
                f"describe a JPEG of {width}x{height} (sha256 apart)",
                name, times, target, False, "x faster", row["describe"], (times, times),
            )
        )  # fmt: skip
    return figures


if __name__ == "__main__":
    sys.exit(main())
