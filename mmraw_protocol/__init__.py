"""mmraw-protocol: the contract by which images travel through multimodal RL."""

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
from .features import Features, MultiModalData, build_features, parse_features
from .items import RawMMItem, make_item, parse_item
from .refs import (
    RawMMRef,
    check_raw_image_id,
    format_ref,
    is_ref,
    normalize_run_id,
    parse_ref,
)
from .schemas import schemas

__all__ = [
    "DEFAULT_LIMITS",
    "ERRORS",
    "Features",
    "KimiK25Layout",
    "KimiK25Payload",
    "Limits",
    "MMRawError",
    "MultiModalData",
    "PlaceholderRange",
    "QwenVlLayout",
    "QwenVlPayload",
    "RawMMItem",
    "RawMMRef",
    "__version__",
    "build_features",
    "check_raw_image_id",
    "format_ref",
    "is_ref",
    "make_item",
    "normalize_run_id",
    "parse_features",
    "parse_item",
    "parse_ref",
    "schemas",
]
