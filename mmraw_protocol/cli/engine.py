"""`--engine ray`: files, folders and URLs by Ray, here or on the cluster of RAY_ADDRESS."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from ..conversation import environment
from ..files.job import Job
from ..files.jobs import StoreSpec
from ..wire.errors import ERRORS, MMRawError
from ..wire.extras import extra_module
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..integrations.ray import Summary
    from ..integrations.ray.lines import Source

#: Bytes of a block: what a task holds at once.
_BLOCK_BYTES = 32 << 20
_PARQUET = b"PAR1"
#: A path object has taken one of a URL's slashes.
_URL = re.compile(r"^(s3|gs|az|abfs):/+")


def add_engine(parser: argparse.ArgumentParser, *, writes: bool = False) -> None:
    """--engine, --keep, and --refused for commands that write."""
    parser.add_argument(
        "--engine",
        choices=("files", "ray"),
        default="files",
        help="ray: JSON lines and Parquet of any number of files, folders and URLs on Ray, "
        "at RAY_ADDRESS or started here",
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="with Ray: a column of Parquet that tells a row; it stands beside each refusal",
    )
    if writes:
        parser.add_argument(
            "--refused",
            metavar="FOLDER",
            help="with Ray: where refusals go as Parquet (default: --out with -refused behind it)",
        )


def validate_on_ray(args: argparse.Namespace) -> int:
    """`mmraw validate --engine ray`.

    Raises:
        MMRawError: source_unavailable, unsupported_option.
    """
    if any((args.store, args.run_id, args.runs, args.config, args.verify, args.follow)):
        message = "expected no --store, --run-id, --runs, --config, --verify or --follow with Ray"
        raise MMRawError("unsupported_option", message)
    if args.report or args.format != "text":
        raise MMRawError("unsupported_option", "expected neither --report nor --format with Ray")
    with _started() as ray:
        found = ray.Summary()
        for ds, options in _datasets(args.files, args.keep):
            found.merge(ray.summary(ray.validate(ds, **options)))
    return _tell(args, found, "checked")


def fsck_on_ray(args: argparse.Namespace) -> int:
    """`mmraw store fsck --engine ray`: the images that files name; objects are not listed.

    Raises:
        MMRawError: store_invalid, unsupported_option, source_unavailable.
    """
    place = args.store or environment.image_dir()
    if place is None or not args.files or args.runs:
        message = "expected rollout files, a store, and no --runs with Ray"
        raise MMRawError("unsupported_option", message)
    store = StoreSpec(str(place), args.run_id, {"create": False})
    with _started() as ray:
        found = ray.Summary()
        for ds, options in _datasets(args.files, args.keep):
            found.merge(ray.summary(ray.fsck(ds, store, **options)))
    return _tell(args, found, "checked")


def rewrite_on_ray(args: argparse.Namespace, job: Job) -> int:
    """`mmraw convert`, `offload`, `inline` with `--engine ray`: a folder of parts in --out.

    Raises:
        MMRawError: unsupported_option, source_unavailable.
    """
    if args.in_place or (args.out is None and not args.dry_run):
        raise MMRawError("unsupported_option", "expected a folder in --out with Ray")
    if args.report:
        raise MMRawError("unsupported_option", "expected no --report with Ray")
    with _started() as ray:
        datasets = _datasets(args.files, args.keep)
        if len(datasets) > 1:
            message = "expected JSON lines or Parquet, got both; write each into its own folder"
            raise MMRawError("unsupported_option", message)
        ds, options = datasets[0]
        work = ray.Rewriting(ds, job, **options, text=args.text)
        if args.dry_run:
            found = ray.summary(work.results)
        else:
            out = _URL.sub(r"\1://", str(args.out))
            refused = args.refused or f"{out.rstrip('/')}-refused"
            found = work.write(out, refused=refused, **_form(args.files, options))
    return _tell(args, found, "rewritten")


@contextmanager
def _started() -> Generator[Any, None, None]:
    """Ray's side of this package, with Ray running.

    Raises:
        MMRawError: missing_dependency.
    """
    engine = extra_module("ray", "ray", "for --engine ray")
    runs = engine.is_initialized()
    if not runs:
        here = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        engine.init(log_to_driver=False, logging_level="ERROR", **here)
    try:
        context = import_module("ray.data").DataContext.get_current()
        context.execution_options.preserve_order = True
        context.target_max_block_size = _BLOCK_BYTES
        context.enable_progress_bars = sys.stderr.isatty()
        context.print_on_execution_start = False
        yield import_module("mmraw_protocol.integrations.ray")
    finally:
        if not runs:
            engine.shutdown()


def _datasets(files: Sequence[str], keep: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    """The Datasets of JSON lines and of Parquet among the files, and their options.

    Raises:
        MMRawError: source_unavailable, unsupported_option.
    """
    if "-" in files:
        message = "expected files, folders or URLs with Ray, got standard input"
        raise MMRawError("unsupported_option", message)
    lines = import_module("mmraw_protocol.integrations.ray.lines")
    sources: list[Source] = lines.sources_of(files)
    tables = [one.path for one in sources if one.head == _PARQUET]
    texts = [one for one in sources if one.head != _PARQUET]
    found: list[tuple[Any, dict[str, Any]]] = []
    if texts:
        found.append((lines.lines_of(texts), {"keep": ("file", "start"), "documents": ("line",)}))
    if tables:
        ds = import_module("ray.data").read_parquet(tables)
        found.append((ds, {"keep": tuple(keep), "documents": ()}))
    return found


def _form(files: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """The form of the output: that of the input, compressed as its first file is."""
    if not options["documents"]:
        return {"form": "parquet"}
    lines = import_module("mmraw_protocol.integrations.ray.lines")
    first: Source = lines.sources_of(files)[0]
    return {"form": "lines", "compression": lines.compression_of(first.head)}


def _tell(args: argparse.Namespace, found: Summary, done: str) -> int:
    """Prints the summary; 1 where something was refused, or nothing was found."""
    is_empty = not found.counts and not found.refused
    if args.json:
        print_json(msgspec.to_builtins(found))
    else:
        for one in found.refusals:
            print(f"{_place(one)}: refused: {one['code']}: {one['message']}")
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.counts.items()))
        print(f"{done}: {counts or 'nothing'}; refused {sum(found.refused.values())}")
        if found.refused:
            print_table(("code", "count"), Counter(found.refused).most_common())
            for code in sorted(found.refused):
                print(f"  {code}: {ERRORS[code].remedy}")
    return 1 if found.refused or (is_empty and not args.allow_empty) else 0


def _place(line: dict[str, Any]) -> str:
    """Returns where a rejection is: file and byte of a line, or the columns that name the row."""
    names = [name for name in line if name not in _RESULTS]
    if "file" in names and "start" in names:
        within = f", its byte {line['byte']}" if line["byte"] else ""
        return f"{line['file']}, line at byte {line['start']}{within}, {line['path']}"
    row = ", ".join(f"{name} {line[name]}" for name in names) or f"row {line['row']} of a batch"
    return f"{row}, column {line['column']}, {line['path']}"


_RESULTS = {"row", "column", "path", "kind", "code", "message", "byte", "count", "bytes"}
