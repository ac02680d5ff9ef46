"""Nemotron-H Omni (family `nemotron_h_omni`).

Arithmetic of NemotronH_Omni_Reasoning_V3ImageProcessor of transformers 5.24 for one image; the
order of the float operations is part of it.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import NemotronHOmniLayout, NemotronHOmniPayload
from ..wire.errors import MMRawError
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid


def nemotron_grid(
    width: int, height: int, patch_size: int, merge_size: int, fewest: int, most: int
) -> tuple[int, int]:
    """(h, w) in patches, from `fewest` to `most` of them; pixels in."""
    high = round(height / patch_size + 0.5)
    wide = round(width / patch_size + 0.5)
    factor = min(math.sqrt(most / (high * wide)), 1.0)
    high, wide = math.floor(factor * high), math.floor(factor * wide)
    if most > fewest and high * wide < fewest:
        if high * wide == 0:
            return 0, 0
        factor = math.sqrt(fewest / (high * wide))
        high, wide = math.ceil(factor * high), math.ceil(factor * wide)
    high = _aligned(high, wide, merge_size, most)
    return high, _aligned(wide, high, merge_size, most)


def _aligned(side: int, other: int, merge_size: int, most: int) -> int:
    """`side` as a multiple of the merge size: the next one if the budget allows, else less."""
    rest = side % merge_size
    if not rest:
        return side
    up = side + merge_size - rest
    return up if up * other <= most else max(merge_size, side - rest)


class NemotronHOmniAdapter(
    BuiltInAdapter[NemotronHOmniLayout, NemotronHOmniPayload], family="nemotron_h_omni"
):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return round(1 / self.config.downsample_ratio)

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels, alone in its request.

        Raises:
            MMRawError: invalid_value (a side below 1), layout_refused, limit_exceeded.
        """
        self.check_size(width, height, limits)
        config, merge = self.config, self.merge_size
        fewest, patch = config.min_num_patches, config.patch_size
        most = max((config.max_model_len - 4) * merge**2, fewest)
        if config.max_num_patches:
            most = min(most, config.max_num_patches)
        most = max(most, fewest)
        h, w = nemotron_grid(width, height, patch, merge, fewest, most)
        if not h * w:
            raise MMRawError("layout_refused", "the image is too long for a grid within the budget")
        grid = check_grid((1, h, w), merge_size=merge, limits=limits, path="$.image_grid_hw")
        tokens = h * w // merge**2
        resized = (w * patch, h * patch)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=NemotronHOmniPayload(image_grid_hw=((h, w),)),
            resized=resized,
            content=resized,
        )

    @staticmethod
    def refusal_of(config: NemotronHOmniLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        if not 1 / 1024 <= config.downsample_ratio <= 1:
            return "expected a number above 0, at most 1", "downsample_ratio"
        return None


ADAPTER = NemotronHOmniAdapter
