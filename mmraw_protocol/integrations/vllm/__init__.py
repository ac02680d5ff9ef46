"""Refs in the generate requests of an unmodified vLLM server.

Start the server with `vllm serve MODEL --enable-scale-out --middleware
mmraw_protocol.integrations.vllm.MMRawMiddleware` and set what it may read by MMRAW_* variables
(`Settings`); docs/vllm.md has the whole way. Tested with vLLM 0.32. Only `connection` and
`handover` touch vLLM; the rest is plain ASGI and imports without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .middleware import MMRawMiddleware
    from .resolver import ItemMaker, Resolver
    from .settings import Settings

__all__ = ["ItemMaker", "MMRawMiddleware", "Resolver", "Settings"]

# vLLM imports this package into every process of its own, for the plugin's sake.
_LATER = {
    "ItemMaker": "resolver",
    "MMRawMiddleware": "middleware",
    "Resolver": "resolver",
    "Settings": "settings",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    return value
