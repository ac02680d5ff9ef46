"""Gemma 4 (family `gemma4`).

Arithmetic of Gemma4ImageProcessor of transformers 5.24; the order of the float operations is
part of it.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import Gemma4Layout, Gemma4Payload
from ..wire.errors import MMRawError
from ..wire.ref import Payload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid, unresized_grid


def gemma_grid(
    width: int,
    height: int,
    patch_size: int = 16,
    max_soft_tokens: int = 280,
    pooling_kernel_size: int = 3,
) -> tuple[int, int] | None:
    """(h, w) in patches; pixels in. None for an image that the processor refuses."""
    side = pooling_kernel_size * patch_size
    target = max_soft_tokens * side**2
    factor = math.sqrt(target / (height * width))
    high = math.floor(factor * height / side)
    wide = math.floor(factor * width / side)
    if high == wide == 0:
        return None
    if high == 0:
        high, wide = 1, min(math.floor(width / height), max_soft_tokens)
    elif wide == 0:
        high, wide = min(math.floor(height / width), max_soft_tokens), 1
    if high * wide > max_soft_tokens:
        return None
    return high * pooling_kernel_size, wide * pooling_kernel_size


class Gemma4Adapter(BuiltInAdapter[Gemma4Layout, Gemma4Payload], family="gemma4"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return self.config.pooling_kernel_size

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), layout_refused, limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        patch, pooling = config.patch_size, config.pooling_kernel_size
        if config.do_resize:
            found = gemma_grid(width, height, patch, config.max_soft_tokens, pooling)
            if found is None:
                message = "no grid of at least one token keeps the aspect within max_soft_tokens"
                raise MMRawError("layout_refused", message)
        else:
            found = unresized_grid(width, height, patch, pooling)
        h, w = found
        grid = check_grid((1, h, w), merge_size=pooling, limits=limits, path="$.image_grid_hw")
        tokens = h * w // pooling**2
        resized = (w * patch, h * patch)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=Gemma4Payload(image_grid_hw=((h, w),), num_soft_tokens=tokens),
            resized=resized,
            content=resized,
        )

    def num_tokens(self, payload: Payload) -> int:
        """num_soft_tokens."""
        return self.typed(payload).num_soft_tokens


ADAPTER = Gemma4Adapter
