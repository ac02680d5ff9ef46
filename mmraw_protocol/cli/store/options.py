"""Options that the sub-commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from ...conversation import environment
from ...files.names import Named, expanded
from ...stores import AssetStore, open_store
from ...stores.maintenance import Problem
from ...stores.maintenance.fsck import DamagedObject, ObjectName
from ...wire.errors import MMRawError
from ..options import add_modes, add_quiet, modes_of

#: Lines of a kind that are printed one by one; the summary counts them all.
MOST_PRINTED = 100

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def files_in(arguments: Iterable[str]) -> list[str]:
    """The rollout files that arguments name; one that names none is kept, and cannot be read."""
    return [file.path for one in arguments for file in expanded([one]) or [Named(one)]]


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store."""
    parser.add_argument(
        "--store",
        help=f"images directory or store URL (default: {environment.IMAGE_DIR}, "
        f"or assets/images below {environment.RUN_DIR})",
    )


def add_runs(parser: argparse.ArgumentParser) -> None:
    """--run-id, --runs, and permissions of what a command may make."""
    add_modes(parser)
    parser.add_argument("--run-id", help="the run whose images these are; others are not looked at")
    parser.add_argument(
        "--runs", help="the place is a root with the runs of this list, for example exp41,exp42"
    )


def add_work(parser: argparse.ArgumentParser, *, state: bool = True) -> None:
    """--workers, --state, --quiet, --report."""
    parser.add_argument(
        "--workers", type=_count, default=8, help="objects at once (default: %(default)s)"
    )
    if state:
        parser.add_argument(
            "--state",
            type=Path,
            help="a file that remembers what is done; an interrupted command goes on from there",
        )
    add_quiet(parser)


def store_at(place: str | None, args: argparse.Namespace, *, create: bool = False) -> AssetStore:
    """The store at a place, or at the one that the environment names.

    Raises:
        MMRawError: store_invalid, store_permission, invalid_run_id.
    """
    where = place or environment.image_dir()
    if where is None:
        message = f"expected a store in --store or {environment.IMAGE_DIR}, got none"
        raise MMRawError("store_invalid", message)
    runs = None if args.runs is None else [name for name in args.runs.split(",") if name]
    return open_store(where, run_id=args.run_id, run_ids=runs, create=create, **modes_of(args))


def duration(text: str) -> float:
    """Seconds of a text like 90s, 30m, 12h, 7d, or 0."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("expected a duration like 90s, 30m, 12h or 7d")
    return int(match.group(1)) * _SECONDS[match.group(2)]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError("expected a number from 1 to 256")
    return int(text)


def print_some(title: str, lines: Iterable[str]) -> None:
    """A heading and its lines; many are cut and counted."""
    found = list(lines)
    if not found:
        return
    print(f"{title}: {len(found)}")
    for line in found[:MOST_PRINTED]:
        print(f"  {line}")
    if len(found) > MOST_PRINTED:
        print(f"  and {len(found) - MOST_PRINTED} more (--json lists all)")


def print_problems(problems: list[Problem]) -> None:
    """Prints what could not be read."""
    print_some(
        "not usable",
        (
            f"{problem.file}{'' if problem.line is None else f':{problem.line}'}: "
            f"{problem.code}: {problem.message}"
            for problem in problems
        ),
    )


def object_line(name: ObjectName | DamagedObject) -> str:
    """An object for people."""
    text = name.raw_image_id if name.run_id is None else f"{name.run_id}/{name.raw_image_id}"
    return f"{text}: {name.code}" if isinstance(name, DamagedObject) else text
