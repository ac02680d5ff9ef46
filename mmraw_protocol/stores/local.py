"""Images in a local (or shared) directory.

Everything below the directory is reached through descriptors (openat) that follow no symbolic
link, so that another writer cannot lead a read or a write out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..system.descriptors import Descriptor, identity_of, open_above
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from . import disk, entries
from .base import StoredObject, check_age, check_name, check_new_object, verify_object
from .disk import io as _io
from .modes import dir_mode_of, file_mode_of
from .names import name_for
from .runs import IMAGE_SUBDIR, RunScope

#: The first put into a directory removes what died writers left there. It looks at so many entries
#: at most, and leaves alone what was written in the last hour.
_SWEPT_ENTRIES = 10_000
_SWEPT_SECONDS = 3600.0


class LocalStore(Shown):
    """A store in a directory.

    Args:
        root: The images directory of one run, or the directory that holds `run_<run_id>`
            directories if `run_ids` is given. It may itself be a symbolic link, which is
            followed once, here: the store holds the directory open, knows it by device and inode,
            and what its path leads to later does not matter. No link below it is followed.
        run_id: The run whose images these are; refs of other runs are refused. None accepts any.
        run_ids: The runs that may be used below `root`.
        create: Make the directory if it is missing.
        durable: Wait for file and directory to reach the disk before `put` returns. Without it a
            crash of the machine, not of the process, can lose what was just put.
        file_mode: Permissions of new files, independent of the umask; None takes
            MMRAW_STORE_FILE_MODE (octal digits), or 0640.
        dir_mode: Permissions of new directories, independent of the umask; None takes
            MMRAW_STORE_DIR_MODE, or 0750. Below a directory that hands its group down (setgid),
            directories do so too.
        limits: Most bytes of an image.

    The first `put` of a store into a directory removes temporary files there that were not written
    to for an hour; a store that only reads changes nothing.

    Raises:
        MMRawError: store_invalid, store_permission, store_full, store_unavailable, invalid_run_id.
    """

    _root: Descriptor

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        run_id: str | None = None,
        run_ids: list[str] | tuple[str, ...] | None = None,
        create: bool = True,
        durable: bool = True,
        file_mode: int | None = None,
        dir_mode: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.scope = RunScope.of(run_id, run_ids)
        self.root = Path(disk.local_path(root))
        self.durable = durable
        self.limits = limits
        self._file_mode = file_mode_of(file_mode)
        self._dir_mode = dir_mode_of(dir_mode)
        self._prepared: set[str | None] = set()
        if create:
            where, mode = str(self.root), self._dir_mode
            _io(lambda: disk.make_directory(where, mode, durable=durable))
        self._hold_root()

    def _shown(self) -> Mapping[str, object]:
        return {"root": self.root, **self.scope.shown()}

    def _hold_root(self) -> None:
        """Opens the root and keeps it open for as long as the store lives."""
        self._root = _io(lambda: Descriptor(open_above(self.root, disk.DIRECTORY)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_root"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hold_root()

    @classmethod
    def for_run_dir(cls, run_dir: str | os.PathLike[str], **options: object) -> LocalStore:
        """The store of a run directory: its `assets/images`."""
        path = Path(run_dir).joinpath(*IMAGE_SUBDIR)
        return cls(path, **options)  # pyright: ignore[reportArgumentType]

    @property
    def run_id(self) -> str | None:
        """The one run the store was opened for."""
        return self.scope.run_id

    @property
    def run_ids(self) -> frozenset[str] | None:
        """The runs the store was opened for, below a root."""
        return self.scope.run_ids

    def check_run(self, run_id: str | None) -> None:
        """Refuses a run that the store was not opened for.

        Raises:
            MMRawError: run_mismatch, invalid_run_id.
        """
        self.scope.check(run_id)

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        """Stores an encoded image and returns its raw_image_id.

        An existing object is read and compared; one that differs is replaced.

        Raises:
            MMRawError: empty_source, limit_exceeded, run_mismatch, store_full, store_permission,
                store_invalid, store_unavailable.
        """
        data = check_new_object(data, self.limits)
        name = name_for(data, sha256_hex(data))
        self._put(name, data, run_id)
        return name

    def put_named(self, raw_image_id: str, data: bytes, *, run_id: str | None = None) -> None:
        """Stores an image under a name that an older writer gave it.

        Raises:
            MMRawError: what `put` raises, invalid_raw_image_id, object_corrupt (not what the name
                promises).
        """
        check_name(raw_image_id, self.limits)
        data = check_new_object(data, self.limits)
        self._put(raw_image_id, verify_object(data, raw_image_id), run_id)

    def _put(self, name: str, data: bytes, run_id: str | None) -> None:
        with self._directory(run_id, create=True) as directory:
            self._sweep_once(directory, run_id)
            is_there = entries.holds(directory, name, data)
            if is_there and _io(lambda: entries.renew(directory, name, durable=self.durable)):
                return
            try:
                self._write(directory, name, data)
            except MMRawError as error:
                # Another user's, in a directory where this one may not write: stored it is.
                if error.code != "store_permission" or not is_there:
                    raise

    def _write(self, directory: int, name: str, data: bytes) -> None:
        mode, durable = self._file_mode, self.durable
        _io(lambda: entries.write(directory, name, data, mode=mode, durable=durable))

    def _sweep_once(self, directory: int, run_id: str | None) -> None:
        if run_id in self._prepared:
            return
        self._prepared.add(run_id)
        with contextlib.suppress(OSError):
            entries.sweep(directory, time.time() - _SWEPT_SECONDS, most=_SWEPT_ENTRIES)

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image, verified against the hex digits of its name.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, source_unavailable (absent, or no
                regular file), object_corrupt, limit_exceeded.
        """
        check_name(raw_image_id, self.limits)
        with self._directory(run_id, create=False) as directory:
            data = entries.read(directory, raw_image_id, self.limits.inline_image_bytes)
        return verify_object(data, raw_image_id)

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """True if a regular file of that name is there; its bytes are not read.

        Raises:
            MMRawError: what `get` raises if the directory itself cannot be read.
        """
        check_name(raw_image_id, self.limits)
        number: int | None = None
        try:
            with self._directory(run_id, create=False) as directory:
                status = os.stat(raw_image_id, dir_fd=directory, follow_symlinks=False)
                return stat.S_ISREG(status.st_mode)
        except OSError as error:
            number = error.errno
        except MMRawError as error:
            # A run that has stored nothing has no directory.
            if error.code != "source_unavailable":
                raise
        if number is not None and number not in entries.NO_OBJECT:
            raise disk.store_error(number)
        return False

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object; one that is absent is no error.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, store_permission.
        """
        if not self.has(raw_image_id, run_id=run_id):
            return
        with self._directory(run_id, create=False) as directory:
            _io(lambda: self._unlink(directory, raw_image_id))

    def _unlink(self, directory: int, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        if self.durable:
            disk.sync(directory)

    def delete_older(
        self, raw_image_id: str, *, older_than: float, run_id: str | None = None
    ) -> bool:
        """Removes an object that was last put more than `older_than` seconds ago.

        An object that is put at the same time stays: its name is taken away, its age is looked at
        once more, and a young one gets its name back.

        Returns:
            Whether it was removed.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, store_permission.
        """
        check_age(older_than)
        if not self.has(raw_image_id, run_id=run_id):
            return False
        before = time.time() - older_than
        with self._directory(run_id, create=False) as directory:
            removed = _io(lambda: entries.remove_older(directory, raw_image_id, before))
            if self.durable:
                _io(lambda: disk.sync(directory))
        return removed

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects that could be images, in order; temporary files apart."""
        with self._directory(run_id, create=False) as directory:
            return iter(_io(lambda: entries.names_in(directory)))

    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        """Name, size and age of all objects that could be images, in order."""
        with self._directory(run_id, create=False) as directory:
            return iter(_io(lambda: entries.entries_in(directory)))

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The file: URL of a stored image."""
        check_name(raw_image_id, self.limits)
        return self.root.joinpath(*self.scope.parts(run_id), raw_image_id).as_uri()

    def sweep(self, *, older_than: float = 3600.0, run_id: str | None = None) -> int:
        """Removes temporary files of writers that died; returns how many.

        Args:
            older_than: Seconds since the last write; younger ones may still be in use.
            run_id: The run, if the store holds several.
        """
        check_age(older_than)
        with self._directory(run_id, create=False) as directory:
            return _io(lambda: entries.sweep(directory, time.time() - older_than))

    @contextlib.contextmanager
    def _directory(self, run_id: str | None, *, create: bool) -> Generator[int, None, None]:
        """A descriptor of the images directory; no part below the root may be a symbolic link."""
        parts = self.scope.parts(run_id)
        # Through the descriptor that is held, and not through the path again, which another writer
        # may have led elsewhere; opened again, so that listings do not share their position.
        descriptor = self._open_root()
        try:
            if os.fstat(descriptor).st_nlink == 0:
                raise MMRawError(
                    "store_invalid", "the store's directory was removed; open it again"
                )
            sync = create and self.durable and run_id not in self._prepared
            for part in parts:
                descriptor = self._descend(descriptor, part, create, sync=sync)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self) -> int:
        """A descriptor of the directory that was opened first, however often it was closed since.

        Code that daemonizes closes descriptors, and their numbers go to other files.
        """
        root = self._root
        if not root.is_ours:
            self._hold_root()
        descriptor = _io(lambda: open_above(".", disk.DIRECTORY, dir_fd=self._root.number))
        if identity_of(descriptor) == root.identity:
            return descriptor
        os.close(descriptor)
        self._root = root
        raise disk.store_error(errno.EBADF)

    def _descend(self, parent: int, part: str, create: bool, *, sync: bool) -> int:
        """The directory `part` below `parent`; `parent` is closed if that succeeds."""
        mode = self._dir_mode if create else None
        child = _io(lambda: disk.open_child(parent, part, create_mode=mode, sync_entry=sync))
        if child is None:
            message = "the run has no stored images"
            raise MMRawError("source_unavailable", message, "$.raw_image_id")
        os.close(parent)
        return child
