"""Asset stores: where offloaded images live, by content, on a disk or in a bucket.

Source: spec/README.md, section "Stores".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from .base import AssetStore, StoredObject, verify_object
from .cached import DEFAULT_CACHE_BYTES, CachedStore
from .local import LocalStore
from .names import name_for, sniff_extension
from .object import ObjectStore
from .place import local_place

__all__ = [
    "AssetStore",
    "CachedStore",
    "LocalStore",
    "ObjectStore",
    "StoredObject",
    "name_for",
    "open_store",
    "sniff_extension",
    "verify_object",
]


def open_store(
    place: str | os.PathLike[str],
    *,
    run_id: str | None = None,
    run_ids: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
    **options: Any,
) -> AssetStore:
    """The store at a path or URL.

    Args:
        place: A directory (`~` is the home directory) or a `file:///` URL of one, which may end in
            `?file_mode=0664&dir_mode=2775`; `s3://bucket/prefix`, `gs://bucket/prefix`,
            `az://container/prefix` (extra `object-store`); or `memory://`, a store of its own for
            each call. It is the place of one run's images or, with `run_ids`, the root under which
            the images of a run are at `run_<run_id>/assets/images/`.
        run_id: The one run whose refs may use the store; None accepts any.
        run_ids: The runs that may be used below `place`.
        limits: Most bytes of an image.
        cache_dir: A local directory in which images that were read are kept for the next time.
        cache_bytes: Most bytes to keep there.
        options: What the store's class takes: `durable=False` for a directory, `timeout=10` for a
            bucket; see `LocalStore` and `ObjectStore`.

    Raises:
        MMRawError: store_invalid, store_permission, invalid_type, invalid_run_id,
            missing_dependency, unsupported_option.
    """
    found = local_place(place)
    kind = LocalStore if found is not None else ObjectStore
    if found is None:
        # Asked of any place by callers who only read or set permissions; a bucket has neither.
        for name in ("create", "file_mode", "dir_mode"):
            options.pop(name, None)
    if unknown := set(options) - set(_OPTIONS[kind]):
        count = len(unknown)
        message = f"expected the options of this kind of store, got {count} others"
        raise MMRawError("unsupported_option", message)
    scope: Any = {"run_id": run_id, "run_ids": run_ids, "limits": limits}
    store: AssetStore
    if found is not None:
        given = {name: value for name, value in options.items() if value is not None}
        store = LocalStore(found.path, **scope, **{**found.options, **given})
    else:
        store = ObjectStore(str(place), **scope, **options)
    if cache_dir is None:
        return store
    return CachedStore(store, cache_dir, max_bytes=cache_bytes, limits=limits)


_OPTIONS: dict[type, tuple[str, ...]] = {
    LocalStore: ("create", "durable", "file_mode", "dir_mode"),
    ObjectStore: ("timeout", "retries", "retry_seconds", "client"),
}
