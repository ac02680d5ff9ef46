"""Pixtral and Mistral 3 (family `pixtral`).

Arithmetic of PixtralImageProcessor of transformers 5.24; a patch is patch_size * spatial_merge_size
pixels wide, as PixtralProcessor asks of it.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PixtralLayout, PixtralPayload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid


def pixtral_size(width: int, height: int, longest_edge: int = 1024) -> tuple[int, int]:
    """(height, width) in pixels after shrinking, before the sides are aligned to patches."""
    ratio = max(height / longest_edge, width / longest_edge)
    if ratio > 1:
        return math.floor(height / ratio), math.floor(width / ratio)
    return height, width


class PixtralAdapter(BuiltInAdapter[PixtralLayout, PixtralPayload], family="pixtral"):
    """The adapter of this family; its grid counts tokens."""

    @property
    def merge_size(self) -> int:
        """Grid cells per token along one side."""
        return 1

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        A picture whose short side shrinks to nothing, or is not resized and below a patch, has no
        tokens; `describe` refuses it.

        Raises:
            MMRawError: invalid_value (a side below 1), limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        patch = config.patch_size * config.spatial_merge_size
        resized = width, height
        if config.do_resize:
            high, wide = pixtral_size(width, height, config.longest_edge)
            h, w = -(-high // patch), -(-wide // patch)
            resized = w * patch, h * patch
        else:
            # The model's patches leave out what is right of them and below.
            h, w = height // patch, width // patch
        grid = check_grid((1, h, w), merge_size=1, limits=limits, path="$.image_grid_hw")
        payload = PixtralPayload(image_grid_hw=((h, w),))
        return Layout(
            grid_thw=grid,
            num_tokens=h * w,
            placeholder_length=h * w + h,
            payload=payload,
            resized=resized,
            content=resized,
        )


ADAPTER = PixtralAdapter
