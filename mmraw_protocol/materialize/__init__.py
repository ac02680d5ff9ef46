"""Turns refs back into exactly the pixels that were meant, verified on the way.

Source: spec/README.md, sections "Images" and "Order of checks".
"""

from .materializer import MaterializedImage, Materializer, cache_bytes_from_environment

__all__ = ["MaterializedImage", "Materializer", "cache_bytes_from_environment"]
