"""The names of the environment that users of the field have set already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.errors import MMRawError

if TYPE_CHECKING:
    from ..stores.base import AssetStore, Storage


IMAGE_DIR = "VF_RENDERER_IMAGE_OFFLOAD_DIR"
RUN_DIR = "PRIME_RL_RUN_DIR"
RUN_ID = "RUN_ID"
STORAGE = "PRIME_RL_MM_IMAGE_STORAGE"
STORAGES: tuple[Storage, ...] = ("offload", "inline")
IMAGE_SUBDIR = Path("assets/images")


def _value(name: str, environment: Mapping[str, str] | None) -> str | None:
    value = (os.environ if environment is None else environment).get(name, "").strip()
    return value or None


def image_dir(environment: Mapping[str, str] | None = None) -> Path | None:
    """VF_RENDERER_IMAGE_OFFLOAD_DIR, else `assets/images` below PRIME_RL_RUN_DIR, else None."""
    if directory := _value(IMAGE_DIR, environment):
        return Path(directory)
    if directory := _value(RUN_DIR, environment):
        return Path(directory) / IMAGE_SUBDIR
    return None


def storage(environment: Mapping[str, str] | None = None) -> Storage:
    """offload or inline by PRIME_RL_MM_IMAGE_STORAGE; offload if it is not set.

    Raises:
        MMRawError: unsupported_option.
    """
    value = _value(STORAGE, environment) or "offload"
    if value not in STORAGES:
        message = f"expected {STORAGE}=offload or inline, got another value"
        raise MMRawError("unsupported_option", message)
    return value


def run_label(
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    inline: bool = False,
) -> str:
    """The run's label, the first that is set.

    RUN_ID, the name of PRIME_RL_RUN_DIR, the name above `/assets/images` of `directory`, `explicit`
    for another directory, `inline` for none.

    Raises:
        MMRawError: invalid_run_id.
    """
    from ..wire.ref import normalize_run_id

    if label := _value(RUN_ID, environment):
        return normalize_run_id(label)
    if run_dir := _value(RUN_DIR, environment):
        return normalize_run_id(Path(run_dir).name)
    if directory is None or inline:
        return "inline"
    if directory.parts[-2:] == IMAGE_SUBDIR.parts and len(directory.parts) > 3:
        return normalize_run_id(directory.parent.parent.name)
    return "explicit"


def label_of(store: AssetStore | None) -> str:
    """The run that the refs of a store name: its own, else `run_label` of its place.

    None means inline refs.

    Raises:
        MMRawError: invalid_run_id.
    """
    from ..stores import LocalStore, ObjectStore

    own = getattr(store, "run_id", None)
    if isinstance(own, str):
        return own
    directory = store.root if isinstance(store, LocalStore) else None
    if isinstance(store, ObjectStore):
        directory = Path("/").joinpath(store.place.bucket, *store.place.prefix)
    return run_label(directory, inline=store is None)
