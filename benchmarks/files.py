"""Files of lines: whole commands in processes of their own, on one processor and on several.

    python -m benchmarks.files FOLDER       # against the package of another version, in FOLDER
    python -m benchmarks.files --parquet    # the same rows as Parquet, against JSON lines
    python -m benchmarks.files --processes 2 --megabytes 1000    # against one process

A folder with the version of 25 November: `git archive 0a6e836 mmraw_protocol | tar x -C FOLDER`.

The rate of a form is that of its rows: bytes of them as JSON lines, whatever the file's size, per
second of processor time. So the ratio of two forms of the same rows is that of their times.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import material
from .growth import Series
from .measure import Timing, processes, python, timed_process

_OURS = "import sys; from mmraw_protocol.cli import main; sys.exit(main(sys.argv[1:]))"
_VALIDATE = (
    "import sys, pathlib; from benchmarks.baseline import validate_lines;"
    " print(validate_lines(pathlib.Path(sys.argv[1])))"
)
_CONVERT = (
    "import sys, pathlib; from benchmarks.baseline import upgrade_lines;"
    " print(upgrade_lines(*map(pathlib.Path, sys.argv[1:])))"
)
#: Distinct lines of a file; a larger one repeats them at a distance that no memory spans.
_DISTINCT = 200_000
#: Processes that share a file in the chart.
PROCESSES = (1, 2, 3, 4)


def write_lines(path: Path, dialect: str, count: int, least_bytes: int = 0) -> int:
    """Lines of an object with two numbers and a ref each; how many bytes that is."""
    lines = [
        json.dumps({"id": number, "reward": number % 7 / 7, "ref": text}) + "\n"
        for number, text in enumerate(material.texts(count, dialect))
    ]
    data = "".join(lines).encode()
    with path.open("wb") as file:
        while file.tell() < max(least_bytes, 1):
            file.write(data)
        return file.tell()


def write_conversations(path: Path, count: int) -> None:
    """Lines of a conversation each: six messages of some hundred words, three with a ref."""
    texts = iter(material.texts(3 * count, "v3"))
    words = "The page lists results, of which the third has the price; scroll down.\n" * 8
    with path.open("w") as file:
        for number in range(count):
            messages: list[dict[str, Any]] = []
            for _ in range(3):
                image = {"type": "image_url", "image_url": {"url": next(texts)}}
                content = [image, {"type": "text", "text": words}]
                messages += ({"role": "user", "content": content},
                             {"role": "assistant", "content": words})  # fmt: skip
            file.write(json.dumps({"id": number, "messages": messages}) + "\n")


def against_the_standard_library(rounds: int, count: int) -> Iterator[tuple[str, Timing]]:
    """Both sides' processor time for `count` lines, start and end of the process included."""
    with tempfile.TemporaryDirectory() as folder:
        old, new, out = (Path(folder, name) for name in ("v2.jsonl", "v3.jsonl", "out.jsonl"))
        write_lines(old, "v2", count)
        write_lines(new, "v3", count)
        validate = {
            "ours": [*python(_OURS), "validate", str(new), "--json"],
            "theirs": [*python(_VALIDATE), str(new)],
        }
        yield "validate", processes(validate, rounds)
        convert = {
            "ours": [*python(_OURS), "convert", str(old), "--out", str(out), "--json"],
            "theirs": [*python(_CONVERT), str(old), str(out)],
        }
        yield "convert", processes(convert, rounds)


