"""The features body of a generate request: hashes, placeholders and refs, by feature modality.

Source: spec/README.md, section "Features"; schema urn:mmraw:features:v1; the rules on modalities,
lengths and overlap are those of vLLM 0.32.
"""

from .._generated.types import PlaceholderRange
from .building import build_features
from .growing import FeaturesBuilder
from .memory import RefMemory
from .model import Features, MultiModalData, Slot
from .reading import parse_features

__all__ = [
    "Features",
    "FeaturesBuilder",
    "MultiModalData",
    "PlaceholderRange",
    "RefMemory",
    "Slot",
    "build_features",
    "parse_features",
]
