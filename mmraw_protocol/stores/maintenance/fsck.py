"""Is every object what its name says, and is everything there that rollout files refer to?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import ErrorCode, MMRawError
from ...wire.hashes import sha256_hex
from .. import AssetStore
from ..names import digest_in
from .objects import FATAL, Progress, StateFile, Stored, in_parallel, objects_of
from .references import Mention, Problem, read_references

#: Permanent faults of an object; a denied permission may be mended until the next time.
_LASTING = ("object_corrupt", "limit_exceeded", "invalid_raw_image_id")


class ObjectName(Shown, msgspec.Struct, frozen=True, order=True):
    """An object in a report; run_id is left out if the store is of one run."""

    raw_image_id: str
    run_id: str | None = None


class DamagedObject(Shown, msgspec.Struct, frozen=True):
    """An object that is there and cannot be used, and why."""

    raw_image_id: str
    run_id: str | None
    code: ErrorCode


class UnmetMention(Shown, msgspec.Struct, frozen=True):
    """An image that a file refers to and the store does not give, with the first place."""

    raw_image_id: str
    run_id: str | None
    file: str
    line: int


class FsckReport(Shown, msgspec.Struct, kw_only=True):
    """The findings of `check`.

    Attributes:
        objects, bytes: Objects in the store, and the bytes of those that were read.
        resumed: Of the objects, how many a state file knew already.
        unpromised: Objects whose name promises no hash; only mentions can prove them.
        corrupt: Objects that are not what their name says, too large, empty or unreadable.
        foreign: Names that cannot be images of this protocol; nothing reads them.
        refs: Refs in the files. mentions: images they, envelopes and URLs name, each counted once.
        other_runs: Mentions of runs that the store is not open for; they are not looked at.
        missing: Mentions whose object is not there.
        mismatched: Mentions whose object has a hash other than the mention's.
        orphaned: Objects that no file refers to. No fault: `mmraw store gc` removes old ones.
        problems: Files, and refs in them, that cannot be read.
        with_files: Whether files were given.
    """

    objects: int = 0
    bytes: int = 0
    resumed: int = 0
    unpromised: int = 0
    corrupt: list[DamagedObject] = msgspec.field(default_factory=list[DamagedObject])
    foreign: list[ObjectName] = msgspec.field(default_factory=list[ObjectName])
    refs: int = 0
    mentions: int = 0
    other_runs: int = 0
    missing: list[UnmetMention] = msgspec.field(default_factory=list[UnmetMention])
    mismatched: list[UnmetMention] = msgspec.field(default_factory=list[UnmetMention])
    orphaned: list[ObjectName] = msgspec.field(default_factory=list[ObjectName])
    problems: list[Problem] = msgspec.field(default_factory=list[Problem])
    with_files: bool = False

    @property
    def is_empty(self) -> bool:
        """True if there was nothing to check.

        No object, no reference in the files given, or no name that promises a hash and no mention
        of one: the files of any folder are such objects.
        """
        named = self.objects - self.unpromised - len(self.foreign)
        is_proven = bool(self.objects and (named or self.mentions))
        return not is_proven or (self.with_files and not (self.refs or self.mentions))

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not (self.corrupt or self.missing or self.mismatched or self.problems)


def check(
    store: AssetStore,
    files: Iterable[str | os.PathLike[str]] = (),
    *,
    workers: int = 8,
    state: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = lambda count: None,
) -> FsckReport:
    """Reads every object, and compares with what files refer to.

    Args:
        store: The store.
        files: Rollout files; without any, nothing is said of missing and orphaned objects.
        workers: Objects read at once; at most four times as many are held in memory.
        state: A file that remembers what was read, if the work may be interrupted.
        limits: Of refs in the files.
        progress: Told how many objects are done.

    Raises:
        MMRawError: store_unavailable and other errors of the store as a whole.
    """
    files = list(files)
    report = FsckReport(with_files=bool(files))
    digests: dict[ObjectName, str] = {}
    with StateFile(state, "fsck", store) as memory:
        for item, size, result in _read_all(store, memory, workers, report):
            report.objects += 1
            report.bytes += size
            _sort(report, digests, item, result)
            progress(report.objects)
        if files:
            _compare(report, digests, store, files, limits)
        memory.finish()
    return report


def _read_all(
    store: AssetStore, memory: StateFile, workers: int, report: FsckReport
) -> Iterable[tuple[Stored, int, str]]:
    def read(item: Stored) -> tuple[Stored, int, str]:
        known = memory.known(item)
        if known is not None:
            return item, 0, known
        return item, *_digest(store, item)

    for item, size, result in in_parallel(objects_of(store), read, workers):
        if memory.known(item) is not None:
            report.resumed += 1
        elif len(result) == 64 or result in _LASTING:
            memory.record(item, result)
        yield item, size, result


def _digest(store: AssetStore, item: Stored) -> tuple[int, str]:
    """Returns an object's number of bytes, and its sha256 or the code of what is wrong with it."""
    code = ""
    try:
        data = store.get(item.entry.raw_image_id, run_id=item.run_id)
        return len(data), sha256_hex(data)
    except MMRawError as error:
        if error.code in FATAL:
            raise
        code = error.code
    return 0, code


def _sort(report: FsckReport, digests: dict[ObjectName, str], item: Stored, result: str) -> None:
    name = ObjectName(item.entry.raw_image_id, item.run_id)
    if result == "source_unavailable":
        # Deleted after it was listed; if something refers to it, it is missing.
        report.objects -= 1
    elif result == "invalid_raw_image_id":
        report.foreign.append(name)
    elif len(result) != 64:
        code: ErrorCode = result  # pyright: ignore[reportAssignmentType]
        report.corrupt.append(DamagedObject(name.raw_image_id, name.run_id, code))
        digests[name] = ""
    else:
        digests[name] = result
        report.unpromised += digest_in(name.raw_image_id) is None


def _compare(
    report: FsckReport,
    digests: dict[ObjectName, str],
    store: AssetStore,
    files: list[str | os.PathLike[str]],
    limits: Limits,
) -> None:
    names = {name.raw_image_id for name in digests}
    found = read_references(files, store, names, limits=limits)
    report.refs = found.refs
    report.mentions = len(found.mentions)
    report.problems = found.problems
    seen: set[tuple[str, ObjectName]] = set()
    for mention, (file, line) in found.mentions.items():
        name = _in_store(store, mention, digests)
        if name is None:
            report.other_runs += 1
            continue
        unmet = UnmetMention(mention.raw_image_id, mention.run_id, file, line)
        digest = digests.get(name)
        if digest is None and ("missing", name) not in seen:
            seen.add(("missing", name))
            report.missing.append(unmet)
        elif digest and not digest.startswith(mention.mm_hash or ""):
            report.mismatched.append(unmet)
    used = found.names
    report.orphaned = sorted(name for name in digests if name.raw_image_id not in used)


def _in_store(
    store: AssetStore, mention: Mention, digests: dict[ObjectName, str]
) -> ObjectName | None:
    """The object that a mention means; None if its run is not one of the store's."""
    name = mention.raw_image_id
    run_ids: frozenset[str] | None = getattr(store, "run_ids", None)
    try:
        if mention.run_id is not None:
            store.check_run(mention.run_id)
    except MMRawError:
        return None
    if run_ids is None:
        return ObjectName(name)
    if mention.run_id is not None:
        return ObjectName(name, mention.run_id)
    # An envelope names no run: any that has the object will do.
    there = [ObjectName(name, run) for run in sorted(run_ids) if ObjectName(name, run) in digests]
    return there[0] if there else ObjectName(name)
