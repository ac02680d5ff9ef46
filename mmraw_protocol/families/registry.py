"""Which adapter serves which family; third parties add theirs by entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from os import PathLike
from typing import Any

import msgspec

from ..wire._generated.types import KimiK25Layout, QwenVlLayout
from ..wire.errors import MMRawError
from . import kimi_k25 as kimi
from . import qwen_vl as qwen
from .base import Adapter
from .config import is_knobs, read_config, typed_config

GROUP = "mmraw_protocol.families"

#: None (the defaults), a layout struct, a preset's name, knobs, or a preprocessor_config.json.
ConfigLike = msgspec.Struct | Mapping[str, Any] | str | PathLike[str] | None

#: Makes an adapter from a configuration and a placeholder convention, either may be None.
Factory = Callable[[Any, "str | None"], Adapter]


def make_qwen(config: ConfigLike, placeholder: str | None) -> Adapter:
    """The adapter of family `qwen_vl`."""
    if placeholder is not None:
        raise MMRawError("unsupported_option", "family qwen_vl has one placeholder convention")
    return qwen.QwenVlAdapter(_config(config, QwenVlLayout, qwen.PRESETS, qwen.knobs_of))


def make_kimi(config: ConfigLike, placeholder: str | None) -> Adapter:
    """The adapter of family `kimi_k25`."""
    knobs = _config(config, KimiK25Layout, kimi.PRESETS, kimi.knobs_of)
    return kimi.KimiK25Adapter(knobs, placeholder)


def _config(config: ConfigLike, kind: Any, presets: Mapping[str, Any], knobs_of: Any) -> Any:
    if config is None:
        return kind()
    if isinstance(config, msgspec.Struct):
        if not isinstance(config, kind):
            raise MMRawError("invalid_config", f"expected a {kind.__name__}")
        return typed_config(msgspec.structs.asdict(config), kind)
    if isinstance(config, str) and config in presets:
        return presets[config]
    document = read_config(config)
    if is_knobs(document, kind):
        return typed_config(document, kind)
    return typed_config(knobs_of(document), kind)


_factories: dict[str, Factory] = {"kimi_k25": make_kimi, "qwen_vl": make_qwen}


def register_adapter(family: str, factory: Factory) -> None:
    """Makes `factory` serve `family` in this process; a later one replaces an earlier one."""
    _factories[family] = factory


def families() -> tuple[str, ...]:
    """The families that have an adapter, installed plugins among them."""
    names = {entry.name for entry in entry_points(group=GROUP)}
    return tuple(sorted(names | set(_factories)))


def get_adapter(
    family: str, config: ConfigLike = None, *, placeholder: str | None = None
) -> Adapter:
    """The adapter of `family` under `config`.

    Args:
        family: As refs name it, for example `qwen_vl`.
        config: None for the published defaults of the newest checkpoints; a preset's name
            (`qwen2_vl`, `qwen2_5_vl`, `qwen3_vl`, `qwen3_5`, `kimi_k25`); a layout struct; knobs by
            their names in the fingerprint; a checkpoint's preprocessor_config.json as mapping, as
            path to the file or to its folder.
        placeholder: For `kimi_k25`, `single` (default) or `expanded`.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option.
    """
    factory = _factories.get(family) or _plugin(family)
    if factory is None:
        raise MMRawError("unknown_family", "no adapter is registered for this family", "$.family")
    return factory(config, placeholder)


def _plugin(family: str) -> Factory | None:
    """The factory that an installed package offers for `family`; a broken one is one error."""
    for entry in entry_points(group=GROUP):
        if entry.name != family:
            continue
        factory: Factory | None = None
        try:
            factory = entry.load()
        except Exception:  # noqa: BLE001
            # Whatever a third party's module raises on import becomes one clear error below.
            factory = None
        if factory is None:
            message = "the package that registers this family cannot be imported"
            raise MMRawError("unknown_family", message, "$.family")
        _factories[family] = factory
        return factory
    return None
