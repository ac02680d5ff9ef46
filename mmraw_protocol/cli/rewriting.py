"""Shared code of `convert`, `offload` and `inline`: read files, write files, report."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from ..conversation import environment
from ..files.facts import Facts
from ..files.job import Job, Report
from ..files.jobs import StoreSpec
from ..files.names import Named
from ..files.noting import NotingJob
from ..files.output import whole_output
from ..files.prose import rewrite_prose
from ..files.remote import is_url, state_of
from ..files.rewriting import rewrite
from ..files.tables import rewrite_table
from ..wire.compression import compressed
from ..wire.errors import ERRORS, MMRawError
from .engine import add_engine, rewritten_on_ray
from .inputs import opened
from .options import add_processes, add_quiet, modes_of
from .output import error_dict, place_of, print_json, size_of, write_report
from .seen import DATA_IMAGES, Seen, add_allow_empty, files_of, is_mere_text


def _place(text: str) -> Path | str:
    return text if is_url(text) else Path(text)


def add_rewriting(parser: argparse.ArgumentParser) -> None:
    """Files, --out, --in-place, --dry-run, --on-error, --processes."""
    parser.add_argument(
        "files", nargs="*", default=["-"], help="files, folders, patterns, or - for standard input"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--out",
        type=_place,
        help="the output: a file, a FIFO, - for standard output; for a folder, a folder",
    )
    where.add_argument("-i", "--in-place", action="store_true", help="replace each file")
    where.add_argument("-n", "--dry-run", action="store_true", help="report only; write nothing")
    parser.add_argument(
        "--on-error",
        choices=("fail", "keep"),
        help="a refused string: write nothing (default), or keep it as it is (always with Ray)",
    )
    add_text(parser)
    add_allow_empty(parser)
    add_processes(parser)
    add_engine(parser, writes=True)
    add_quiet(parser, facts=True)
    parser.set_defaults(wrong=parser.error)


def add_text(parser: argparse.ArgumentParser) -> None:
    """--text."""
    parser.add_argument(
        "--text",
        action="store_true",
        help="the input is a log or other text: take the refs in it, whatever is around them",
    )


def store_place(args: argparse.Namespace, *, required: bool, **options: Any) -> StoreSpec | None:
    """The store that the options or the environment name, for every process to open.

    Raises:
        MMRawError: store_invalid.
    """
    place = args.store or environment.image_dir()
    if place is None:
        if required:
            message = f"expected a store in --store or {environment.IMAGE_DIR}, got none"
            raise MMRawError("store_invalid", message)
        return None
    return StoreSpec(str(place), args.run_id, {**modes_of(args), **options})


#: Fields of a refusal in a report.
_REFUSAL = ("line", "byte", "code", "path", "message", "column")
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def run_rewriting(
    args: argparse.Namespace,
    job: Job,
    done: str,
    *,
    images: bool = False,
    others: Mapping[bytes, str] | None = None,
) -> int:
    """Rewrites the files one after the other and prints a report.

    Args:
        args: What `add_rewriting` asks for.
        job: What to do.
        done: The word for a string that was changed, for example `converted`.
        images: Whether the job notes images.
        others: What the job passes over though it is of its kind, by how it begins in JSON:
            the work was done before.

    Returns:
        0, or 1 where a string or a document was refused, or nothing was found to work on.
    """
    if args.engine == "ray":
        row, found = rewritten_on_ray(args, job, done)
        return _reported(args, [row], done, found)
    # Files that describe a saved data set are copied into the other folder.
    files = files_of(args, descriptions=args.out is not None)
    _check(args, files)
    rows: list[dict[str, Any]] = []
    facts = Facts()
    noting = job if args.report is None else NotingJob(job)
    left = [file for file in files if not _is_done(args, file)]
    if len(left) < len(files):
        number = len(files) - len(left)
        # Whether with the same options is not known.
        note = f"{number} files were written before; remove them to write them again"
        print(f"mmraw: {note}", file=sys.stderr)
    for file in left:
        target = _target(args, file)
        if file.within is not None and isinstance(target, Path):
            target.parent.mkdir(parents=True, exist_ok=True)
        do = partial(_rewrite_file, args, file, noting, done, images, others or {})
        row, found = do(is_text=args.text)
        if "error" in row and is_mere_text(file, row["error"]["code"]):
            row, found = do(is_text=True)
        rows.append(row)
        facts.merge(found)
        if "error" in row and file.within is None:
            break
    return _reported(args, rows, done, facts, is_rest=len(left) < len(files))


def _reported(
    args: argparse.Namespace,
    rows: list[dict[str, Any]],
    done: str,
    facts: Facts,
    *,
    is_rest: bool = False,
) -> int:
    """Prints and writes the report; see `run_rewriting`. `is_rest`: there were files before."""
    to_stdout = not (args.in_place or args.dry_run) and _is_stdout(args.out)
    report: dict[str, Any] = {"files": rows}
    if args.report is not None:
        report["found"] = facts.report()
    write_report(report, args.report)
    _print(args, report, done, sys.stderr if to_stdout else sys.stdout)
    is_empty = all("seen" in row for row in rows) and not is_rest and not args.allow_empty
    return 1 if is_empty or any(row["refused"] or "error" in row for row in rows) else 0


def _check(args: argparse.Namespace, files: list[Named]) -> None:
    names = [file.path for file in files]
    is_own = args.in_place or args.dry_run
    into_folder = not _is_stdout(args.out) and all(file.within is not None for file in files)
    if (len(files) > 1 or any(file.within for file in files)) and not (is_own or into_folder):
        args.wrong("several files need --in-place or --dry-run, and a folder a folder as --out")
    if into_folder and any(_is_within(args.out, file) for file in files):
        args.wrong("the folder of the output lies in that of the input")
    if args.in_place and "-" in names:
        args.wrong("standard input cannot be replaced in place")
    if args.in_place and any(os.path.exists(n) and not os.path.isfile(n) for n in names):
        args.wrong("only regular files can be replaced in place")


def _is_within(out: Path | str, file: Named) -> bool:
    if file.within is None:
        return False
    if isinstance(out, str) or is_url(file.path):
        folder = file.path.removesuffix(file.within.as_posix())
        return f"{str(out).rstrip('/')}/".startswith(folder)
    # The file itself may be a link to elsewhere.
    folder = Path(file.path).parents[len(file.within.parts) - 1]
    return out.resolve().is_relative_to(folder.resolve())


def _is_done(args: argparse.Namespace, file: Named) -> bool:
    """True if an earlier run wrote a file of a folder: a file that is there is whole."""
    target = _target(args, file)
    if file.within is None or args.in_place or not isinstance(target, (Path, str)):
        return False
    written, read = _modified(target), _modified(file.path)
    return written is not None and read is not None and written >= read


def _modified(place: Path | str) -> float | None:
    """The time at which a file or an object was written; None if there is none."""
    if is_url(str(place)):
        state = state_of(str(place))
        return None if state is None else state.modified
    with contextlib.suppress(OSError):
        return os.stat(place).st_mtime
    return None


def _rewrite_file(
    args: argparse.Namespace,
    file: Named,
    job: Job,
    done: str,
    has_images: bool,
    others: Mapping[bytes, str],
    *,
    is_text: bool,
) -> tuple[dict[str, Any], Facts]:
    """Rewrites one file; its row in the report, and what was noted of its images."""
    name = file.path
    report = Report()
    failed: MMRawError | None = None
    written = False
    notes: list[str] = []
    seen: str | None = None
    started = time.perf_counter()
    try:
        with (
            opened(name, args.command, quiet=args.quiet) as source,
            whole_output(_target(args, file), source.file) as output,
        ):
            notes = output.notes
            tee = Seen(source.read, others or DATA_IMAGES)
            write, finish = compressed(output.write, source.compression)
            do = partial(rewrite_prose if is_text else rewrite, tee.read, plain=source.plain)
            if source.table is not None:
                do = partial(rewrite_table, source.table, text=args.text)
            report = do(
                write,
                job,
                # A dry run reads everything, so that all is counted.
                on_error="keep" if args.dry_run else args.on_error or "fail",
                processes=args.processes,
            )
            if not _has_looked(report) and not (others and tee.found):
                seen = tee.text("images" if has_images else "refs")
                if source.table is not None:
                    seen = f"columns {', '.join(source.table.schema.names)}"
            # A folder's files without a ref or image go along.
            is_along = file.within is not None and args.out is not None
            if report.complete and (seen is None or args.allow_empty or is_along):
                finish()
                source.check_unchanged()
                output.commit()
                written = not args.dry_run
    except MMRawError as error:
        failed = error
    row: dict[str, Any] = {
        "file": name,
        "written": written,
        done: report.changed,
        "unchanged": report.unchanged,
        "refused": sum(report.refused.values()),
        "refused_by_code": report.refused,
        "refusals": named(report),
        "bytes_read": report.bytes_read,
        "bytes_written": report.bytes_written,
        "seconds": round(time.perf_counter() - started, 3),
    }
    facts = report.facts or Facts()
    if has_images:
        row |= facts.moved.report()
        row["bytes_saved"] = report.bytes_read - report.bytes_written
    row["notes"] = notes
    if seen is not None and failed is None:
        row["seen"] = seen
    if failed is not None:
        row["error"] = error_dict(failed)
    return row, facts


def _has_looked(report: Report) -> bool:
    """True if there was a string to work on."""
    return bool(report.changed or report.unchanged or report.refused)


def _target(args: argparse.Namespace, file: Named) -> Path | str | IO[bytes] | None:
    if args.dry_run:
        return None
    if args.in_place:
        return _place(file.path)
    if _is_stdout(args.out):
        return sys.stdout.buffer
    if file.within is None:
        return cast("Path | str", args.out)
    if isinstance(args.out, str):
        return f"{args.out.rstrip('/')}/{file.within.as_posix()}"
    return cast(Path, args.out / file.within)


def _is_stdout(out: Path | str | None) -> bool:
    return out is None or str(out) in _STDOUT


def _print(args: argparse.Namespace, report: dict[str, Any], done: str, to: IO[str]) -> None:
    if args.json:
        print_json(report, to)
        return
    for row in report["files"]:
        for one in row["refusals"]:
            print_refusal(row["file"], one, to)
        print(f"{row['file']}: {_summary(args, row, done)}", file=to)
        if "seen" in row:
            print(f"{row['file']}: found nothing to work on: {row['seen']}", file=to)
        for code, count in sorted(row["refused_by_code"].items()):
            print(f"  {count} x {code}: {ERRORS[code].remedy}", file=to)
        for note in row["notes"]:
            print(f"mmraw: {row['file']}: {note}", file=sys.stderr)
        if error := row.get("error"):
            print(f"mmraw: {row['file']}: {error['code']}: {error['message']}", file=sys.stderr)
            print(f"       {ERRORS[error['code']].remedy}", file=sys.stderr)


def named(report: Report) -> list[dict[str, Any]]:
    """The first refusals for a report."""
    return [{of: getattr(one, of) for of in _REFUSAL} for one in report.refusals]


def print_refusal(file: str, one: dict[str, Any], to: IO[str]) -> None:
    """The line of a refusal."""
    path = "" if one["path"] == "$" else f" at {one['path']}"
    print(f"{place_of(one, file)}: refused: {one['code']}{path}: {one['message']}", file=to)


def _summary(args: argparse.Namespace, row: dict[str, Any], done: str) -> str:
    parts = [f"{row[done]} {done}", f"{row['unchanged']} unchanged", f"{row['refused']} refused"]
    if "images" in row:
        parts.append(f"{row['images']} images")
    if "duplicates" in row:
        parts[-1] += f", {row['duplicates']} of them duplicates"
        saved = row["bytes_saved"]
        if not args.dry_run:
            parts.append(f"{size_of(abs(saved))} {'saved' if saved >= 0 else 'added'}")
    if "bytes_read" in row:
        rate = row["bytes_read"] / 1e6 / max(row["seconds"], 1e-3)
        parts.append(f"{size_of(row['bytes_read'])} in {row['seconds']:.1f} s, {rate:.0f} MB/s")
    else:
        parts.append(f"{row['rows']} rows in {row['parts']} parts, {row['seconds']:.1f} s")
    if args.dry_run:
        parts.append("dry run")
    elif not row["written"]:
        parts.append("nothing written")
    return "; ".join(parts)
