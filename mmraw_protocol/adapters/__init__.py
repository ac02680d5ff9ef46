"""Families: from (width, height) to grid, payload and placeholder, and back from payloads."""

from .base import Adapter, ImageDescription, Layout
from .fingerprint import layout_fingerprint
from .registry import families, get_adapter, register_adapter

__all__ = [
    "Adapter",
    "ImageDescription",
    "Layout",
    "families",
    "get_adapter",
    "layout_fingerprint",
    "register_adapter",
]
