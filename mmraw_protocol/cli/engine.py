"""`--engine ray`: files, folders and URLs by Ray, here or on the cluster of RAY_ADDRESS."""

from __future__ import annotations

import argparse
import contextlib
import glob
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..conversation import environment
from ..files.facts import Facts
from ..files.job import Job
from ..files.jobs import StoreSpec
from ..files.names import expanded
from ..wire.errors import MMRawError
from ..wire.extras import extra_module
from ..wire.msgpack import is_msgpack
from ..wire.rows import is_table

if TYPE_CHECKING:
    from ..integrations.ray import Summary
    from ..integrations.ray.lines import Source
    from ..materialize.verification import Verifier

#: Bytes of a block: what a task holds at once.
_BLOCK_BYTES = 32 << 20
_PARQUET = b"PAR1"
#: A path object has taken one of a URL's slashes.
_URL = re.compile(r"^(s3|gs|az|abfs):/+")
#: An address at which a cluster listens, and how long to wait for it.
_ADDRESS = re.compile(r"^(?:ray://)?([^/:]+|\[[^]]+\]):([0-9]{1,5})$")
_CONNECT_SECONDS = 10


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


def checked_on_ray(args: argparse.Namespace, verifier: Verifier) -> dict[str, Any]:
    """The report of `mmraw validate --engine ray`.

    Raises:
        MMRawError: source_unavailable, unsupported_option.
    """
    if args.follow:
        raise MMRawError("unsupported_option", "expected no --follow with Ray")
    found = _summed(args, "validate", verifier=verifier)
    report = {"checked": found.counts, **_refused(found)}
    return report if args.report is None else {**report, "found": found.facts.report()}


def stats_on_ray(args: argparse.Namespace) -> tuple[Facts, dict[str, Any]]:
    """What the images are for `mmraw stats --engine ray`, and the refusals for its report.

    Raises:
        MMRawError: source_unavailable, unsupported_option.
    """
    found = _summed(args, "stats", text=args.text)
    return found.facts, _refused(found)


def fsck_on_ray(args: argparse.Namespace) -> dict[str, Any]:
    """The report of `mmraw store fsck --engine ray`: the images that files name.

    Raises:
        MMRawError: store_invalid, unsupported_option, source_unavailable.
    """
    place = args.store or environment.image_dir()
    if place is None or not args.files or args.runs:
        message = "expected rollout files, a store, and no --runs with Ray"
        raise MMRawError("unsupported_option", message)
    store = StoreSpec(str(place), args.run_id, {"create": False})
    found = _summed(args, "fsck", store=store)
    return {"checked": found.counts, "bytes": found.bytes.get("image", 0), **_refused(found)}


def _summed(args: argparse.Namespace, name: str, **options: Any) -> Summary:
    """What a function of `mmraw_protocol.integrations.ray` finds in all files."""
    with _started(args) as ray:
        found = ray.Summary()
        for ds, own in _datasets(_sources(args.files), args.keep):
            found.merge(ray.summary(getattr(ray, name)(ds, **own, **options)))
    return found


