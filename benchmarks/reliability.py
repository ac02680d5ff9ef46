"""The chart of docs/reliability.md: what a refusal costs against the length of its input.

    python -m benchmarks.reliability --out docs

Each point is the worst of the rejected documents of that length, each the shortest of its runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .growth import Series
from .refused_input import best, documents, fills, floor, rejected
from .report import svg

LENGTHS = (10**3, 10**4, 10**5, 10**6, 10**7)
#: The line of a document, by the start of its name; every other document is a ref.
KINDS = {"envelope": "envelope", "features": "features body"}


def worst(works: list[Callable[[], Any]]) -> float:
    """Seconds of the work that costs most."""
    return max(best(work, 0.05) for work in works)


def measure(lengths: tuple[int, ...] = LENGTHS) -> list[Series]:
    """One line for each reader, and the standard library's on values of the same lengths."""
    found: dict[str, list[tuple[float, float]]] = {}
    for length in lengths:
        works: dict[str, list[Callable[[], Any]]] = {
            "json.loads": [floor(fill) for fill in fills(length)]
        }
        for name, (reader, given, _) in documents(length).items():
            if rejected(reader, given) is not None:
                kind = KINDS.get(name.split(",")[0], "ref")
                works.setdefault(kind, []).append(lambda r=reader, g=given: rejected(r, g))
        for kind, some in works.items():
            found.setdefault(kind, []).append((length, worst(some)))
    return list(found.items())


def main() -> None:
    """Measures and writes JSON and chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    folder = parser.parse_args().out / "reliability"
    folder.mkdir(parents=True, exist_ok=True)
    series = measure()
    (folder / "refusals.json").write_text(json.dumps(series, indent=1) + "\n", encoding="utf-8")
    chart = svg("Cost of a refusal against its input's length", "characters", series)
    (folder / "refusals.svg").write_text(chart, encoding="utf-8")
    for name, rows in series:
        print(name, ", ".join(f"{length:,}: {seconds * 1e3:.3g} ms" for length, seconds in rows))


if __name__ == "__main__":
    main()
