"""The features body of a generate request: hashes, placeholders and refs, by feature modality.

Source: spec/README.md, section "Features"; schema urn:mmraw:features:v1; the rules on modalities,
lengths and overlap are those of vLLM 0.32.
"""

from ._generated.types import PlaceholderRange
from .features_build import build_features
from .features_model import MAPS, Features, MultiModalData, Slot, check_count, check_overlap
from .features_read import check_modalities, parse_features

__all__ = [
    "MAPS",
    "Features",
    "MultiModalData",
    "PlaceholderRange",
    "Slot",
    "build_features",
    "check_count",
    "check_modalities",
    "check_overlap",
    "parse_features",
]
