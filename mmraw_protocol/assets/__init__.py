"""Asset stores: where offloaded images live, by content.

Source: spec/README.md, section "Stores".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from .._generated.limits import DEFAULT_LIMITS, Limits
from ..errors import MMRawError
from .base import AssetStore, verify_object
from .local import LocalStore
from .names import name_for, sniff_extension

__all__ = [
    "AssetStore",
    "LocalStore",
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
    **options: Any,
) -> AssetStore:
    """The store at a path or URL.

    Args:
        place: A directory, or a `file://` URL of one: the images directory of one run, or, with
            `run_ids`, the directory that holds the `run_<run_id>` directories.
        run_id: The one run whose refs may use the store; None accepts any.
        run_ids: The runs that may be used below `place`.
        limits: Most bytes of an image.
        options: What the store's class takes, for example `durable=False`.

    Raises:
        MMRawError: store_invalid, store_permission, invalid_run_id.
    """
    runs = None if run_ids is None else tuple(run_ids)
    path = _local_path(place)
    if path is None:
        message = "expected a directory or a file:// URL"
        raise MMRawError("store_invalid", message)
    return LocalStore(path, run_id=run_id, run_ids=runs, limits=limits, **options)


def _local_path(place: str | os.PathLike[str]) -> str | None:
    """The path of a directory or of its file: URL; None for another scheme."""
    if not isinstance(place, str):
        return os.fspath(place)
    if "://" not in place:
        return place
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    return None
