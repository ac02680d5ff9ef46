"""Images in an object store (S3, GCS, Azure, memory), through obstore.

One object is one request: `put` is atomic on the server, and `get` never sees half an object that
would pass for a whole one, since its hash is checked.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from .base import StoredObject, check_age, check_name, check_new_object, verify_object
from .clients import client_for
from .names import name_for
from .object_errors import store_error
from .place import parse_place
from .runs import RunScope

Result = TypeVar("Result")

_CHUNK = 1024 * 1024
_PAGE = 1000


class ObjectStore(Shown):
    """A store in a bucket, or in memory.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `memory://`: the
            images of one run, or, with `run_ids`, the prefix that holds `run_<run_id>/` prefixes.
            Credentials and endpoint come from the environment, as the cloud's own tools take them.
        run_id: The run whose images these are; refs of other runs are refused. None accepts any.
        run_ids: The runs that may be used below `url`.
        limits: Most bytes of an image.
        timeout: Seconds that one request may take, its body included.
        retries: How often a request that failed for the server's or the network's reasons is
            repeated, with growing pauses.
        retry_seconds: Seconds after which nothing is repeated any more. A call takes at most twice
            this and one `timeout`; a listing does so for each thousand objects.
        client: A store of obstore's own to use for the bucket, instead of one from the environment.

    Nothing is requested before the first call. Threads may share a store, and it can be pickled;
    a process that was forked off one that already used an object store is refused, since the
    client would wait there forever.

    Raises:
        MMRawError: store_invalid, store_permission, invalid_run_id, missing_dependency.
    """

    def __init__(
        self,
        url: str,
        *,
        run_id: str | None = None,
        run_ids: Iterable[str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        timeout: float = 30.0,
        retries: int = 4,
        retry_seconds: float = 60.0,
        client: Any = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "run_id": run_id,
            "run_ids": None if run_ids is None else tuple(run_ids),
            "limits": limits,
            "timeout": timeout,
            "retries": retries,
            "retry_seconds": retry_seconds,
            "client": client,
        }
        self.place = parse_place(url)
        self.scope = RunScope.of(run_id, self._options["run_ids"])
        self.limits = limits
        if client is None:
            client = client_for(self.place, timeout, retries, retry_seconds)
        self._client = client

    def _shown(self) -> Mapping[str, object]:
        return {"url": self.place.url(), **self.scope.shown()}

    def __reduce__(self) -> tuple[Any, ...]:
        # Without credentials: the other process takes them from its own environment.
        if self.place.scheme == "memory" and self._options["client"] is None:
            raise TypeError("a store in memory belongs to its process")
        return _reopen, (self.place.url(), self._options)

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

        What may be there already is overwritten with the same bytes: reading it to compare would
        cost as much, an ETag proves nothing about a sha256, a damaged object is mended on the way,
        and the object becomes young again, so that a collection that runs meanwhile spares it.

        Raises:
            MMRawError: empty_source, limit_exceeded, run_mismatch, store_full, store_permission,
                store_invalid, store_unavailable.
        """
        data = check_new_object(data, self.limits)
        name = name_for(data, sha256_hex(data))
        self._write(name, data, run_id)
        return name

    def put_named(self, raw_image_id: str, data: bytes, *, run_id: str | None = None) -> None:
        """Stores an image under a name that an older writer gave it.

        Raises:
            MMRawError: what `put` raises, invalid_raw_image_id, object_corrupt (not what the name
                promises).
        """
        check_name(raw_image_id, self.limits)
        data = check_new_object(data, self.limits)
        self._write(raw_image_id, verify_object(data, raw_image_id), run_id)

    def _write(self, name: str, data: bytes, run_id: str | None) -> None:
        key = self._key(name, run_id)
        # One request: its body is signed as a whole and the object appears at once or not at all.
        for _ in range(1 + self._options["retries"]):
            with _absent_is_fine():
                _call(lambda: self._client.put(key, data, use_multipart=False))
                return
            # "Not found" on writing: servers over a file system drop the directory that a deletion
            # emptied, under the write's feet.
        raise MMRawError("store_unavailable", "the object store does not keep what is written")

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image, verified against the hex digits of its name.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, source_unavailable, object_corrupt,
                limit_exceeded, store_permission, store_invalid, store_unavailable.
        """
        check_name(raw_image_id, self.limits)
        key = self._key(raw_image_id, run_id)
        return verify_object(self._read(key), raw_image_id)

    def _read(self, key: str) -> bytes:
        """The whole object; a body that breaks off is asked for again.

        The client repeats requests by itself, but not those whose body had begun.
        """
        until = time.monotonic() + self._options["retry_seconds"]
        left = self._options["retries"]
        while True:
            answer = _call(lambda: self._client.get(key))
            failed: MMRawError | None = None
            try:
                return _call(partial(self._body, answer))
            except MMRawError as error:
                failed = error
            left -= 1
            if failed.code != "store_unavailable" or left < 0 or time.monotonic() > until:
                raise failed

    def _body(self, answer: Any) -> bytes:
        """The bytes of an answer; one that is too large is refused before its body is read."""
        most = self.limits.inline_image_bytes
        total, parts = int(answer.meta["size"]), list[bytes]()
        if total <= most:
            total = 0
            for part in answer.stream(min_chunk_size=_CHUNK):
                total += len(part)
                if total > most:
                    break
                parts.append(bytes(part))
        if total > most:
            message = f"expected at most {most} bytes in a stored image, got more"
            raise MMRawError("limit_exceeded", message)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """True if an object of that name is there; its bytes are not read.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, store_permission, store_invalid,
                store_unavailable.
        """
        check_name(raw_image_id, self.limits)
        return self._modified(self._key(raw_image_id, run_id)) is not None

    def _modified(self, key: str) -> float | None:
        """The time at which an object was written, by the server's clock; None if there is none."""
        with _absent_is_fine():
            return float(_call(lambda: self._client.head(key))["last_modified"].timestamp())
        return None

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object; one that is absent is no error.

        Raises:
            MMRawError: invalid_raw_image_id, run_mismatch, store_permission, store_invalid,
                store_unavailable.
        """
        check_name(raw_image_id, self.limits)
        key = self._key(raw_image_id, run_id)
        with _absent_is_fine():
            _call(lambda: self._client.delete(key))

    def delete_older(
        self, raw_image_id: str, *, older_than: float, run_id: str | None = None
    ) -> bool:
        """Removes an object that was last put more than `older_than` seconds ago.

        Age is looked up right before the deletion, in a request of its own: object stores have no
        deletion on condition.

        Returns:
            Whether it was removed.
        """
        check_age(older_than)
        check_name(raw_image_id, self.limits)
        modified = self._modified(self._key(raw_image_id, run_id))
        if modified is None or modified > time.time() - older_than:
            return False
        self.delete(raw_image_id, run_id=run_id)
        return True

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects that could be images."""
        return (entry.raw_image_id for entry in self.entries(run_id=run_id))

    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        """Name, size and age of all objects that could be images.

        Raises:
            MMRawError: run_mismatch, store_permission, store_invalid, store_unavailable.
        """
        prefix = self._key("", run_id)
        return self._entries(prefix)

    def _entries(self, prefix: str) -> Iterator[StoredObject]:
        pages = _call(lambda: self._client.list(prefix.rstrip("/") or None, chunk_size=_PAGE))
        while True:
            page = _call(lambda: next(pages, None))
            if page is None:
                return
            for meta in page:
                name = str(meta["path"]).removeprefix(prefix)
                if "/" not in name and not name.startswith("."):
                    modified = meta["last_modified"].timestamp()
                    yield StoredObject(name, int(meta["size"]), modified)

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The URL of a stored image, for example `s3://bucket/prefix/<raw_image_id>`."""
        check_name(raw_image_id, self.limits)
        return self.place.url(*self.scope.parts(run_id), raw_image_id)

    def _key(self, name: str, run_id: str | None) -> str:
        return self.place.key(*self.scope.parts(run_id), name)


def _reopen(url: str, options: dict[str, Any]) -> ObjectStore:
    return ObjectStore(url, **options)


#: The process whose threads do the client's work; they do not live on in a fork.
_owner: int | None = None


def _call(work: Callable[[], Result]) -> Result:
    """Returns the result of `work`; the client's exceptions become an MMRawError."""
    global _owner
    if _owner is None:
        _owner = os.getpid()
    if _owner != os.getpid():
        message = "this process was forked after the object store was used: start it with spawn"
        raise MMRawError("store_invalid", message)
    failed: MMRawError | None = None
    try:
        return work()
    except MMRawError:
        raise
    except Exception as error:  # noqa: BLE001
        failed = store_error(error)
    raise failed


@contextlib.contextmanager
def _absent_is_fine() -> Generator[None, None, None]:
    try:
        yield
    except MMRawError as error:
        if error.code != "source_unavailable":
            raise