def against_another_version(rounds: int, count: int, folder: str) -> Iterator[tuple[str, float]]:
    """The commands' speed as a multiple of another version's, by processor time."""
    with tempfile.TemporaryDirectory() as place:
        old, new, out = (str(Path(place, name)) for name in ("v2.jsonl", "v3.jsonl", "out.jsonl"))
        write_lines(Path(old), "v2", count)
        write_lines(Path(new), "v3", count)
        talks = str(Path(place, "conversations.jsonl"))
        write_conversations(Path(talks), max(count // 50, 1))
        calls = {
            "validate": ["validate", new, "--json"],
            "convert": ["convert", old, "--out", out, "--json"],
            "validate conversations": ["validate", talks, "--json"],
        }
        for command, call in calls.items():
            other = f"import sys; sys.path.insert(0, {os.path.abspath(folder)!r}); {_OURS}"
            both = {"ours": [*python(_OURS), *call], "theirs": [*python(other), *call]}
            timing = processes(both, rounds)
            yield command, timing.ratio("theirs", "ours")


def against_json_lines(rounds: int, count: int) -> Iterator[tuple[str, Timing]]:
    """Parquet as pyarrow writes it by default, in row groups of 10 MB, and the same rows as lines.

    Besides the column of refs, the rows have a column of numbers and one of other numbers.
    """
    with tempfile.TemporaryDirectory() as place:
        for command, dialect in (("validate", "v3"), ("convert", "v2")):
            lines, rows = Path(place, f"{dialect}.jsonl"), Path(place, f"{dialect}.parquet")
            write_lines(lines, dialect, count)
            write_rows(lines, rows)
            out = ["--out", str(Path(place, "out"))] if command == "convert" else []
            calls = {
                "lines": [*python(_OURS), command, str(lines), "--json", *out],
                "parquet": [*python(_OURS), command, str(rows), "--json", *out],
            }
            yield command, processes(calls, rounds)


def write_rows(lines: Path, path: Path) -> None:
    """The rows of a file of lines as Parquet."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    with lines.open("rb") as file:
        table = arrow.Table.from_pylist([json.loads(line) for line in file])
    parquet.write_table(table, path, row_group_size=20_000)


class Shared:
    """The times of a command with some number of processes, in each round.

    Attributes:
        clock: Seconds by the clock.
        processor: Seconds of all processes together.
    """

    def __init__(self) -> None:
        self.clock: defaultdict[int, list[float]] = defaultdict(list)
        self.processor: defaultdict[int, list[float]] = defaultdict(list)


def shared(rounds: int, megabytes: float, counts: Sequence[int] = ()) -> dict[str, Shared]:
    """validate and convert on some numbers of processes (one to four), taking turns."""
    results = {"validate": Shared(), "convert": Shared()}
    with tempfile.TemporaryDirectory() as folder:
        for command, result in results.items():
            path, out = Path(folder, f"{command}.jsonl"), Path(folder, "out.jsonl")
            size = int(megabytes * 1e6)
            count = min(_DISTINCT, max(size // 400, 10))
            write_lines(path, "v2" if command == "convert" else "v3", count, size)
            call = [*python(_OURS), command, str(path), "--json"]
            call += ["--out", str(out)] if command == "convert" else []
            for _ in range(rounds):
                for number in counts or PROCESSES:
                    clock, usage = timed_process([*call, "--processes", str(number)])
                    result.clock[number].append(clock)
                    result.processor[number].append(usage.ru_utime + usage.ru_stime)
            path.unlink()
    return results


def series(results: dict[str, Shared]) -> list[Series]:
    """The best round's seconds by the clock: other work on the machine only adds to them."""
    found: list[Series] = []
    for command, result in results.items():
        best = {number: min(samples) for number, samples in result.clock.items()}
        found.append((command, [(number, best[number]) for number in PROCESSES]))
    return found


def main() -> None:
    """Prints ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="with the package of the other version")
    parser.add_argument("--parquet", action="store_true", help="Parquet against JSON lines")
    parser.add_argument("--processes", type=int, metavar="N", help="N processes against one")
    parser.add_argument("--megabytes", type=float, default=1000, help="of the file of --processes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=300_000)
    args = parser.parse_args()
    if args.folder:
        for command, ratio in against_another_version(args.rounds, args.lines, args.folder):
            print(f"{command:22} {ratio:.2f} x as fast", flush=True)
    if args.parquet:
        for command, timing in against_json_lines(args.rounds, args.lines):
            times = ", ".join(f"{name} {timing.median(name):.2f} s" for name in timing.samples)
            ratio = timing.ratio("lines", "parquet")
            print(f"{command:9} {ratio:.2f} x the rate of lines ({times})", flush=True)
    if args.processes:
        results = shared(args.rounds, args.megabytes, (1, args.processes))
        for command, result in results.items():
            clock = Timing({str(number): times for number, times in result.clock.items()})
            work = Timing({str(n): times for n, times in result.processor.items()})
            many = str(args.processes)
            print(f"{command:9} {clock.ratio('1', many):.2f} x as fast by the clock "
                  f"({clock.median('1'):.2f} s, {clock.median(many):.2f} s; processor time "
                  f"{work.median('1'):.2f} s, {work.median(many):.2f} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
