"""The registry of adapters by family; third parties add theirs by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Any

import msgspec

from ..wire._generated.families import FAMILIES, FamilyInfo
from ..wire.errors import MMRawError
from .base import GRID_KEY, Adapter, Layout
from .checkpoint import read_given
from .config import checked_config, parameters_in
from .given import Given
from .owner import line_of, named_family
from .plugins import Factory, plugin_factory, plugin_families

#: None (the defaults), a layout struct, a preset's name, layout parameters, or a configuration as a
#: mapping, a path or a hub id.
ConfigLike = Given | msgspec.Struct | Mapping[str, Any] | str | PathLike[str] | None


#: Asks for the family that a configuration is of.
AUTO = "auto"


def _built_in(family: str) -> Factory:
    """The factory of a built-in family: its module is named like it."""

    def make(config: ConfigLike, placeholder: str | None) -> Adapter:
        info = FAMILIES[family]
        module: Any = import_module(f".{family}", __package__)
        parameters, line = _config(config, info)
        return module.ADAPTER(parameters, placeholder, line)

    return make


def _config(config: ConfigLike, info: FamilyInfo) -> tuple[Any, str | None]:
    """The layout parameters of a configuration, and the line of checkpoints that it names."""
    if config is None:
        return info.layout(), None
    if isinstance(config, msgspec.Struct):
        if not isinstance(config, info.layout):
            raise MMRawError("invalid_config", f"expected a {info.layout.__name__}")
        return checked_config(msgspec.structs.asdict(config), info), None
    if isinstance(config, str) and config in info.presets:
        return checked_config(info.presets[config], info), config
    given = config if isinstance(config, Given) else read_given(config)
    return checked_config(parameters_in(given, info), info), line_of(given, info)


_factories: dict[str, Factory] = {family: _built_in(family) for family in FAMILIES}


def family_of(config: ConfigLike) -> str:
    """The built-in family that a configuration is of, by what it names or by its parameters.

    Raises:
        MMRawError: unknown_family, and what reading the configuration raises.
    """
    for family, info in FAMILIES.items():
        if isinstance(config, info.layout) or (isinstance(config, str) and config in info.presets):
            return family
    given = config if isinstance(config, Given) else read_given(config)
    named = named_family(given)
    if named is not None:
        return named
    # Without a name it is of the one family that finds all of its parameters.
    fitting = [name for name in FAMILIES if _fits(given._replace(mapping=False), name)]
    if len(fitting) == 1:
        return fitting[0]
    message = "expected a configuration that fits one built-in family alone; name its family"
    raise MMRawError("unknown_family", message)


def _fits(given: Given, family: str) -> bool:
    try:
        checked_config(parameters_in(given, FAMILIES[family]), FAMILIES[family])
    except MMRawError:
        return False
    return True


def grid_key(family: str) -> str:
    """The name of the grid in the family's payload, and among the arguments of its models."""
    info = FAMILIES.get(family)
    return GRID_KEY if info is None else info.grid_key


def named_grid(family: str, layout: Layout) -> dict[str, Any]:
    """The grid by the names that the family's folder gives its parts, else as `grid_thw`."""
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
        family: As refs name it, or `auto` for the one that the configuration is of.
        config: None for the published defaults; a preset's name (spec/families/<name>/family.json
            lists them); a layout struct; layout parameters by their names in the fingerprint; the
            configuration of an image processor or a whole processor as a mapping; the path of such
            a file or of a checkpoint's folder; the hub id of a checkpoint in the local cache.
        placeholder: One of the family's placeholder conventions; None for the first.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option.
    """
    if family == AUTO:
        if config is None:
            message = "expected a configuration, by which the family is found"
            raise MMRawError("invalid_config", message)
        family = family_of(config)
    factory = _factories.get(family) or plugin_factory(family)
    if factory is None:
        raise MMRawError("unknown_family", "no adapter is registered for this family", "$.family")
    return factory(config, placeholder)
