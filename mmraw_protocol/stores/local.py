"""Images in a local (or shared) directory.

Everything below the directory is reached through descriptors (openat) that follow no symbolic
link, so that another writer cannot lead a read or a write out of it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
import time
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import check_raw_image_id
from . import disk
from .base import StoredObject, check_new_object, verify_object
from .disk import io as _io
from .names import name_for
from .runs import IMAGE_SUBDIR, RunScope

_TEMPORARY = ".mmraw-"
_TEMPORARY_LENGTH = len(_TEMPORARY) + 32 + len(".tmp")
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: What opening a name tells where there is no object: absent, a link, a socket, an absent device.
_NO_OBJECT = (None, errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR)
#: The first put into a directory removes what died writers left there. It looks at so many entries
#: at most, and leaves alone what was written in the last hour.
_SWEPT_ENTRIES = 10_000
_SWEPT_SECONDS = 3600.0


class LocalStore:
    """A store in a directory.

    Args:
        root: The images directory of one run, or the directory that holds `run_<run_id>`
            directories where `run_ids` is given. It may itself be a symbolic link, which is
            followed once, here: the store holds the directory open, and what its path leads to
            later does not matter. No link below it is followed.
        run_id: The run whose images these are; refs of other runs are refused. None accepts any.
        run_ids: The runs that may be used below `root`.
        create: Make the directory where it is missing.
        durable: Wait for file and directory to reach the disk before `put` returns. Without it a
            crash of the machine, not of the process, can lose what was just put.
        file_mode: Permissions of the files that are made, whatever the umask.
        dir_mode: Permissions of the directories that are made, whatever the umask.
        limits: Most bytes of an image.

    The first `put` of a store into a directory removes temporary files there that were not written
    to for an hour; a store that only reads changes nothing.

    Raises:
        MMRawError: store_invalid, store_permission, store_full, store_unavailable, invalid_run_id.
    """

    _root: int

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        run_id: str | None = None,
        run_ids: list[str] | tuple[str, ...] | None = None,
        create: bool = True,
        durable: bool = True,
        file_mode: int = 0o640,
        dir_mode: int = 0o750,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.scope = RunScope.of(run_id, run_ids)
        self.root = Path(_plain_path(root))
        self.durable = durable
        self.limits = limits
        self._file_mode = file_mode
        self._dir_mode = dir_mode
        self._prepared: set[str | None] = set()
        if create:
            _io(lambda: disk.make_directory(str(self.root), dir_mode, durable=durable))
        self._hold_root()

    def _hold_root(self) -> None:
        """Opens the root and keeps it open for as long as the store lives."""
        self._root = _io(lambda: os.open(self.root, disk.DIRECTORY))
        weakref.finalize(self, os.close, self._root)

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
        check_new_object(data, self.limits)
        name = name_for(data, sha256_hex(data))
        self._put(name, data, run_id)
        return name

    def put_named(self, raw_image_id: str, data: bytes, *, run_id: str | None = None) -> None:
        """Stores an image under a name that an older writer gave it.

        Raises:
            MMRawError: what `put` raises, invalid_raw_image_id, object_corrupt (not what the name
                promises).
        """
        check_raw_image_id(raw_image_id, limits=self.limits)
        check_new_object(data, self.limits)
        self._put(raw_image_id, verify_object(data, raw_image_id), run_id)

    def _put(self, name: str, data: bytes, run_id: str | None) -> None:
        with self._directory(run_id, create=True) as directory:
            self._sweep_once(directory, run_id)
            if not self._is_whole(directory, name, data):
                _io(lambda: self._write(directory, name, data))

    def _is_whole(self, directory: int, name: str, data: bytes) -> bool:
        """Whether the object is there with exactly these bytes, and on the disk if durable."""
        found: bytes | None = None
        with contextlib.suppress(MMRawError, OSError):
            found = self._read(directory, name, len(data))
        return found == data and _io(lambda: self._keep(directory, name))

    def _keep(self, directory: int, name: str) -> bool:
        """Makes an existing object young again; False where that fails or it just went away.

        `delete_older` looks at the age after it took the name away: either it sees the new age and
        gives the name back, or the name is gone here and the object is written anew.
        """
        try:
            descriptor = os.open(name, _READ, dir_fd=directory)
            try:
                os.utime(descriptor)
                if self.durable:
                    # Another process may have written it a moment ago and not yet have synced it.
                    os.fsync(descriptor)
                held = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            if self.durable:
                disk.sync(directory)
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            # Gone, or written by another user: it is written anew.
            return False
        return os.path.samestat(held, found)

    def _sweep_once(self, directory: int, run_id: str | None) -> None:
        if run_id in self._prepared:
            return
        self._prepared.add(run_id)
        with contextlib.suppress(OSError):
            _sweep(directory, time.time() - _SWEPT_SECONDS, most=_SWEPT_ENTRIES)

    def _write(self, directory: int, name: str, data: bytes) -> None:
        """Once more where the temporary file went away: a writer that slept may have been swept."""
        try:
            self._write_once(directory, name, data)
        except FileNotFoundError:
            self._write_once(directory, name, data)

    def _write_once(self, directory: int, name: str, data: bytes) -> None:
        """Temporary name, write, sync, rename, sync; on any failure the temporary is removed."""
        temporary = f"{_TEMPORARY}{secrets.token_hex(16)}.tmp"
        descriptor = os.open(temporary, _WRITE, self._file_mode, dir_fd=directory)
        try:
            try:
                os.fchmod(descriptor, self._file_mode)
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if self.durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._replace(directory, temporary, name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
        if self.durable:
            disk.sync(directory)

    def _replace(self, directory: int, temporary: str, name: str) -> None:
        try:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except IsADirectoryError:
            # A directory under a valid name is somebody's mistake or attack; it is never an image.
            os.rename(name, f"{temporary}.dir", src_dir_fd=directory, dst_dir_fd=directory)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image, verified against the hex digits of its name.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, source_unavailable (absent, or no
                regular file), object_corrupt, limit_exceeded.
        """
        check_raw_image_id(raw_image_id, limits=self.limits)
        with self._directory(run_id, create=False) as directory:
            data = self._read(directory, raw_image_id, self.limits.inline_image_bytes)
        return verify_object(data, raw_image_id)

    def _read(self, directory: int, name: str, most: int) -> bytes:
        """A regular file of at most `most` bytes."""
        data: bytes | None = None
        number: int | None = None
        try:
            descriptor = os.open(name, _READ, dir_fd=directory)
            try:
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode):
                    data = _read_all(descriptor, min(status.st_size, most) + 1)
            finally:
                os.close(descriptor)
        except OSError as error:
            number = error.errno
        if data is None:
            if number not in _NO_OBJECT:
                raise disk.store_error(number)
            message = "no stored image of that name (or it is no regular file)"
            raise MMRawError("source_unavailable", message, "$.raw_image_id")
        if len(data) > most:
            raise MMRawError("limit_exceeded", f"a stored image has more than {most} bytes")
        return data

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """Whether a regular file of that name is there; its bytes are not read."""
        check_raw_image_id(raw_image_id, limits=self.limits)
        try:
            with self._directory(run_id, create=False) as directory:
                status = os.stat(raw_image_id, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return False
        except MMRawError as error:
            if error.code in ("source_unavailable", "store_invalid"):
                return False
            raise
        return stat.S_ISREG(status.st_mode)

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object; one that is absent is no error.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, store_permission.
        """
        check_raw_image_id(raw_image_id, limits=self.limits)
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
        check_raw_image_id(raw_image_id, limits=self.limits)
        if not self.has(raw_image_id, run_id=run_id):
            return False
        before = time.time() - older_than
        with self._directory(run_id, create=False) as directory:
            removed = _io(lambda: _delete_older(directory, raw_image_id, before))
            if self.durable:
                _io(lambda: disk.sync(directory))
        return removed

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects that could be images, in order; temporary files apart."""
        with self._directory(run_id, create=False) as directory:
            return iter(_io(lambda: _objects_in(directory)))

    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        """Name, size and age of all objects that could be images, in order."""
        with self._directory(run_id, create=False) as directory:
            return iter(_io(lambda: _entries_in(directory)))

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The file: URL of a stored image."""
        check_raw_image_id(raw_image_id, limits=self.limits)
        return self.root.joinpath(*self.scope.parts(run_id), raw_image_id).as_uri()

    def sweep(self, *, older_than: float = 3600.0, run_id: str | None = None) -> int:
        """Removes temporary files of writers that died; returns how many.

        Args:
            older_than: Seconds since the last write; younger ones may still be in use.
            run_id: The run, where the store holds several.
        """
        with self._directory(run_id, create=False) as directory:
            return _io(lambda: _sweep(directory, time.time() - older_than))

    @contextlib.contextmanager
    def _directory(self, run_id: str | None, *, create: bool) -> Generator[int, None, None]:
        """A descriptor of the images directory; no part below the root may be a symbolic link."""
        parts = self.scope.parts(run_id)
        # Through the descriptor that is held, and not through the path again, which another writer
        # may have led elsewhere; opened anew, so that listings do not share their position.
        descriptor = _io(lambda: os.open(".", disk.DIRECTORY, dir_fd=self._root))
        try:
            if os.fstat(descriptor).st_nlink == 0:
                raise MMRawError("store_invalid", "the store's directory was removed; open it anew")
            sync = create and self.durable and run_id not in self._prepared
            for part in parts:
                descriptor = self._descend(descriptor, part, create, sync=sync)
            yield descriptor
        finally:
            os.close(descriptor)

    def _descend(self, parent: int, part: str, create: bool, *, sync: bool) -> int:
        """The directory `part` below `parent`; `parent` is closed where that succeeds."""
        mode = self._dir_mode if create else None
        child = _io(lambda: disk.open_child(parent, part, create_mode=mode, sync_entry=sync))
        if child is None:
            message = "the run has no stored images"
            raise MMRawError("source_unavailable", message, "$.raw_image_id")
        os.close(parent)
        return child


def _plain_path(place: str | os.PathLike[str]) -> str:
    """An absolute path; a value that cannot be one is refused."""
    path: str | bytes | None
    try:
        path = os.path.abspath(os.fspath(place))
    except (TypeError, ValueError):
        path = None
    if not isinstance(path, str) or "\x00" in path:
        raise MMRawError("store_invalid", "expected the path of a directory")
    return path


def _objects_in(directory: int) -> list[str]:
    """Regular files that are not hidden, in order."""
    with os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
        )


def _entries_in(directory: int) -> list[StoredObject]:
    found: list[StoredObject] = []
    for name in _objects_in(directory):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            found.append(StoredObject(name, status.st_size, status.st_mtime))
    return found


def _delete_older(directory: int, name: str, before: float) -> bool:
    """Whether the object was last put before that time and is gone now."""
    temporary = f"{_TEMPORARY}{secrets.token_hex(16)}.tmp"
    try:
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime > before:
            return False
        os.rename(name, temporary, src_dir_fd=directory, dst_dir_fd=directory)
        young = os.stat(temporary, dir_fd=directory, follow_symlinks=False).st_mtime > before
        if young:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.unlink(temporary, dir_fd=directory)
    except FileNotFoundError:
        # Deleted by somebody else, before or after its name was taken away.
        return False
    return not young


def _sweep(directory: int, before: float, most: int | None = None) -> int:
    """Removes temporary files last written before that time; returns how many.

    At most `most` entries of the directory are looked at; None looks at all.
    """
    removed = 0
    with os.scandir(directory) as entries:
        seen = itertools.islice(entries, most)
        names = [entry.name for entry in seen if _is_temporary(entry.name)]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime < before:
                os.unlink(name, dir_fd=directory)
                removed += 1
    return removed


def _is_temporary(name: str) -> bool:
    return len(name) == _TEMPORARY_LENGTH and name.startswith(_TEMPORARY) and name.endswith(".tmp")


def _read_all(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes; a file that grows while it is read is cut there and fails its hash."""
    parts: list[bytes] = []
    left = size
    while left > 0:
        part = os.read(descriptor, left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
