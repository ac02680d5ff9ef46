"""Kimi K2.5 (family `kimi_k25`).

Arithmetic of the NaViT resize as Kimi_K25ImageProcessor of transformers 5.24 runs it; for an odd
patch_limit_on_one_side the refusal of the original remote-code processor is followed.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import KimiK25Layout, KimiK25Payload
from ..wire.errors import MMRawError
from ..wire.ref import Payload
from .base import Layout
from .built_in import BuiltInAdapter
from .conventions import SINGLE
from .grid import Grid, check_grid, unresized_grid


def kimi_content(
    width: int,
    height: int,
    patch_size: int = 14,
    in_patch_limit: int = 16384,
    patch_limit_on_one_side: int = 512,
) -> tuple[int, int]:
    """(height, width) in pixels after resizing and before padding. The sides must be positive."""
    longest = patch_limit_on_one_side * patch_size
    across, down = width // patch_size or 1, height // patch_size or 1
    scale = min(1.0, math.sqrt(in_patch_limit / (across * down)), longest / width, longest / height)
    wide = min(int(width * scale) or 1, longest)
    high = min(int(height * scale) or 1, longest)
    return high, wide


def _padded(high: int, wide: int, patch_size: int, merge_kernel_size: int) -> tuple[int, int]:
    """(h, w) in patches, padded to the merge raster; pixels in."""
    factor = patch_size * merge_kernel_size
    return -(-high // factor) * merge_kernel_size, -(-wide // factor) * merge_kernel_size


class KimiK25Adapter(BuiltInAdapter[KimiK25Layout, KimiK25Payload], family="kimi_k25"):
    """The adapter of this family; `placeholder` is `single` (one token) or `expanded`."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return self.config.merge_kernel_size

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), layout_refused, limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        patch, merge, longest = config.patch_size, self.merge_size, config.patch_limit_on_one_side
        high, wide = height, width
        if config.do_resize:
            high, wide = kimi_content(width, height, patch, config.in_patch_limit, longest)
            h, w = _padded(high, wide, patch, merge)
            if h > longest or w > longest:
                message = "padded to the merge raster, a side exceeds patch_limit_on_one_side"
                raise MMRawError("layout_refused", message)
        else:
            h, w = unresized_grid(width, height, patch, merge)
        grid = check_grid((1, h, w), merge_size=self.merge_size, limits=limits, path="$.grid_thw")
        tokens = self._tokens(grid)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=1 if self.placeholder == SINGLE else tokens,
            payload=KimiK25Payload(grid_thws=(grid,), num_media_tokens=tokens),
            resized=(w * config.patch_size, h * config.patch_size),
            content=(wide, high),
        )

    def _tokens(self, grid: Grid) -> int:
        fixed = self.config.fixed_output_tokens
        t, h, w = grid
        return fixed if fixed is not None else t * h * w // self.merge_size**2

    def num_tokens(self, payload: Payload) -> int:
        """num_media_tokens if the payload names it, else what the grid gives."""
        typed = self.typed(payload)
        if isinstance(typed.num_media_tokens, int):
            return typed.num_media_tokens
        return self._tokens(typed.grid_thws[0])


ADAPTER = KimiK25Adapter