def rewritten_on_ray(args: argparse.Namespace, job: Job, done: str) -> tuple[dict[str, Any], Facts]:
    """The row of a report of `convert`, `offload` or `inline` with `--engine ray`, and facts.

    Raises:
        MMRawError: unsupported_option, source_unavailable.
    """
    if args.in_place or (args.out is None and not args.dry_run) or str(args.out) == "-":
        raise MMRawError("unsupported_option", "expected a folder in --out with Ray")
    if args.on_error == "fail":
        message = "expected no --on-error fail with Ray, which keeps rejected values as they are"
        raise MMRawError("unsupported_option", message)
    out = _URL.sub(r"\1://", str(args.out))
    refused = args.refused or f"{out.rstrip('/')}-refused"
    inner = [(refused, out), *((one, place) for one in (out, refused) for place in args.files)]
    if not args.dry_run and any(_lies_in(one, place) for one, place in inner):
        message = "expected --out outside of the input, and --refused outside of both"
        raise MMRawError("unsupported_option", message)
    started = time.perf_counter()
    with _started(args) as ray:
        sources = _sources(args.files)
        datasets = _datasets(sources, args.keep)
        if len(datasets) > 1:
            message = "expected JSON lines or Parquet, got both; write each into its own folder"
            raise MMRawError("unsupported_option", message)
        ds, options = datasets[0]
        work = ray.Rewriting(ds, job, **options, text=args.text, facts=args.report is not None)
        if args.dry_run:
            found = ray.summary(work.results)
        else:
            found = work.write(out, refused=refused, **_form(sources, options))
    row: dict[str, Any] = {
        "file": " ".join(args.files),
        "written": not args.dry_run,
        done: found.counts.get("changed", 0),
        "unchanged": found.counts.get("unchanged", 0),
        **_refused(found),
        "rows": found.rows,
        "parts": found.parts,
        "seconds": round(time.perf_counter() - started, 3),
        "notes": [],
    }
    if not found.counts:
        row["seen"] = f"0 {'refs' if done == 'converted' else 'images'}"
    if "image" in found.counts:
        row |= {"images": found.counts["image"], "image_bytes": found.bytes["image"]}
    return row, found.facts


#: Fields of a refusal in a report.
_FIELDS = ("file", "line", "kind", "code", "path", "message", "column", "byte")
#: Further columns of results; where a line begins is no column that was asked for.
_OTHERS = {*_FIELDS, "row", "count", "bytes", "start"}
#: The kind of a file that is broken.
_FILE = "file"


def _refused(found: Summary) -> dict[str, Any]:
    """The part of a report that says what was refused, with the columns that were kept."""
    return {
        "refused": sum(found.refused.values()),
        "refused_by_code": found.refused,
        "refusals": [_refusal(one) for one in found.refusals],
    }


def _refusal(found: dict[str, Any]) -> dict[str, Any]:
    """A refusal of a report: the fields that it has without Ray, and the columns that were kept."""
    row = {"line": found["row"], **found}
    if row["kind"] == _FILE:
        row |= {"file": row["path"], "path": "$"}
    refusal = {name: row[name] for name in _FIELDS}
    column = "" if "start" in row else row["column"] or ""
    refusal |= {"line": row["line"] or 0, "column": column, "byte": row["byte"] or 0}
    kept = {name: value for name, value in found.items() if name not in _OTHERS}
    return {**refusal, "kept": kept} if kept and row["kind"] != _FILE else refusal


def _lies_in(out: str, place: str) -> bool:
    if "://" not in out + place:
        out, place = os.path.realpath(out), os.path.realpath(place)
    return f"{out.rstrip('/')}/".startswith(f"{place.rstrip('/')}/")


@contextmanager
def _started(args: argparse.Namespace) -> Generator[Any, None, None]:
    """Ray's side of this package, with Ray running.

    Raises:
        MMRawError: missing_dependency, server_unavailable, and what a task raises.
    """
    engine = extra_module("ray", "ray", "for --engine ray")
    runs = engine.is_initialized()
    if not runs:
        _connect(engine)
    failed: MMRawError | None = None
    try:
        context = import_module("ray.data").DataContext.get_current()
        context.execution_options.preserve_order = True
        context.target_max_block_size = _BLOCK_BYTES
        # On a terminal a bar, else a line each ten seconds.
        context.enable_progress_bars = not args.quiet
        context.print_on_execution_start = False
        for handler in logging.getLogger("ray.data").handlers:
            # Ray's log on disk has everything.
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel("CRITICAL" if args.quiet else "INFO")
                handler.addFilter(_is_no_error)
        yield import_module("mmraw_protocol.integrations.ray")
    except (engine.exceptions.RayTaskError, OSError, ValueError) as error:
        failed = _failure(error)
        if failed is None:
            raise
    finally:
        if not runs:
            engine.shutdown()
    if failed is not None:
        if failed.code == "source_unavailable" and failed.path.startswith("$["):
            texts, tables = _by_form(_sources(args.files))
            _name([*texts, *tables][int(failed.path[2:-1])].path, "cannot be read")
        raise failed


