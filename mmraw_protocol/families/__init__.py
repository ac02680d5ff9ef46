"""Families: from (width, height) to grid, payload and placeholder, and back from payloads."""

from .base import GRID_KEY, Adapter, ImageDescription, Layout
from .checkpoint import read_config
from .config import typed_config
from .conventions import EXPANDED, SINGLE, payload_lengths, placeholder_lengths
from .family import FamilyAdapter
from .fingerprint import layout_fingerprint
from .owner import WHOLE, as_of_family
from .registry import AUTO, families, family_of, get_adapter, grid_key, named_grid, register_adapter

__all__ = [
    "AUTO",
    "EXPANDED",
    "GRID_KEY",
    "SINGLE",
    "WHOLE",
    "Adapter",
    "FamilyAdapter",
    "ImageDescription",
    "Layout",
    "as_of_family",
    "families",
    "family_of",
    "get_adapter",
    "grid_key",
    "layout_fingerprint",
    "named_grid",
    "payload_lengths",
    "placeholder_lengths",
    "read_config",
    "register_adapter",
    "typed_config",
]
