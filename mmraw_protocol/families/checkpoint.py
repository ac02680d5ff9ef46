"""Reads the configuration that Transformers reads under a path.

A folder is a checkpoint's, or that of a repository in the local cache of the Hugging Face hub;
a name of such a repository is looked up there. Nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, cast

from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.json import parse_json
from .given import Given, given_in, name_in

#: The bounds are far above any real file of a processor or a model.
MAX_CONFIG_BYTES = 1_048_576
MAX_MODEL_BYTES = 16_777_216
PROCESSOR, IMAGE_PROCESSOR, MODEL = (
    "processor_config.json",
    "preprocessor_config.json",
    "config.json",
)
_ID = re.compile(r"\b[\w\-.]{1,96}\b(/\b[\w\-.]{1,96}\b)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def read_config(config: Mapping[str, Any] | str | PathLike[str]) -> dict[str, Any]:
    """The image processor's configuration in a mapping, a file or a checkpoint's folder.

    Raises:
        MMRawError: as `read_given`.
    """
    return dict(read_given(config).processor)


def read_given(config: Any) -> Given:
    """The configuration of a mapping, a file, a checkpoint's folder, or a hub id in the cache.

    Raises:
        MMRawError: invalid_config, limit_exceeded, and the codes of strict JSON.
    """
    if isinstance(config, Mapping):
        return given_in(cast("Mapping[str, Any]", config), mapping=True)
    if not isinstance(config, (str, PathLike)):
        raise MMRawError("invalid_config", expected("a mapping, a path or a hub id", config))
    path = Path(cast("str | PathLike[str]", config))
    if _is(path, Path.is_dir):
        found = _checkpoint(path)
    elif _is(path, Path.is_file):
        found = given_in(_object(path))
    else:
        found = _cached(config) if isinstance(config, str) else None
    if found is None:
        message = f"the path has neither {IMAGE_PROCESSOR} nor {PROCESSOR} with image_processor"
        if isinstance(config, str) and "/" in config and _is_id(config):
            message = f"neither a path nor in the cache; fetch it: hf download {config}"
            message += ' --include "*.json"'
        raise MMRawError("invalid_config", message)
    return found


def _checkpoint(folder: Path) -> Given | None:
    """The configuration of a checkpoint's folder, or of the cache's folder of a repository."""
    if not any(_is(folder / name, Path.is_file) for name in (PROCESSOR, IMAGE_PROCESSOR)):
        snapshot = _snapshot(folder)
        if snapshot is None:
            return None
        folder = snapshot
    return _of_folder(folder)


def _of_folder(folder: Path) -> Given | None:
    """Reads what Transformers reads in a folder: one file or the other, never both merged."""
    whole: dict[str, Any] | None = None
    if _is(folder / PROCESSOR, Path.is_file):
        whole = _object(folder / PROCESSOR)
        if whole.get("image_processor") is not None:
            return given_in(whole)._replace(model_type=_model_type(folder))
    if not _is(folder / IMAGE_PROCESSOR, Path.is_file):
        return None
    processor = _object(folder / IMAGE_PROCESSOR)
    return Given(
        processor,
        whole,
        name_in((whole or {}, processor), "processor_class"),
        _model_type(folder),
        complete=True,
    )


def _model_type(folder: Path) -> Any:
    """`model_type` of the model's configuration; None if there is none."""
    path = folder / MODEL
    if not _is(path, Path.is_file):
        return None
    data, document = _read(path, MAX_MODEL_BYTES), None
    with suppress(ValueError, RecursionError):
        # Published ones have floats that strict JSON has not, such as Infinity.
        document = json.loads(data)
    if not isinstance(document, dict):
        raise MMRawError("invalid_config", f"expected a JSON object in {MODEL}, got other text")
    return cast("dict[str, Any]", document).get("model_type")


def _object(path: Path) -> dict[str, Any]:
    document = parse_json(_read(path, MAX_CONFIG_BYTES))
    if not isinstance(document, dict):
        message = "expected a JSON object as configuration, got other text"
        raise MMRawError("invalid_config", message)
    return cast("dict[str, Any]", document)


def _read(path: Path, most: int) -> bytes:
    data: bytes | None = None
    with suppress(OSError), path.open("rb") as file:
        data = file.read(most + 1)
    if data is None:
        raise MMRawError("invalid_config", f"expected a readable {path.name} at the path, got none")
    if len(data) > most:
        message = f"expected a configuration of at most {most >> 20} MiB, got more"
        raise MMRawError("limit_exceeded", message)
    return data


def _is(path: Path, kind: Any) -> bool:
    """True if a path is of a kind; False for one that the system does not take."""
    try:
        return bool(kind(path))
    except (OSError, ValueError):
        return False


def _is_id(name: str) -> bool:
    """True if a text may be the id of a repository on the hub."""
    plain = "--" not in name and ".." not in name and not name.endswith(".git")
    return plain and _ID.fullmatch(name) is not None


def _cached(name: str) -> Given | None:
    """The configuration of a repository in the local cache."""
    if not _is_id(name):
        return None
    snapshot = _snapshot(_cache() / f"models--{name.replace('/', '--')}")
    return None if snapshot is None else _of_folder(snapshot)


def _snapshot(repository: Path) -> Path | None:
    """The folder of the main revision of a repository in the cache."""
    reference = repository / "refs" / "main"
    if not _is(reference, Path.is_file):
        return None
    commit = _read(reference, MAX_CONFIG_BYTES).decode("ascii", "replace").strip()
    if _COMMIT.fullmatch(commit) is None:
        return None
    return repository / "snapshots" / commit


def _cache() -> Path:
    """The cache's folder, by the variables that huggingface_hub reads."""
    given = os.environ
    base = given.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    home = given.get("HF_HOME", os.path.join(base, "huggingface"))
    hub = given.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    return Path(os.path.expandvars(os.path.expanduser(given.get("HF_HUB_CACHE", hub))))