def _is_no_error(record: logging.LogRecord) -> bool:
    """False for the traceback of a worker: of what fails, one line is printed."""
    return record.levelno < logging.ERROR


def _failure(error: Exception) -> MMRawError | None:
    """What a task or the reading of Parquet raised; None for what is no fault of the input."""
    cause = getattr(error, "cause", error)
    if isinstance(cause, MMRawError):
        return cause
    arrow: Any = import_module("pyarrow")
    if isinstance(cause, (arrow.ArrowException, OSError)):
        message = "a Parquet file is broken or cut off, or a file cannot be read or written"
        return MMRawError("source_unavailable", message)
    return None


def _connect(engine: Any) -> None:
    variables = import_module("mmraw_protocol.integrations.ray").WORKER_VARIABLES
    options = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": variables},
    }
    address = os.environ.get("RAY_ADDRESS")
    if address:
        found = _ADDRESS.match(address)
        is_there = found is None
        if found is not None:
            # Ray itself tries for minutes.
            with contextlib.suppress(OSError):
                place = (found[1].strip("[]"), int(found[2]))
                socket.create_connection(place, _CONNECT_SECONDS).close()
                is_there = True
        with contextlib.suppress(ConnectionError, OSError, RuntimeError, ValueError):
            if is_there:
                engine.init(**options)
                return
        message = "expected a Ray cluster at RAY_ADDRESS, got no answer; unset it for a local one"
        raise MMRawError("server_unavailable", message)
    engine.init(**options, include_dashboard=False)


def _datasets(sources: Sequence[Source], keep: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    """The Datasets of JSON lines and of Parquet among the files, and their options.

    Raises:
        MMRawError: unsupported_option.
    """
    texts, tables = _by_form(sources)
    for one in texts:
        begin = one.head.split(b"\n")[0].strip()
        if is_table(one.head[:4]) or is_msgpack(one.head) or begin in (b"[", b"{"):
            _name(one.path, "neither JSON lines nor Parquet")
            message = "expected JSON lines or Parquet with Ray, got another form in a file"
            raise MMRawError("unsupported_option", message)
    lines = import_module("mmraw_protocol.integrations.ray.lines")
    rows = import_module("mmraw_protocol.integrations.ray.tables")
    found: list[tuple[Any, dict[str, Any]]] = []
    if texts:
        ds = lines.lines_of(texts, refuse=True)
        found.append((ds, {"keep": ("file", "start"), "documents": ("line",)}))
    if tables:
        ds = rows.rows_of(tables, first=len(texts), refuse=True)
        found.append((ds, {"keep": tuple(keep), "documents": ()}))
    return found


def _name(file: str, fault: str) -> None:
    """Says at which file an error is, which errors themselves do not."""
    print(f"mmraw: {file}: {fault}", file=sys.stderr)


def _by_form(sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
    """The files of lines, and those of Parquet."""
    tables = [one for one in sources if one.head[:4] == _PARQUET]
    return [one for one in sources if one.head[:4] != _PARQUET], tables


def _sources(files: Sequence[str]) -> list[Source]:
    """The files that arguments name, each looked at.

    Raises:
        MMRawError: source_unavailable, unsupported_option (standard input).
    """
    if "-" in files:
        message = "expected files, folders or URLs with Ray, got standard input"
        raise MMRawError("unsupported_option", message)
    lines = import_module("mmraw_protocol.integrations.ray.lines")
    patterns = [one for one in files if glob.has_magic(one)]
    named = [one.path for one in expanded(patterns)]
    sources: list[Source] = []
    for place in [*(one for one in files if one not in patterns), *named]:
        try:
            sources += lines.sources_of([place])
        except MMRawError:
            _name(place, "found no file in it")
            raise
    return sources


def _form(sources: Sequence[Source], options: dict[str, Any]) -> dict[str, Any]:
    """The form of the output: that of the input, compressed as its first file is."""
    if not options["documents"]:
        return {"form": "parquet"}
    lines = import_module("mmraw_protocol.integrations.ray.lines")
    return {"form": "lines", "compression": lines.compression_of(sources[0].head)}
