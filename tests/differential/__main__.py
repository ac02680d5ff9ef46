"""Holds another implementation to this one on generated cases: verdicts, results, codes and paths.

Example: python -m tests.differential --cases 100000 -- node typescript/dist/conformance.js
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from mmraw_protocol.conformance.answers import Outcome
from mmraw_protocol.conformance.vectors import Vector

from .cases import OPERATIONS, cases
from .compare import differences, minimise

MOST_SHOWN = 20


def main(argv: list[str] | None = None) -> int:
    """0 where nothing differs, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --, as it is run")
    parser.add_argument("--cases", type=int, default=100_000, help="how many (100000)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (1)")
    names = [maker.__name__ for maker in OPERATIONS]
    parser.add_argument("--op", action="append", choices=names, default=[], help="only these (all)")
    args = parser.parse_args(argv)
    counts: Counter[tuple[str, str]] = Counter()

    def told(vectors: Sequence[Vector], outcomes: Sequence[Outcome]) -> None:
        for vector, outcome in zip(vectors, outcomes, strict=True):
            counts[vector.op, "cases"] += 1
            counts[vector.op, "accepted" if vector.error is None else "refused"] += 1
            counts[vector.op, "skipped"] += outcome.status == "skipped"

    begun = time.monotonic()
    asked = cases(args.seed, args.cases, ops=args.op)
    found = list(differences(args.command, asked, told))
    for difference in islice(found, MOST_SHOWN):
        print(minimise(args.command, difference))
    print(
        f"{'operation':20} {'cases':>7} {'accepted':>9} {'refused':>8} {'skipped':>8} {'differ':>7}"
    )
    for op in sorted({op for op, _ in counts}):
        row = [counts[op, name] for name in ("cases", "accepted", "refused", "skipped")]
        differ = sum(one.op == op for one in found)
        print(f"{op:20} {row[0]:7} {row[1]:9} {row[2]:8} {row[3]:8} {differ:7}")
    total = sum(count for (_, name), count in counts.items() if name == "cases")
    seconds = time.monotonic() - begun
    print(
        f"{len(found)} differences on {total} generated cases (seed {args.seed}), {seconds:.0f} s"
    )
    return 1 if found or total < args.cases else 0


if __name__ == "__main__":
    sys.exit(main())
