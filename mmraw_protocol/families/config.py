"""From what a caller has (None, parameters, a preprocessor_config.json) to a typed struct."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from ..wire._generated.families import FamilyInfo
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.errors import MMRawError
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


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value under a path of keys, which may also stand as one key; None where it is absent."""
    if path in document:
        return document[path]
    node: Any = document
    for key in path.split("."):
        if not isinstance(node, Mapping):
            return None
        node = cast("Mapping[str, Any]", node).get(key)
    return node


def parameters_in(document: Mapping[str, Any], info: FamilyInfo) -> dict[str, Any]:
    """The layout parameters that a configuration has, by their names or the processor's."""
    found: dict[str, Any] = {}
    for name in info.layout.__struct_fields__:
        values = (value_at(document, path) for path in (name, *info.config_names.get(name, ())))
        value = next((value for value in values if value is not None), None)
        if value is not None:
            found[name] = value
    return found


def are_layout_parameters(document: Mapping[str, Any], info: FamilyInfo) -> bool:
    """Whether a mapping holds nothing but layout parameters by their names in the fingerprint."""
    return set(document) <= set(info.layout.__struct_fields__)


def typed_config(parameters: Mapping[str, Any], kind: type[Config]) -> Config:
    """Layout parameters as a struct of a family that is not built in.

    Raises:
        MMRawError: invalid_config.
    """
    try:
        # Integers that no reader keeps would fail later, in the fingerprint.
        check_json_value(dict(parameters))
        return msgspec.convert(dict(parameters), kind)
    except (MMRawError, msgspec.ValidationError):
        pass
    message = f"expected the layout parameters {', '.join(kind.__struct_fields__)}"
    raise MMRawError("invalid_config", message)


def checked_config(parameters: Mapping[str, Any], info: FamilyInfo) -> Any:
    """The layout parameters as the struct of a built-in family.

    Raises:
        MMRawError: invalid_config, naming the parameter.
    """
    document = dict(parameters)
    try:
        # Integers that no reader keeps would fail later, in the fingerprint.
        check_json_value(document)
        info.check_layout(document, "$", DEFAULT_LIMITS)
        return msgspec.convert(document, info.layout)
    except MMRawError as error:
        reason = error
    raise MMRawError("invalid_config", reason.message, reason.path)
