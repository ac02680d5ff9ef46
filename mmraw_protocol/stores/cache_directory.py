"""A directory in which images are kept that were read: marked as such, and bounded.

Only files that are named as this module names them, in the folders that it makes, are ever
removed; and a directory that holds anything else is not taken for a cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from ..system.descriptors import Descriptor, open_above
from ..wire.errors import MMRawError
from . import disk, entries

#: The file by which backup programs know caches (bford.info/cachedir); the second line is ours.
TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
_OWNER = "mmraw-protocol"
_TAG_TEXT = f"{_SIGNATURE}\n# This file is a cache directory tag of {_OWNER}.\n"
#: Folders of a new volume.
_IGNORED = frozenset({"lost+found"})
_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{32}-(?:[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})")
_FILE_MODE, _DIR_MODE = 0o640, 0o750
_ABANDONED_SECONDS = 3600.0
#: An eviction frees a tenth, so that not every miss evicts.
_AFTER_EVICTION = 0.9


class CacheDirectory:
    """Files up to a bound; nothing here fails but the making.

    Args:
        path: The directory; it is made. One that is neither empty nor marked is refused.
        most: Bytes to keep.

    Raises:
        MMRawError: store_invalid, store_permission, store_full, store_unavailable.
    """

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most = most
        self._added = most
        disk.io(lambda: disk.make_directory(str(path), _DIR_MODE, durable=False))
        self._root = disk.io(lambda: Descriptor(open_above(path, disk.DIRECTORY)))
        disk.io(self._mark)

    def __reduce__(self) -> tuple[type[CacheDirectory], tuple[Path, int]]:
        return CacheDirectory, (self.path, self._most)

    def _mark(self) -> None:
        root = self._root.number
        if _is_marked(root):
            return
        with os.scandir(root) as found:
            names = [entry.name for entry in found]
        if any(name not in _IGNORED and not entries.is_temporary(name) for name in names):
            # Another process may have marked it a moment ago.
            if _is_marked(root):
                return
            message = f"the cache's directory is not empty and has no {TAG} of {_OWNER}"
            raise MMRawError("store_invalid", message)
        entries.write(root, TAG, _TAG_TEXT.encode(), mode=_FILE_MODE, durable=False)

    def get(self, name: str, most: int) -> bytes | None:
        """Returns the bytes kept under a name and renews their age; None if there are none."""
        with contextlib.suppress(OSError, MMRawError), self._folder(name) as folder:
            if folder is not None:
                data = entries.read(folder, name, most)
                with contextlib.suppress(OSError):
                    os.utime(name, dir_fd=folder, follow_symlinks=False)
                return data
        return None

    def keep(self, name: str, data: bytes) -> None:
        """Keeps it, as far as the disk allows, and evicts if the bound is passed."""
        if len(data) > self._most:
            return
        with contextlib.suppress(OSError), self._folder(name, create=True) as folder:
            if folder is not None:
                entries.write(folder, name, data, mode=_FILE_MODE, durable=False)
        self._added += len(data)
        if self._added > self._most / 16:
            self._added = 0
            self.evict()

    def drop(self, name: str) -> None:
        """Removes what is kept under a name."""
        with contextlib.suppress(OSError), self._folder(name) as folder:
            if folder is not None:
                os.unlink(name, dir_fd=folder)

    def evict(self) -> int:
        """Removes the least recently used files if the bound is passed; returns how many.

        Where another process is at it, nothing is done.
        """
        with contextlib.suppress(OSError), self._eviction() as allowed:
            return self._evict() if allowed else 0
        return 0

    @contextlib.contextmanager
    def _folder(self, name: str, *, create: bool = False) -> Generator[int | None, None, None]:
        """The folder of a name, which begins like its hash: there are 256 at most."""
        part = name.rpartition("-")[2][:2]
        mode = _DIR_MODE if create else None
        folder = disk.open_child(self._root.number, part, create_mode=mode)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    @contextlib.contextmanager
    def _eviction(self) -> Generator[bool, None, None]:
        """Yields True if this process may evict; at most one does at a time."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = open_above(".lock", flags, _FILE_MODE, dir_fd=self._root.number)
        try:
            allowed = True
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                allowed = False
            yield allowed
        finally:
            os.close(descriptor)

    def _evict(self) -> int:
        found = list(self._files())
        total = sum(size for _, size, _, _ in found)
        if total <= self._most:
            return 0
        removed = 0
        for _, size, part, name in sorted(found):
            if total <= self._most * _AFTER_EVICTION:
                break
            with contextlib.suppress(OSError), self._folder(f"-{part}") as folder:
                if folder is not None:
                    os.unlink(name, dir_fd=folder)
                    total -= size
                    removed += 1
        return removed

    def _files(self) -> Iterator[tuple[float, int, str, str]]:
        """(age, size, folder, name) of every file that this module wrote."""
        with os.scandir(self._root.number) as found:
            parts = [entry.name for entry in found if _FOLDER.fullmatch(entry.name)]
        for part in parts:
            with contextlib.suppress(OSError), self._folder(f"-{part}") as folder:
                if folder is None:
                    continue
                entries.sweep(folder, time.time() - _ABANDONED_SECONDS)
                for name in entries.names_in(folder):
                    if _NAME.fullmatch(name):
                        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        yield status.st_mtime, status.st_size, part, name


def _is_marked(root: int) -> bool:
    """True if the second line of the directory's tag names this package."""
    lines: list[str] = []
    with contextlib.suppress(MMRawError):
        lines = entries.read(root, TAG, 1 << 12).decode("utf-8", "replace").splitlines()
    return len(lines) > 1 and lines[0] == _SIGNATURE and _OWNER in lines[1]
