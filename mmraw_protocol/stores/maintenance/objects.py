"""Going through the objects of a store, many at once, where an interruption loses no work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, TypeVar

from ...system.ordered import in_order
from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from .. import AssetStore, StoredObject
from ..listing import list_entries, runs_of

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Told how many objects are done.
Progress = Callable[[int], None]
#: Errors of the store as a whole; what is wrong with one object is part of a report.
FATAL = ("store_unavailable", "store_invalid", "store_full", "run_mismatch")
_VERSION = 1
_PROBE = f"{'0' * 64}.img"


class Stored(NamedTuple):
    """An object and the run whose it is (None if the store is of one run)."""

    run_id: str | None
    entry: StoredObject


def objects_of(store: AssetStore) -> Iterator[Stored]:
    """Every object of every run that the store is open for.

    Raises:
        MMRawError: what listing raises.
    """
    for run_id in runs_of(store):
        try:
            for entry in list_entries(store, run_id=run_id):
                yield Stored(run_id, entry)
        except MMRawError as error:
            # A run that has stored nothing yet has no directory.
            if error.code != "source_unavailable":
                raise


def in_parallel(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int
) -> Iterator[Result]:
    """Yields the result of `work` for each item, in order; few are held at a time.

    If one fails, or the caller stops, what has not begun is dropped.
    """
    return in_order(items, work, workers, most=4 * workers)


class StateFile:
    """The finished objects, one line of JSON for each, so that a killed run continues from there.

    The file exists as long as the work is unfinished. A line that was cut off is done again; an
    object that changed since counts as new.

    Args:
        path: The file; None keeps nothing.
        purpose: The tool and its stores: a file of another purpose is refused.

    Raises:
        MMRawError: store_invalid, store_permission.
    """

    def __init__(self, path: Path | None, tool: str, *stores: AssetStore) -> None:
        places = [store.url(_PROBE, run_id=run) for store in stores for run in runs_of(store)]
        purpose = sha256_hex(json.dumps([tool, *places]).encode())
        self._head = {"mmraw_store_state": _VERSION, "tool": tool, "purpose": purpose}
        self._path = path
        self._known: dict[str, str] = {}
        self._file: IO[str] | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        failed = False
        try:
            if path.exists():
                self._read(path)
            self._file = path.open("a", encoding="utf-8")
            if self._file.tell() == 0:
                self._line(self._head)
            else:
                # A line that was cut off must not run into the next.
                self._file.write("\n")
        except (OSError, UnicodeDecodeError):
            failed = True
        if failed:
            raise MMRawError("store_permission", "the state file cannot be read and written")

    def _read(self, path: Path) -> None:
        head: Any = None
        with path.open(encoding="utf-8") as file:
            for text in file:
                try:
                    line: Any = json.loads(text)
                except ValueError:
                    continue
                if head is None:
                    head = line
                elif isinstance(line, list):
                    key, value = line  # pyright: ignore[reportUnknownVariableType]
                    self._known[str(key)] = str(value)  # pyright: ignore[reportUnknownArgumentType]
        if path.stat().st_size and head != self._head:
            message = "the state file belongs to other stores or another tool"
            raise MMRawError("store_invalid", message)

    def _line(self, value: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps(value) + "\n")
            self._file.flush()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def known(self, item: Stored) -> str | None:
        """Returns what was recorded of an object, if the object has not changed since."""
        return self._known.get(_key(item))

    def record(self, item: Stored, result: str) -> None:
        """Records the result of an object."""
        self._line([_key(item), result])

    def finish(self) -> None:
        """Removes the file: the work is done."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)


def _key(item: Stored) -> str:
    entry = item.entry
    return json.dumps([item.run_id, entry.raw_image_id, entry.size, entry.modified])
