"""mmraw-protocol: the contract by which images travel through multimodal RL.

Everything for daily use has its name here. What reads and writes refs is imported at once; the rest
(envelopes, features, images, stores, materialization) when its name is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import (
    KimiK25Layout,
    KimiK25Payload,
    PlaceholderRange,
    QwenVlLayout,
    QwenVlPayload,
)
from ._version import __version__
from .errors import ERRORS, MMRawError
from .refs import (
    RawMMRef,
    check_raw_image_id,
    format_ref,
    is_ref,
    normalize_run_id,
    parse_ref,
)
from .schemas import schemas

if TYPE_CHECKING:
    from .adapters import get_adapter
    from .assets import open_store
    from .convert import convert_ref
    from .features import (
        Features,
        FeaturesBuilder,
        MultiModalData,
        RefMemory,
        build_features,
        parse_features,
    )
    from .images import ImageSource
    from .items import RawMMItem, make_item, parse_item
    from .materialize import Materializer
    from .messages import inline_messages, mm_data, offload_messages, pack_images
    from .verify import verify_ref

__all__ = [
    "DEFAULT_LIMITS",
    "ERRORS",
    "Features",
    "FeaturesBuilder",
    "ImageSource",
    "KimiK25Layout",
    "KimiK25Payload",
    "Limits",
    "MMRawError",
    "Materializer",
    "MultiModalData",
    "PlaceholderRange",
    "QwenVlLayout",
    "QwenVlPayload",
    "RawMMItem",
    "RawMMRef",
    "RefMemory",
    "__version__",
    "build_features",
    "check_raw_image_id",
    "convert_ref",
    "format_ref",
    "get_adapter",
    "inline_messages",
    "is_ref",
    "make_item",
    "mm_data",
    "normalize_run_id",
    "offload_messages",
    "open_store",
    "pack_images",
    "parse_features",
    "parse_item",
    "parse_ref",
    "schemas",
    "verify_ref",
]

_LATER = {
    "Features": "features",
    "FeaturesBuilder": "features",
    "ImageSource": "images",
    "Materializer": "materialize",
    "MultiModalData": "features",
    "RawMMItem": "items",
    "RefMemory": "features",
    "build_features": "features",
    "convert_ref": "convert",
    "get_adapter": "adapters",
    "inline_messages": "messages",
    "make_item": "items",
    "mm_data": "messages",
    "offload_messages": "messages",
    "open_store": "assets",
    "pack_images": "messages",
    "parse_features": "features",
    "parse_item": "items",
    "verify_ref": "verify",
}


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
