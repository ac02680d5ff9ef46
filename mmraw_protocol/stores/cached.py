"""A read-through cache on a local disk, in front of a store that is far away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import normalize_run_id
from .base import AssetStore
from .local import LocalStore
from .names import digest_in

DEFAULT_CACHE_BYTES = 10 * 1024**3
_PROBE = f"{'0' * 64}.img"
#: An eviction frees a tenth, so that not every miss evicts.
_AFTER_EVICTION = 0.9


class CachedStore:
    """A store whose images are kept on a local disk once they were read.

    Every read from the cache is verified like a read from the store; what is damaged or gone is
    fetched anew. Objects whose name promises no hash are never kept. The least recently used ones
    go first. Any number of threads and processes may share a directory: each looks at the whole of
    it after it added a sixteenth of the bound, so the bound can be passed by that much for each
    process. A full disk stops the keeping, not the reading.

    Args:
        store: The store behind it.
        directory: Where images are kept; it is made, and is nobody else's.
        max_bytes: Most bytes to keep.
        limits: Most bytes of an image.

    Raises:
        MMRawError: store_invalid, store_permission.
    """

    def __init__(
        self,
        store: AssetStore,
        directory: str | os.PathLike[str],
        *,
        max_bytes: int = DEFAULT_CACHE_BYTES,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.store = store
        self.directory = Path(os.path.abspath(os.fspath(directory)))
        self.max_bytes = max_bytes
        self._limits = limits
        # Made here, so that a directory that cannot be written is told at once.
        LocalStore(self.directory, durable=False)
        self.hits = 0
        self.misses = 0
        self._added = max_bytes
        self._shelves: dict[str | None, LocalStore] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def check_run(self, run_id: str | None) -> None:
        """Refuses a run that the store behind was not opened for."""
        self.store.check_run(run_id)

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        """Stores an image in the store behind; it is kept here once it is read."""
        return self.store.put(data, run_id=run_id)

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image, verified, from here or from the store behind.

        Raises:
            MMRawError: what the store behind raises.
        """
        self.store.check_run(run_id)
        if digest_in(raw_image_id) is None:
            return self.store.get(raw_image_id, run_id=run_id)
        shelf = self._shelf(run_id)
        with contextlib.suppress(MMRawError):
            data = shelf.get(raw_image_id)
            _touch(shelf.root / raw_image_id)
            with self._lock:
                self.hits += 1
            return data
        data = self.store.get(raw_image_id, run_id=run_id)
        with self._lock:
            self.misses += 1
        self._keep(shelf, raw_image_id, data)
        return data

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """Whether the store behind has an object of that name."""
        return self.store.has(raw_image_id, run_id=run_id)

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object from the store behind and from here."""
        self.store.delete(raw_image_id, run_id=run_id)
        if digest_in(raw_image_id) is not None:
            self._shelf(run_id).delete(raw_image_id)

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects of the store behind."""
        return self.store.list(run_id=run_id)

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The URL of the store behind."""
        return self.store.url(raw_image_id, run_id=run_id)

    def _shelf(self, run_id: str | None) -> LocalStore:
        """The directory for one run of one store.

        What one run may read must not become readable for another because it is kept here.
        """
        label = None if run_id is None else normalize_run_id(run_id)
        with self._lock:
            if label not in self._shelves:
                place = self.store.url(_PROBE, run_id=run_id)
                name = sha256_hex(place.encode())[:32]
                self._shelves[label] = LocalStore(
                    self.directory / name, durable=False, limits=self._limits
                )
            return self._shelves[label]

    def _keep(self, shelf: LocalStore, raw_image_id: str, data: bytes) -> None:
        if len(data) > self.max_bytes:
            return
        with contextlib.suppress(MMRawError):
            shelf.put_named(raw_image_id, data)
        with self._lock:
            self._added += len(data)
            due = self._added > self.max_bytes / 16
            if due:
                self._added = 0
        if due:
            self.evict()

    def evict(self) -> int:
        """Removes the least recently used images where the bound is passed; returns how many.

        Runs by itself as images are added. Where another process is at it, nothing is done.
        """
        with self._eviction() as allowed:
            return _evict(self.directory, self.max_bytes) if allowed else 0

    @contextlib.contextmanager
    def _eviction(self) -> Generator[bool, None, None]:
        """Whether this process may evict; at most one does at a time."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.directory / ".lock", flags, 0o640)
        except OSError:
            yield False
            return
        try:
            allowed = True
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                allowed = False
            yield allowed
        finally:
            os.close(descriptor)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path, follow_symlinks=False)


def _evict(directory: Path, most: int) -> int:
    found: list[tuple[float, int, str]] = []
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                path = os.path.join(folder, name)
                status = os.lstat(path)
                # Temporary files of writers at work are young; those of dead ones grow old and go.
                if folder != str(directory):
                    found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= most:
        return 0
    removed = 0
    for _, size, path in sorted(found):
        if total <= most * _AFTER_EVICTION:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
            removed += 1
    return removed
