"""mmraw-protocol: the contract by which images travel through multimodal RL.

Everything for daily use has its name here. What reads and writes refs is imported at once; the rest
(envelopes, features, images, stores, materialization) when its name is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .wire._generated.limits import DEFAULT_LIMITS, Limits
from .wire._generated.types import (
    KimiK25Layout,
    KimiK25Payload,
    PlaceholderRange,
    QwenVlLayout,
    QwenVlPayload,
)
from .wire.errors import ERRORS, MMRawError
from .wire.ref import RawMMRef, check_raw_image_id, format_ref, is_ref, normalize_run_id, parse_ref
from .wire.schemas import schemas

if TYPE_CHECKING:
    from .conversation.expansion import compact_prompt, expand_prompt
    from .conversation.features_builder import FeaturesBuilder
    from .conversation.image_refs import content_parts, mm_refs, ref_messages
    from .conversation.messages import inline_messages, mm_data, offload_messages, pack_images
    from .conversation.url_conversion import (
        content_parts_to_features,
        features_to_content_parts,
        features_to_mm_refs,
        mm_refs_to_content_parts,
        mm_refs_to_features,
    )
    from .families import get_adapter
    from .images import ImageSource
    from .materialize import Materializer
    from .stores import open_store
    from .stores.convert import convert_ref
    from .stores.verify import verify_ref
    from .wire.content_parts import ContentParts, parse_content_parts
    from .wire.features import Features, MultiModalData, build_features, parse_features
    from .wire.item import RawMMItem, make_item, parse_item
    from .wire.mm_refs import MmRefs, parse_mm_refs
    from .wire.ref_memory import RefMemory

__all__ = [
    "DEFAULT_LIMITS",
    "ERRORS",
    "ContentParts",
    "Features",
    "FeaturesBuilder",
    "ImageSource",
    "KimiK25Layout",
    "KimiK25Payload",
    "Limits",
    "MMRawError",
    "Materializer",
    "MmRefs",
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
    "compact_prompt",
    "content_parts",
    "content_parts_to_features",
    "convert_ref",
    "expand_prompt",
    "features_to_content_parts",
    "features_to_mm_refs",
    "format_ref",
    "get_adapter",
    "inline_messages",
    "is_ref",
    "make_item",
    "mm_data",
    "mm_refs",
    "mm_refs_to_content_parts",
    "mm_refs_to_features",
    "normalize_run_id",
    "offload_messages",
    "open_store",
    "pack_images",
    "parse_content_parts",
    "parse_features",
    "parse_item",
    "parse_mm_refs",
    "parse_ref",
    "ref_messages",
    "schemas",
    "verify_ref",
]

_LATER = {
    "ContentParts": "wire.content_parts",
    "Features": "wire.features",
    "FeaturesBuilder": "conversation.features_builder",
    "ImageSource": "images",
    "Materializer": "materialize",
    "MmRefs": "wire.mm_refs",
    "MultiModalData": "wire.features",
    "RawMMItem": "wire.item",
    "RefMemory": "wire.ref_memory",
    "build_features": "wire.features",
    "compact_prompt": "conversation.expansion",
    "content_parts": "conversation.image_refs",
    "content_parts_to_features": "conversation.url_conversion",
    "convert_ref": "stores.convert",
    "expand_prompt": "conversation.expansion",
    "features_to_content_parts": "conversation.url_conversion",
    "features_to_mm_refs": "conversation.url_conversion",
    "get_adapter": "families",
    "inline_messages": "conversation.messages",
    "make_item": "wire.item",
    "mm_data": "conversation.messages",
    "mm_refs": "conversation.image_refs",
    "mm_refs_to_content_parts": "conversation.url_conversion",
    "mm_refs_to_features": "conversation.url_conversion",
    "offload_messages": "conversation.messages",
    "open_store": "stores",
    "pack_images": "conversation.messages",
    "parse_content_parts": "wire.content_parts",
    "parse_features": "wire.features",
    "parse_item": "wire.item",
    "parse_mm_refs": "wire.mm_refs",
    "ref_messages": "conversation.image_refs",
    "verify_ref": "stores.verify",
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
