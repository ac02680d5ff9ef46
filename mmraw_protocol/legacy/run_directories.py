"""Run labels and run directories, as the environment names them."""

from __future__ import annotations

import os
from pathlib import Path

from ..conversation import environment
from ..wire.errors import MMRawError
from ..wire.ref import normalize_run_id as _normalize_run_id

RUN_OUTPUT_ROOT = Path("/data/outputs")


IMAGE_OFFLOAD_DIR_ENV = environment.IMAGE_DIR


IMAGE_STORAGE_ENV = environment.STORAGE


RUN_DIR_ENV = environment.RUN_DIR


RUN_ID_ENV = environment.RUN_ID


IMAGE_STORAGE_OFFLOAD = "offload"


IMAGE_STORAGE_INLINE = "inline"


IMAGE_STORAGE_MODES = {IMAGE_STORAGE_OFFLOAD, IMAGE_STORAGE_INLINE}


IMAGE_ASSET_SUBDIR = environment.IMAGE_SUBDIR


def _env(name: str) -> str:
    return os.environ.get(name, "").strip()


def image_storage_mode() -> str:
    """PRIME_RL_MM_IMAGE_STORAGE: `offload` (the default) or `inline`.

    Raises:
        MMRawError: unsupported_option.
    """
    mode = os.environ.get(IMAGE_STORAGE_ENV, IMAGE_STORAGE_OFFLOAD).strip().lower()
    if mode not in IMAGE_STORAGE_MODES:
        message = f"expected offload or inline in {IMAGE_STORAGE_ENV}, got another value"
        raise MMRawError("unsupported_option", message)
    return mode


def normalize_run_id(run_id: str) -> str:
    """The run's label: blanks around it and one leading `run_` taken off.

    Raises:
        MMRawError: invalid_run_id, invalid_type, limit_exceeded.
    """
    return _normalize_run_id(run_id.strip() if isinstance(run_id, str) else run_id)  # pyright: ignore[reportUnnecessaryIsInstance]


def run_dir_name(run_id: str) -> str:
    """`run_<run_id>`."""
    return f"run_{normalize_run_id(run_id)}"


def current_run_id() -> str:
    """The label that refs of this process carry.

    RUN_ID, else the name of PRIME_RL_RUN_DIR, else the name above `/assets/images` of
    VF_RENDERER_IMAGE_OFFLOAD_DIR or `explicit`, else `inline` where images stay inline.

    Raises:
        MMRawError: invalid_run_id, unsupported_option.
        RuntimeError: None of them is set.
    """
    if label := _env(RUN_ID_ENV):
        return normalize_run_id(label)
    if directory := _env(RUN_DIR_ENV):
        return normalize_run_id(Path(directory).name)
    if directory := _env(IMAGE_OFFLOAD_DIR_ENV):
        return _label_of_image_dir(Path(directory).resolve())
    if image_storage_mode() == IMAGE_STORAGE_INLINE:
        return "inline"
    names = f"{RUN_ID_ENV}, {RUN_DIR_ENV} or {IMAGE_OFFLOAD_DIR_ENV}"
    raise RuntimeError(f"set {names}: refs need the run's label")


def _label_of_image_dir(directory: Path) -> str:
    if directory.parts[-2:] == IMAGE_ASSET_SUBDIR.parts:
        try:
            return normalize_run_id(directory.parent.parent.name)
        except MMRawError:
            pass
    return "explicit"


def run_dir(run_id: str | None = None) -> Path:
    """PRIME_RL_RUN_DIR, else `/data/outputs/run_<id>` for `run_id` or RUN_ID.

    Raises:
        MMRawError: invalid_run_id.
        RuntimeError: None of them is set.
    """
    if directory := _env(RUN_DIR_ENV):
        return Path(directory).resolve()
    label = run_id or _env(RUN_ID_ENV)
    if not label:
        raise RuntimeError(f"set {RUN_DIR_ENV} or {RUN_ID_ENV}: the run's directory is not known")
    return (RUN_OUTPUT_ROOT / run_dir_name(label)).resolve()


def run_image_dir(run_id: str | None = None) -> Path:
    """VF_RENDERER_IMAGE_OFFLOAD_DIR, else `assets/images` below `run_dir(run_id)`."""
    if directory := _env(IMAGE_OFFLOAD_DIR_ENV):
        return Path(directory).resolve()
    return (run_dir(run_id) / IMAGE_ASSET_SUBDIR).resolve()
