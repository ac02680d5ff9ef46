"""`mmraw conformance`: answer the conformance protocol, or test another implementation with it."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..conformance import serve
from ..conformance.answers import FAULTS, REASONS, Outcome
from ..conformance.baseline import Comparison, compare, read_baseline, write_baseline
from ..conformance.junit import write_junit
from ..conformance.page import write_page
from ..conformance.runner import Options, Report, StartError
from ..conformance.runner import run as run_vectors
from ..conformance.sections import by_section, sorted_by_size
from ..conformance.vectors import Vector, read_vectors
from ..wire.errors import MMRawError
from .output import print_json, print_table, progress_bar

EXAMPLE = "mmraw conformance run --junit report.xml -- node implementation.js"

#: The command gave no right answer to `start`.
CANNOT_START = 3

#: Failures that are printed one by one; the summary counts them all.
MOST_PRINTED = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    text = "answer requests on standard input until stop"
    parts.add_parser("serve", help=text, description=text)
    text = "ask COMMAND every vector of the protocol"
    runner = parts.add_parser(
        "run",
        help=text,
        description=text,
        epilog="exit codes: 0 all passed, skipped or known; 1 something failed or errored, the run "
        "shows a fault, or the baseline is stale; 2 called wrongly; 3 COMMAND cannot be started",
    )
    add_run_arguments(runner)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `run`."""
    parser.add_argument("command_line", nargs="+", metavar="COMMAND", help="after --, as it is run")
    # Suppressed, since a default here would undo `mmraw conformance --json run`.
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for machines"
    )
    parser.add_argument(
        "--filter",
        action="append",
        metavar="GLOB",
        help="only vectors whose id, op or op:id fits; may be given more than once",
    )
    parser.add_argument(
        "--show",
        metavar="ID",
        help="ask this vector alone, and print its input, what is expected and what was got",
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer (10)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at the same time (1)")
    parser.add_argument("--strict-codes", action="store_true", help="error codes must be the same")
    parser.add_argument("--no-skips", action="store_true", help="what is skipped counts as failed")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="expected failures")
    parser.add_argument(
        "--write-baseline",
        type=Path,
        metavar="FILE",
        help="write the failures of this run; new entries need --reason and --link",
    )
    parser.add_argument("--reason", default="", help="why the new entries are expected to fail")
    parser.add_argument(
        "--link", default="", metavar="URL", help="where that is decided, or will be mended"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report for people")


def run(args: argparse.Namespace) -> int:
    """Serves, or runs and reports."""
    if args.part == "serve":
        return serve(sys.stdin.buffer, sys.stdout.buffer)
    # This form also rejects NaN, which is neither more nor less than a number.
    if not 0 < args.timeout < float("inf") or args.jobs < 1:
        raise MMRawError("invalid_value", "expected positive numbers in --timeout and --jobs")
    everything = list(read_vectors())
    vectors = [vector for vector in everything if _is_wanted(vector, args.filter)]
    if args.show:
        vectors = [vector for vector in everything if vector.id == args.show]
    if not vectors:
        wanted = "the id of a vector in --show" if args.show else "a --filter that fits a vector"
        message = f"expected {wanted}, got another"
        raise MMRawError("invalid_value", message)
    baseline = read_baseline(args.baseline) if args.baseline else {}
    options = Options(
        timeout=args.timeout,
        jobs=args.jobs,
        strict_codes=args.strict_codes,
        keep_answers=bool(args.show),
    )
    try:
        report = _run(args.command_line, vectors, options)
    except StartError as error:
        return _cannot_start(error, as_json=args.json)
    asked = {vector.id: vector for vector in vectors}
    if args.show:
        return _show(asked[args.show], report.outcomes[0], as_json=args.json)
    comparison = compare(report.outcomes, baseline, (vector.id for vector in everything))
    passed = _is_passed(report, comparison, no_skips=args.no_skips)
    if args.write_baseline:
        write_baseline(args.write_baseline, report.outcomes, args.reason, args.link)
    if args.junit:
        write_junit(args.junit, report, comparison)
    if args.html:
        write_page(args.html, report, comparison, vectors, passed)
    if args.json:
        print_json(summary(report, comparison, passed, asked))
    else:
        _print(report, comparison, passed, asked)
    return 0 if passed else 1


def _is_wanted(vector: Vector, patterns: list[str] | None) -> bool:
    names = (vector.id, vector.op, f"{vector.op}:{vector.id}")
    return not patterns or any(
        fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns
    )


def _run(command: list[str], vectors: list[Vector], options: Options) -> Report:
    done = 0
    with progress_bar("conformance", len(vectors)) as progress:

        def told(_: Outcome) -> None:
            nonlocal done
            done += 1
            progress(done)

        return run_vectors(command, vectors, options, told)


def _is_passed(report: Report, comparison: Comparison, *, no_skips: bool) -> bool:
    counts = report.counts
    if counts["passed"] + len(comparison.known) == 0 or (no_skips and counts["skipped"]):
        return False
    return not (comparison.new or comparison.stale or report.faults)


def summary(
    report: Report, comparison: Comparison, passed: bool, vectors: Mapping[str, Vector]
) -> dict[str, Any]:
    """The run as JSON; what passed is counted only, and failures have the simplest vector first."""
    counts = Counter((found.op, found.status) for found in report.outcomes)
    by_op: dict[str, dict[str, int]] = {}
    for (op, status), count in sorted(counts.items()):
        by_op.setdefault(op, {})[status] = count
    return {
        "passed": passed,
        "implementation": report.implementation,
        "seconds": round(report.seconds, 3),
        "counts": report.counts,
        "by_op": by_op,
        "faults": [
            {"kind": fault.kind, "detail": fault.detail, "times": fault.times}
            for fault in report.faults
        ],
        "baseline": {"known": len(comparison.known), "stale": comparison.stale},
        "by_section": [group._asdict() for group in by_section(comparison.new, vectors)],
        "failures": [
            msgspec.to_builtins(found) for found in sorted_by_size(comparison.new, vectors)
        ],
    }


def _print(
    report: Report, comparison: Comparison, passed: bool, vectors: Mapping[str, Vector]
) -> None:
    for found in sorted_by_size(comparison.new, vectors)[:MOST_PRINTED]:
        print(f"{found.id} ({found.op}): {found.status}: {found.reason}: {found.detail}")
    if len(comparison.new) > MOST_PRINTED:
        print(f"and {len(comparison.new) - MOST_PRINTED} more")
    seen = {found.reason: REASONS[found.status][found.reason] for found in comparison.new}
    for reason, meaning in sorted(seen.items()):
        print(f"  {reason}: {meaning}")
    if comparison.new:
        print_table(
            ("spec section", "reason", "failures", "simplest vector (--show)"),
            by_section(comparison.new, vectors),
        )
    for fault in report.faults:
        print(f"run: {fault.kind} ({fault.times}x): {FAULTS[fault.kind]}; first {fault.detail}")
    for name, why in comparison.stale.items():
        print(f"baseline is stale: {name}: {why}")
    counts = Counter((found.op, found.status) for found in report.outcomes)
    statuses = tuple(report.counts)
    rows = [
        (op, *(counts[op, status] for status in statuses))
        for op in sorted({found.op for found in report.outcomes})
    ]
    print_table(("op", *statuses), [*rows, ("all", *report.counts.values())])
    about = report.implementation
    known = f", {len(comparison.known)} expected failures" if comparison.known else ""
    print(
        f"{about['name']} {about['version']} ({about['language']}): "
        f"{'passed' if passed else 'not passed'}{known}, in {report.seconds:.1f} s"
    )


def _show(vector: Vector, found: Outcome, *, as_json: bool) -> int:
    """One vector in full: what was asked, what is expected, and what came."""
    wanted = {"ok": False, "error": vector.error}
    if vector.error is None:
        wanted = {"ok": True, "result": vector.result}
    parts: dict[str, Any] = {
        "id": vector.id,
        "op": vector.op,
        "section": vector.spec,
        "note": vector.note,
        "status": found.status,
        "reason": found.reason,
        "detail": found.detail,
        "input": vector.input,
        "expected": wanted,
        "got": found.answer,
    }
    if as_json:
        print_json(parts)
    else:
        told = ": ".join(filter(None, (found.status, found.reason, found.detail)))
        print(f"{vector.id} ({vector.op}; spec/README.md, section {vector.spec}): {told}")
        if vector.note:
            print(vector.note)
        for name in ("input", "expected", "got"):
            print(f"{name}: {json.dumps(parts[name], indent=2)}")
    return 0 if found.status == "passed" else 1


def _cannot_start(failed: StartError, *, as_json: bool) -> int:
    if as_json:
        told = {"reason": failed.reason, "detail": failed.detail, "stderr": failed.stderr}
        print_json({"passed": False, "cannot_start": told})
    else:
        print(f"mmraw: cannot be started: {failed.reason}: {failed.detail}", file=sys.stderr)
        if failed.stderr.strip():
            print(failed.stderr.strip(), file=sys.stderr)
    return CANNOT_START
