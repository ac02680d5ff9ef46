"""The chart of docs/reliability.md: what a refusal costs against the length of its input.

    python -m benchmarks.reliability --out docs

Each point is the worst of some hostile texts of that length, each the shortest of its runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmraw_protocol import parse_features, parse_item, parse_ref
from mmraw_protocol.wire.base64 import encode_base64url

from .growth import Series
from .refused_input import baseline, best, bodies, fills, refuse
from .report import svg

LENGTHS = (10**3, 10**4, 10**5, 10**6, 10**7)


def worst(work: Callable[[str], Any], texts: list[str]) -> float:
    """Seconds of the text that costs most."""
    runs = 5 if len(texts[0]) < 10**6 else 2
    return max(best(lambda text=text: work(text), runs) for text in texts)


def refs(family: str, length: int) -> list[str]:
    """v3 refs of that many characters that are refused."""
    return [
        "mmraw:v3:" + encode_base64url(body.encode()) for body in bodies(family, length * 3 // 4)
    ]


def measure(lengths: tuple[int, ...] = LENGTHS) -> list[Series]:
    """One line for each reader, and the standard library's on the same bodies."""
    readers: dict[str, tuple[Callable[[str], Any], Callable[[int], list[str]]]] = {
        "ref of a listed family": (parse_ref, lambda length: refs("qwen_vl", length)),
        "envelope": (parse_item, fills),
        "features body": (parse_features, fills),
    }
    found: list[Series] = []
    for name, (reader, texts) in readers.items():
        work = lambda text, reader=reader: refuse(reader, text)  # noqa: E731
        found.append((name, [(length, worst(work, texts(length))) for length in lengths]))
    found.append(("json.loads", [(length, worst(baseline, fills(length))) for length in lengths]))
    return found


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
