"""Families: from (width, height) to grid, payload and placeholder, and back from payloads."""

from .base import GRID_KEY, Adapter, ImageDescription, Layout
from .config import read_config, typed_config
from .family import FamilyAdapter
from .fingerprint import layout_fingerprint
from .registry import families, family_of, get_adapter, grid_key, named_grid, register_adapter

__all__ = [
    "GRID_KEY",
    "Adapter",
    "FamilyAdapter",
    "ImageDescription",
    "Layout",
    "families",
    "family_of",
    "get_adapter",
    "grid_key",
    "layout_fingerprint",
    "named_grid",
    "read_config",
    "register_adapter",
    "typed_config",
]
