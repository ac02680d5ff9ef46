"""Which adapter serves which family; third parties add theirs by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Any

import msgspec

from ..wire._generated.families import DEFAULT_FAMILY, FAMILIES, FamilyInfo
from ..wire.errors import MMRawError
from .base import GRID_KEY, Adapter, Layout
from .config import are_layout_parameters, checked_config, parameters_in, read_config
from .plugins import Factory, plugin_factory, plugin_families

#: None (the defaults), a layout struct, a preset's name, layout parameters, or a checkpoint's file.
ConfigLike = msgspec.Struct | Mapping[str, Any] | str | PathLike[str] | None


def _built_in(family: str) -> Factory:
    """The factory of a built-in family: its module is named like it."""

    def make(config: ConfigLike, placeholder: str | None) -> Adapter:
        info = FAMILIES[family]
        module: Any = import_module(f".{family}", __package__)
        return module.ADAPTER(_config(config, info, module), placeholder)

    return make


def _config(config: ConfigLike, info: FamilyInfo, module: Any) -> Any:
    if config is None:
        return info.layout()
    if isinstance(config, msgspec.Struct):
        if not isinstance(config, info.layout):
            raise MMRawError("invalid_config", f"expected a {info.layout.__name__}")
        return checked_config(msgspec.structs.asdict(config), info)
    if isinstance(config, str) and config in info.presets:
        return checked_config(info.presets[config], info)
    document = read_config(config)
    if not are_layout_parameters(document, info):
        read = getattr(module, "layout_parameters_of", None)
        document = parameters_in(document, info) if read is None else read(document, info)
    return checked_config(document, info)


_factories: dict[str, Factory] = {family: _built_in(family) for family in FAMILIES}


def family_of(document: Mapping[str, Any]) -> str:
    """The built-in family whose processor has this configuration.

    Raises:
        MMRawError: unknown_family.
    """
    # The default family describes what has the form of no other, so it is asked last.
    for family in sorted(FAMILIES, key=lambda name: name == DEFAULT_FAMILY):
        module: Any = import_module(f".{family}", __package__)
        describes = getattr(module, "describes", None)
        if describes is not None and describes(document):
            return family
    raise MMRawError("unknown_family", "the configuration is that of no built-in family")


def grid_key(family: str) -> str:
    """The name of the grid in the family's payload, and among the arguments of its models."""
    info = FAMILIES.get(family)
    return GRID_KEY if info is None else info.grid_key


def named_grid(family: str, layout: Layout) -> dict[str, Any]:
    """The grid as tables of layouts name it: grid_thw, grid_hw, or tiles_hw and num_patches."""
    info = FAMILIES.get(family)
    if info is None:
        return {"grid_thw": list(layout.grid_thw)}
    values = {name: getattr(layout.payload, field) for name, field in info.grid.items()}
    return {n: v if isinstance(v, int) else list(v[0]) for n, v in values.items()}


def register_adapter(family: str, factory: Factory) -> None:
    """Makes `factory` serve `family` in this process; a later one replaces an earlier one."""
    _factories[family] = factory


def families() -> tuple[str, ...]:
    """The families that have an adapter, installed plugins among them."""
    return tuple(sorted(plugin_families() | set(_factories)))


def get_adapter(
    family: str, config: ConfigLike = None, *, placeholder: str | None = None
) -> Adapter:
    """The adapter of `family` under `config`.

    Args:
        family: As refs name it.
        config: None for the published defaults; a preset's name (spec/families/<name>/family.json
            lists them); a layout struct; layout parameters by their names in the fingerprint; a
            checkpoint's preprocessor_config.json as mapping, as path to the file or to its folder.
        placeholder: One of the family's placeholder conventions; None for the first.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option.
    """
    factory = _factories.get(family) or plugin_factory(family)
    if factory is None:
        raise MMRawError("unknown_family", "no adapter is registered for this family", "$.family")
    return factory(config, placeholder)
