"""From what a caller has (nothing, knobs, a preprocessor_config.json) to a typed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from ..wire.errors import MMRawError
from ..wire.explain import typed
from ..wire.json import check_json_value, parse_json

Config = TypeVar("Config", bound=msgspec.Struct)

#: Far above any real preprocessor_config.json.
MAX_CONFIG_BYTES = 1_048_576
FILE_NAME = "preprocessor_config.json"


def read_config(config: Mapping[str, Any] | str | PathLike[str]) -> dict[str, Any]:
    """The document of a mapping, of a file, or of the file in a checkpoint's folder.

    Raises:
        MMRawError: invalid_config, and the codes of strict JSON.
    """
    if isinstance(config, Mapping):
        return dict(config)
    if not isinstance(config, (str, PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_config", "expected a mapping or a path")
    data: bytes | None = None
    try:
        path = Path(config)
        if path.is_dir():
            path = path / FILE_NAME
        if path.is_file():
            with path.open("rb") as file:
                data = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError):
        data = None
    if data is None:
        message = f"no readable {FILE_NAME} at the path that was given"
        raise MMRawError("invalid_config", message)
    if len(data) > MAX_CONFIG_BYTES:
        raise MMRawError("limit_exceeded", "the configuration is larger than 1 MiB")
    document = parse_json(data)
    if not isinstance(document, dict):
        raise MMRawError("invalid_config", "the configuration is no JSON object")
    return cast("dict[str, Any]", document)


def is_knobs(document: Mapping[str, Any], kind: type[msgspec.Struct]) -> bool:
    """Whether a mapping holds nothing but knobs by their names in the fingerprint."""
    return set(document) <= set(kind.__struct_fields__)


def typed_config(knobs: Mapping[str, Any], kind: type[Config]) -> Config:
    """The knobs as the layout's struct.

    Raises:
        MMRawError: invalid_config, naming the knob.
    """
    try:
        # Integers that no reader keeps would fail later, in the fingerprint.
        check_json_value(dict(knobs))
        return typed(dict(knobs), kind, kind.__name__)
    except MMRawError as error:
        reason = error
    raise MMRawError("invalid_config", reason.message, reason.path)
