"""Remove old objects that no rollout file refers to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import msgspec

from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import MMRawError
from .. import AssetStore
from ..base import check_age
from ..listing import delete_older
from .fsck import ObjectName
from .objects import Progress, Stored, in_parallel, objects_of
from .references import Problem, read_references

WEEK = 7 * 86400.0


class CollectReport(Shown, msgspec.Struct, kw_only=True):
    """The findings and actions of `collect`.

    Attributes:
        deleted: Whether removing was asked for and allowed.
        objects, bytes: In the store.
        referred: Objects that some file refers to; they stay.
        young: Objects that no file refers to and that are not old enough; they stay.
        ageless: Objects of a store that does not report ages; they stay.
        removable, removable_bytes: Objects that nothing keeps.
        removed, removed_bytes: Of these, the ones that were removed.
        renewed: Of these, the ones that were put again meanwhile, or removed by somebody else.
        problems: Files that cannot be read whole, or hold no reference at all: as long as there are
            any, nothing is removed.
        everything: Whether nothing of the store would be left; then nothing is removed either,
            unless that was asked for.
    """

    deleted: bool = False
    objects: int = 0
    bytes: int = 0
    referred: int = 0
    young: int = 0
    ageless: int = 0
    removable: list[ObjectName] = msgspec.field(default_factory=list[ObjectName])
    removable_bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0
    renewed: int = 0
    problems: list[Problem] = msgspec.field(default_factory=list[Problem])
    everything: bool = False

    @property
    def ok(self) -> bool:
        """True if every file was read whole, and something would stay or all was to go."""
        return not self.problems and not self.everything


def collect(
    store: AssetStore,
    files: Iterable[str | os.PathLike[str]],
    *,
    older_than: float = WEEK,
    delete: bool = False,
    allow_empty: bool = False,
    remove_all: bool = False,
    workers: int = 8,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = lambda count: None,
) -> CollectReport:
    """Finds, and removes if asked to, objects that no file refers to and that are old.

    Objects that a file names in any way stay: by a ref or an envelope of any run, by a URL or
    path, as a key, or as a word of any text. Nothing goes that was put within `older_than`, which
    is looked at again at the moment of removal. Nothing at all goes if a file cannot be read whole,
    if one holds no reference at all (a wrong file, or one that was emptied), or if nothing of the
    store would be left.
    What was interrupted is done by calling it again.

    Args:
        store: The store.
        files: Every rollout file whose images must stay; at least one.
        older_than: Seconds. Longer than any rollout takes to be written after its images were put.
        delete: Remove; without it, only say what would go.
        allow_empty: Take files that hold no reference.
        remove_all: Remove every object of the store, if none is to stay.
        workers: Objects removed at once.
        limits: Of refs in the files.
        progress: Told how many objects were removed.

    Raises:
        MMRawError: missing_field (no file), unsupported_option (an age that is no number), what the
            store raises.
    """
    check_age(older_than)
    files = list(files)
    if not files:
        message = "expected the rollout files whose images must stay, got none"
        raise MMRawError("missing_field", message)
    report = CollectReport()
    # Listed before the files are read: what is put from now on is no candidate.
    items = list(objects_of(store))
    names = {item.entry.raw_image_id for item in items}
    found = read_references(files, store, names, limits=limits)
    report.problems = found.problems
    if not allow_empty:
        message = "the file holds no reference to an image; allow that with --allow-empty"
        report.problems += [Problem(one, None, "missing_field", message) for one in found.silent]
    candidates = _candidates(report, items, found.names, time.time() - older_than)
    report.everything = bool(items) and len(candidates) == len(items) and not remove_all
    if delete and report.ok:
        report.deleted = True
        _remove(report, store, candidates, older_than, workers, progress)
    return report


def _candidates(
    report: CollectReport, items: list[Stored], used: set[str], before: float
) -> list[Stored]:
    candidates: list[Stored] = []
    for item in items:
        entry = item.entry
        report.objects += 1
        report.bytes += entry.size or 0
        if entry.raw_image_id in used:
            report.referred += 1
        elif entry.modified is None:
            report.ageless += 1
        elif entry.modified > before:
            report.young += 1
        else:
            candidates.append(item)
            report.removable.append(ObjectName(entry.raw_image_id, item.run_id))
            report.removable_bytes += entry.size or 0
    return candidates


def _remove(
    report: CollectReport,
    store: AssetStore,
    candidates: list[Stored],
    older_than: float,
    workers: int,
    progress: Progress,
) -> None:
    def remove(item: Stored) -> tuple[Stored, bool]:
        name = item.entry.raw_image_id
        return item, delete_older(store, name, older_than=older_than, run_id=item.run_id)

    for item, removed in in_parallel(candidates, remove, workers):
        report.removed += removed
        report.removed_bytes += (item.entry.size or 0) if removed else 0
        report.renewed += not removed
        progress(report.removed + report.renewed)
