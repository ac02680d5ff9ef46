"""A read-through cache on a local disk, in front of a store that is far away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from .base import AssetStore, check_name, verify_object
from .cache_directory import CacheDirectory
from .disk import local_path
from .names import digest_in

DEFAULT_CACHE_BYTES = 10 * 1024**3
_PROBE = f"{'0' * 64}.img"


class CachedStore(Shown):
    """A store whose images are kept on a local disk once they were read.

    Every read from the cache is verified like a read from the store; what is damaged or gone is
    fetched again. Objects whose name promises no hash are never kept. The least recently used ones
    go first, and nothing goes that this class did not write. Any number of threads and processes
    may share a directory: each looks at the whole of it after it added a sixteenth of the bound, so
    the bound can be passed by that much for each process. A full disk stops the keeping, not the
    reading.

    Args:
        store: The underlying store.
        directory: Where images are kept. It is made and marked by a CACHEDIR.TAG; one that holds
            anything and is not marked so is refused.
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
        if not max_bytes >= 0:
            message = "expected a number of bytes from 0 to keep, got another value"
            raise MMRawError("unsupported_option", message)
        self.store = store
        self.directory = Path(local_path(directory))
        self.max_bytes = max_bytes
        self._limits = limits
        self._kept = CacheDirectory(self.directory, max_bytes)
        self.hits = 0
        self.misses = 0

    def _shown(self) -> Mapping[str, object]:
        return {"store": self.store, "directory": self.directory}

    def check_run(self, run_id: str | None) -> None:
        """Rejects a run that the underlying store was not opened for."""
        self.store.check_run(run_id)

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        """Stores an image in the underlying store; it is kept here once it is read."""
        return self.store.put(data, run_id=run_id)

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image, verified, from here or from the underlying store.

        Raises:
            MMRawError: what the underlying store raises.
        """
        self.store.check_run(run_id)
        name = self._name(raw_image_id, run_id)
        if name is None:
            return self.store.get(raw_image_id, run_id=run_id)
        data = self._kept.get(name, self._limits.inline_image_bytes)
        with contextlib.suppress(MMRawError):
            if data is not None:
                verify_object(data, raw_image_id)
                self.hits += 1
                return data
        data = self.store.get(raw_image_id, run_id=run_id)
        self.misses += 1
        self._kept.keep(name, data)
        return data

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """True if the underlying store has an object of that name."""
        return self.store.has(raw_image_id, run_id=run_id)

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object from the underlying store and from here."""
        self.store.delete(raw_image_id, run_id=run_id)
        name = self._name(raw_image_id, run_id)
        if name is not None:
            self._kept.drop(name)

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects of the underlying store."""
        return self.store.list(run_id=run_id)

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The URL in the underlying store."""
        return self.store.url(raw_image_id, run_id=run_id)

    def evict(self) -> int:
        """Removes the least recently used images if the bound is passed; returns how many.

        Runs by itself as images are added. Where another process is at it, nothing is done.
        """
        return self._kept.evict()

    def _name(self, raw_image_id: str, run_id: str | None) -> str | None:
        """The name under which an image is kept; None if its own promises no hash.

        The run's place is part of it: what one run may read must not become readable for another
        because it is kept here.
        """
        digest = digest_in(check_name(raw_image_id, self._limits))
        if digest is None:
            return None
        place = self.store.url(_PROBE, run_id=run_id)
        return f"{sha256_hex(place.encode())[:32]}-{digest}"
