"""Functions that fsck, gc and sync need of a store beyond the `AssetStore` protocol.

A store may offer `entries`, `delete_older` and `put_named`, as `LocalStore` and `ObjectStore` do.
For one that does not, the functions here do what the protocol allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from .base import AssetStore, StoredObject, verify_object
from .names import name_for


def list_entries(store: AssetStore, *, run_id: str | None = None) -> Iterator[StoredObject]:
    """All objects with size and age; both are None if the store only lists names.

    Raises:
        MMRawError: what listing raises.
    """
    entries = _offered(store, "entries")
    if entries is not None:
        return entries(run_id=run_id)
    return map(StoredObject, store.list(run_id=run_id))


def delete_older(
    store: AssetStore, raw_image_id: str, *, older_than: float, run_id: str | None = None
) -> bool:
    """Removes an object that was last put more than `older_than` seconds ago.

    Returns:
        Whether it was removed.

    Raises:
        MMRawError: unsupported_option (the store does not report ages), what deleting raises.
    """
    remove = _offered(store, "delete_older")
    if remove is None:
        message = "this store does not report the age of its objects, so none can be collected"
        raise MMRawError("unsupported_option", message)
    return bool(remove(raw_image_id, older_than=older_than, run_id=run_id))


def put_named(
    store: AssetStore, raw_image_id: str, data: bytes, *, run_id: str | None = None
) -> None:
    """Stores an image under a given name.

    Raises:
        MMRawError: object_corrupt (not what the name promises), unsupported_option (the store
            cannot hold names of older writers), what putting raises.
    """
    named = _offered(store, "put_named")
    if named is not None:
        named(raw_image_id, data, run_id=run_id)
        return
    digest = sha256_hex(data)
    verify_object(data, raw_image_id, digest)
    if name_for(data, digest) != raw_image_id:
        message = "this store chooses its own names and cannot keep those of older writers"
        raise MMRawError("unsupported_option", message)
    store.put(data, run_id=run_id)


def runs_of(store: AssetStore) -> tuple[str | None, ...]:
    """The runs to go through: those of a root in order, or None for the store's own."""
    run_ids: Any = getattr(store, "run_ids", None)
    return (None,) if run_ids is None else tuple(sorted(run_ids))


def _offered(store: AssetStore, name: str) -> Any:
    return getattr(store, name, None)
