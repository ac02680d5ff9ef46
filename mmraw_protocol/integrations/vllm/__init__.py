"""Refs in an unmodified vLLM server, on every route that takes images.

Start the server with `VLLM_PLUGINS=mmraw vllm serve MODEL` and set what it may read by MMRAW_*
variables (`Settings`); docs/vllm.md has the whole way. For vLLM 0.30 to 0.33. Only `plugin`,
`connector`, `renderers` and `model` touch vLLM; the rest imports without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["Settings"]


def __getattr__(name: str) -> Any:
    # vLLM imports this package into every process of its own, for the plugin's sake.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = importlib.import_module(".settings", __name__).Settings
    return value
