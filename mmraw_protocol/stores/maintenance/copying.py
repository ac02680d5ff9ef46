"""Copy the objects of one store into another."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ...system.shown import Shown
from ...wire.errors import MMRawError
from .. import AssetStore
from ..listing import put_named, runs_of
from ..names import digest_in
from .fsck import DamagedObject
from .objects import Progress, StateFile, Stored, in_parallel, objects_of

#: Errors that keep one object from being copied; any other error ends the work.
_OF_ONE_OBJECT = (
    "empty_source",
    "invalid_raw_image_id",
    "limit_exceeded",
    "object_corrupt",
    "source_unavailable",
    "unsupported_option",
)


class CopyReport(Shown, msgspec.Struct, kw_only=True):
    """The actions of `copy_store`.

    Attributes:
        objects: In the source.
        resumed: Of them, how many a state file knew as done.
        copied, copied_bytes: Read, verified and put.
        there: In the destination already, read there and found whole.
        mended: In the destination already and not whole; copied over.
        unpromised: Copied, though their name promises no hash that could be verified.
        refused: Objects of the source that were not copied, and why: object_corrupt for what is
            not whole there, unsupported_option for names that the destination cannot hold.
    """

    objects: int = 0
    resumed: int = 0
    copied: int = 0
    copied_bytes: int = 0
    there: int = 0
    mended: int = 0
    unpromised: int = 0
    refused: list[DamagedObject] = msgspec.field(default_factory=list[DamagedObject])

    @property
    def ok(self) -> bool:
        """True if the destination has everything."""
        return not self.refused


class _Done(msgspec.Struct, frozen=True):
    item: Stored
    result: str
    size: int = 0


def copy_store(
    source: AssetStore,
    destination: AssetStore,
    *,
    workers: int = 8,
    state: Path | None = None,
    progress: Progress = lambda count: None,
) -> CopyReport:
    """Copies what the destination lacks or has damaged; nothing is removed there.

    Args:
        source: Every object is read and verified on the way.
        destination: Open for the same runs as the source, or both for one run.
        workers: Objects copied at once; at most four times as many are held in memory.
        state: A file that remembers what is done, if the work may be interrupted.
        progress: Told how many objects are done.

    Raises:
        MMRawError: run_mismatch (the stores are not of the same runs), store_unavailable,
            store_permission, store_full and other errors of a store.
    """
    if not set(runs_of(source)) <= set(runs_of(destination)):
        message = "the destination is not open for every run of the source"
        raise MMRawError("run_mismatch", message)
    report = CopyReport()
    with StateFile(state, "sync", source, destination) as memory:

        def copy(item: Stored) -> _Done:
            if memory.known(item) is not None:
                return _Done(item, "resumed")
            return _copy(source, destination, item)

        for done in in_parallel(objects_of(source), copy, workers):
            _count(report, done)
            if done.result in ("copied", "there", "mended"):
                memory.record(done.item, done.result)
            progress(report.objects)
        memory.finish()
    return report


def _copy(source: AssetStore, destination: AssetStore, item: Stored) -> _Done:
    name, run_id = item.entry.raw_image_id, item.run_id
    code = ""
    try:
        found = _found_whole(destination, item)
        if found and digest_in(name) is not None:
            return _Done(item, "there")
        data = source.get(name, run_id=run_id)
        if found == data:
            return _Done(item, "there")
        put_named(destination, name, data, run_id=run_id)
        return _Done(item, "copied" if found is None else "mended", len(data))
    except MMRawError as error:
        if error.code not in _OF_ONE_OBJECT:
            raise
        code = error.code
    return _Done(item, code)


def _found_whole(destination: AssetStore, item: Stored) -> bytes | None:
    """Returns the destination's object of the name: None, the verified bytes, or b"" for damage."""
    try:
        return destination.get(item.entry.raw_image_id, run_id=item.run_id)
    except MMRawError as error:
        if error.code == "source_unavailable":
            return None
        if error.code not in ("object_corrupt", "limit_exceeded"):
            raise
    return b""


def _count(report: CopyReport, done: _Done) -> None:
    report.objects += 1
    name = done.item.entry.raw_image_id
    if done.result in ("copied", "mended"):
        report.copied += 1
        report.copied_bytes += done.size
        report.mended += done.result == "mended"
        report.unpromised += digest_in(name) is None
    elif done.result == "there":
        report.there += 1
    elif done.result == "resumed":
        report.resumed += 1
    elif done.result == "source_unavailable":
        # Removed from the source after it was listed.
        report.objects -= 1
    elif done.result != "invalid_raw_image_id":
        code = done.result
        report.refused.append(
            DamagedObject(name, done.item.run_id, code)  # pyright: ignore[reportArgumentType]
        )
