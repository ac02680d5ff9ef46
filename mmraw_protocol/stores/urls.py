"""Finds the stored image of a URL that a message carries."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from ..system.shown import Shown
from ..wire.errors import MMRawError
from .base import AssetStore
from .listing import runs_of


class StoredImage(Shown, msgspec.Struct, frozen=True):
    """An image that is in a store already: its name, and its run if the store holds several."""

    raw_image_id: str
    run_id: str | None


def find_stored(store: AssetStore, source: Any, run_id: str | None = None) -> StoredImage | None:
    """The image that a URL of this very store names; None for every other source.

    The URL is compared with the ones that the store gives, so that none leads anywhere else.
    """
    if not isinstance(source, str) or "://" not in source[:16]:
        return None
    name = source.rpartition("/")[2]
    for run in runs_of(store) if run_id is None else (run_id,):
        with contextlib.suppress(MMRawError):
            if store.url(name, run_id=run) == source:
                return StoredImage(name, run)
    return None
