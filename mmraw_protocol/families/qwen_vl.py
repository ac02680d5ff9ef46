"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).

Arithmetic of smart_resize as Qwen2VLImageProcessor of transformers 5.24 runs it; the order of the
float operations is part of it, since rounding decides rows.
"""

from __future__ import annotations

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import QwenVlLayout, QwenVlPayload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid, unresized_grid
from .smart_resize import check_aspect, smart_grid


def qwen_grid(
    width: int,
    height: int,
    patch_size: int = 16,
    merge_size: int = 2,
    min_pixels: int = 65536,
    max_pixels: int = 16777216,
) -> tuple[int, int]:
    """(h, w) in patches; pixels in. The sides must be positive and no longer than 200 to 1."""
    return smart_grid(width, height, patch_size, merge_size, min_pixels, max_pixels)


class QwenVlAdapter(BuiltInAdapter[QwenVlLayout, QwenVlPayload], family="qwen_vl"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return self.config.merge_size

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), aspect_ratio, layout_refused,
                limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        patch, merge = config.patch_size, config.merge_size
        if config.do_resize:
            check_aspect(width, height, limits)
            h, w = qwen_grid(width, height, patch, merge, config.min_pixels, config.max_pixels)
        else:
            h, w = unresized_grid(width, height, patch, merge)
        grid = (1, h, w)
        # The grid is on the merge raster by construction.
        if h * w > limits.grid_patches:
            check_grid(grid, merge_size=merge, limits=limits, path="$.grid_thw")
        tokens = h * w // (merge * merge)
        resized = (w * patch, h * patch)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=QwenVlPayload(image_grid_thw=(grid,)),
            resized=resized,
            content=resized,
        )

    @staticmethod
    def refusal_of(config: QwenVlLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        if config.min_pixels > config.max_pixels:
            return "expected no more than max_pixels", "min_pixels"
        return None


ADAPTER = QwenVlAdapter
