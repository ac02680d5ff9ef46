"""`mmraw stats`: which images files hold: refs by dialect and family, tokens, bytes, duplicates."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from functools import partial
from typing import Any

import msgspec

from ..families import get_adapter
from ..files.counts import MOST_REFUSALS, Counts
from ..files.job import Report
from ..files.jobs import DATA_HEAD
from ..files.prefixes import StringPrefixes
from ..files.prose import rewrite_prose
from ..files.rewriting import rewrite
from ..files.tables import rewrite_table
from ..images import read_header
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.ref import PREFIXES, RawMMRef, is_ref, parse_ref
from .inputs import opened
from .options import add_processes, add_quiet
from .output import error_dict, print_json, print_table, size_of, write_report
from .rewriting import add_text, named, print_refusal
from .seen import Seen, add_allow_empty, files_of, is_mere_text

EXAMPLE = "mmraw stats rollouts/ --report stats.json"
#: Distinct images that are recognized when duplicates are counted.
_DISTINCT = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "files", nargs="*", default=["-"], help="files, folders, patterns, or - for standard input"
    )
    add_text(parser)
    add_allow_empty(parser)
    add_processes(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Prints counts; 1 where a file or a ref cannot be read, or nothing is found."""
    stats = Stats()
    total = Counts()
    refusals: list[dict[str, Any]] = []
    failed: dict[str, dict[str, str]] = {}
    seen: dict[str, str] = {}
    for file in files_of(args):
        try:
            with opened(file.path, "stats", quiet=args.quiet) as source:
                tee = Seen(source.read, {})
                do: Any = partial(rewrite_prose if args.text else rewrite, tee.read)
                if source.table is not None:
                    do = partial(rewrite_table, source.table, text=args.text)
                report: Report = do(
                    _drop,
                    StatsJob(),
                    on_error="keep",
                    processes=args.processes,
                    note=stats.note,
                )
                source.check_unchanged()
                if not (report.unchanged or report.refused):
                    seen[file.path] = tee.text("images") if source.table is None else "0 images"
        except MMRawError as error:
            if not is_mere_text(file, error.code):
                failed[file.path] = error_dict(error)
            continue
        total.merge(report)
        refusals += [{"file": file.path, **one} for one in named(report)]
    summary = {
        **stats.summary(),
        "refused": sum(total.refused.values()),
        "refused_by_code": total.refused,
        "refusals": refusals[:MOST_REFUSALS],
        "failed": failed,
    }
    is_empty = not stats.counts["image"]
    if is_empty:
        summary["seen"] = seen
    write_report(summary, args.report)
    if args.json:
        print_json(summary)
    else:
        _print(summary)
    return 1 if total.refused or failed or (is_empty and not args.allow_empty) else 0


def _drop(data: bytes) -> None:
    """Takes the bytes of files, which do not change."""


class StatsJob(msgspec.Struct, frozen=True):
    """Changes nothing, and notes what each ref and data: image is."""

    def open(self) -> _Noting:
        """The rewriter."""
        return _Noting()


class _Noting:
    prefixes = StringPrefixes([*PREFIXES, "data:image"], any_case=True, bare=PREFIXES)

    def __init__(self) -> None:
        self.most = 2 * (DEFAULT_LIMITS.inline_image_bytes // 3 * 4 + 8192)
        self._notes: list[tuple[str, int]] = []

    def rewrite(self, text: str, key: str | None) -> str:
        if is_ref(text):
            self._note_ref(parse_ref(text))
        elif DATA_HEAD.match(text):
            data = parse_data_uri(text).data
            header = read_header(data)
            # As long as the hash of a ref: one image may be in both forms.
            self._notes.append((f"image:{mm_hash_of(sha256_hex(data))}", len(data)))
            self._notes += [(f"size:{header.width}x{header.height}", 1), ("form:data: URL", 1)]
        return text

    def _note_ref(self, ref: RawMMRef) -> None:
        size = len(parse_data_uri(str(ref.raw_uri)).data) if ref.is_inline else 0
        self._notes += [(f"image:{ref.mm_hash}", size), (f"form:ref {ref.dialect}", 1)]
        self._notes.append((f"family:{ref.family}", 1))
        with contextlib.suppress(MMRawError):
            tokens = get_adapter(ref.family).num_tokens(ref.payload)
            self._notes.append((f"tokens:{ref.family}", tokens))

    def drain_stats(self) -> list[tuple[str, int]]:
        notes, self._notes = self._notes, []
        return notes


class Stats:
    """Adds up what was noted.

    Attributes:
        counts: Of images, distinct ones, and their bytes.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._by: dict[str, Counter[str]] = {
            kind: Counter() for kind in ("form", "family", "tokens", "size")
        }
        self._seen: dict[str, None] = {}

    def note(self, notes: list[tuple[str, int]]) -> None:
        """Adds (kind:name, number) of the strings of a file."""
        for text, number in notes:
            kind, _, name = text.partition(":")
            if kind != "image":
                self._by[kind][name] += number
                continue
            self.counts["image"] += 1
            self.counts["bytes"] += number
            if name not in self._seen:
                self.counts["distinct"] += 1
                self.counts["distinct_bytes"] += number
                self._seen[name] = None
                if len(self._seen) > _DISTINCT:
                    del self._seen[next(iter(self._seen))]

    def summary(self) -> dict[str, Any]:
        """The counts for the report."""
        counts = self.counts
        return {
            "images": counts["image"],
            "duplicates": counts["image"] - counts["distinct"],
            "image_bytes": counts["bytes"],
            "distinct_bytes": counts["distinct_bytes"],
            "forms": dict(self._by["form"]),
            "families": dict(self._by["family"]),
            "tokens": dict(self._by["tokens"]),
            "sizes": dict(self._by["size"].most_common(20)),
        }


def _print(summary: dict[str, Any]) -> None:
    print(f"{summary['images']} images, {summary['duplicates']} of them duplicates; "
          f"{size_of(summary['image_bytes'])} inline, "
          f"{size_of(summary['distinct_bytes'])} without duplicates")  # fmt: skip
    for title in ("forms", "families", "tokens", "sizes", "refused_by_code"):
        rows = sorted(summary[title].items(), key=lambda item: -item[1])
        if rows:
            print_table((title.replace("_", " "), "count"), rows)
    for name, text in summary.get("seen", {}).items():
        print(f"{name}: found no image: {text}")
    for one in summary["refusals"]:
        print_refusal(one["file"], one, sys.stdout)
    for name, error in summary["failed"].items():
        print(f"{name}: {error['code']}: {error['message']}")
