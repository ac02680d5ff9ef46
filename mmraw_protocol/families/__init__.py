"""Families: from (width, height) to grid, payload and placeholder, and back from payloads."""

from .base import Adapter, ImageDescription, Layout
from .config import read_config, typed_config
from .family import FamilyAdapter
from .fingerprint import layout_fingerprint
from .registry import families, get_adapter, register_adapter

__all__ = [
    "Adapter",
    "FamilyAdapter",
    "ImageDescription",
    "Layout",
    "families",
    "get_adapter",
    "layout_fingerprint",
    "read_config",
    "register_adapter",
    "typed_config",
]
