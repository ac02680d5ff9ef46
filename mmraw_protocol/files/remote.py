"""Files in object stores: read in parts, and written whole."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import IO, Any, NamedTuple, TypeVar, cast

from ..stores.clients import client_for
from ..stores.object_errors import store_error
from ..stores.place import SCHEMES, parse_place
from ..wire.errors import MMRawError

Result = TypeVar("Result")

#: Seconds of a request, how often it is repeated, and for how long.
_PATIENCE = (60.0, 5, 120.0)
_MISSING = "the object store has no such object; the URL of a folder ends in a slash"
#: Bytes that are asked for at once.
_PART = 8 << 20


def is_url(name: str) -> bool:
    """Whether a name is the URL of an object store."""
    scheme, found, _ = name.partition("://")
    return bool(found) and scheme in SCHEMES


class State(NamedTuple):
    """Facts that change with an object."""

    size: int
    modified: float
    tag: str | None


def state_of(url: str) -> State | None:
    """The state of an object; None where there is none.

    Raises:
        MMRawError: store_unavailable, store_permission, store_invalid, missing_dependency.
    """
    client, key, library = _opened(url)
    with contextlib.suppress(FileNotFoundError):
        found = _call(lambda: library.head(client, key))
        return State(found["size"], found["last_modified"].timestamp(), found["e_tag"])
    return None


def names_below(url: str) -> list[str]:
    """The keys of the objects below a URL, relative to it, in order; hidden ones are left out.

    Raises:
        MMRawError: store_unavailable, store_permission, store_invalid, missing_dependency.
    """
    client, key, library = _opened(url)
    pages = _call(lambda: list(library.list(client, prefix=key or None)))
    names = [one["path"].removeprefix(key).lstrip("/") for page in pages for one in page]
    return sorted(name for name in names if name and not f"/{name}".count("/."))


def open_remote(url: str) -> IO[bytes]:
    """An object as a file that can be sought in; it reads in parts of 8 MB.

    Raises:
        MMRawError: source_unavailable (there is none), and what `state_of` raises. So does reading.
    """
    client, key, library = _opened(url)
    reader: Any = None
    with contextlib.suppress(FileNotFoundError):
        reader = _call(lambda: library.open_reader(client, key, buffer_size=_PART))
    if reader is None:
        raise MMRawError("source_unavailable", _MISSING)
    return cast("IO[bytes]", io.BufferedReader(_Remote(reader), 1 << 16))


def upload(url: str, file: IO[bytes]) -> None:
    """Puts the rest of a file into an object store, in parts; the object appears when it is whole.

    Raises:
        MMRawError: what `state_of` raises.
    """
    client, key, library = _opened(url)
    _call(lambda: library.put(client, key, file, chunk_size=_PART))


class _Remote(io.RawIOBase):
    def __init__(self, reader: Any) -> None:
        super().__init__()
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = _call(lambda: self._reader.read(len(buffer)))
        buffer[: len(data)] = bytes(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return _call(lambda: self._reader.seek(offset, whence))

    def tell(self) -> int:
        return _call(self._reader.tell)


def _opened(url: str) -> tuple[Any, str, Any]:
    """A client of the bucket, the key, and the library."""
    # Objects that others wrote may have any key; those of a store are named by narrower rules.
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    place = parse_place(f"{scheme}://{bucket}")
    client = client_for(place, *_PATIENCE)
    import obstore

    return client, key, obstore


def _call(work: Callable[[], Result]) -> Result:
    """The result of `work`; an error of the client becomes an MMRawError without its words."""
    failed: MMRawError | None = None
    try:
        return work()
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001
        failed = store_error(error)
    raise failed
