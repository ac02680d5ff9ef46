"""Inkling (family `inkling`).

Arithmetic of InklingImageProcessor of transformers 5.24: a row of patches has one more than
fills it, also if the patch size divides the width.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import InklingLayout, InklingPayload
from ..wire.errors import MMRawError
from ..wire.ref import Payload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid


def inkling_size(width: int, height: int, frac: float | None, cap: int | None) -> tuple[int, int]:
    """(height, width) in pixels after rescaling."""
    if frac is None:
        return height, width
    longest = max(height, width)
    target = longest * frac
    if cap is not None:
        target = min(target, max(cap, longest))
    ratio = target / longest
    if ratio == 1.0:
        return height, width
    return math.floor(height * ratio + 0.5), math.floor(width * ratio + 0.5)


class InklingAdapter(BuiltInAdapter[InklingLayout, InklingPayload], family="inkling"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return 1

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), layout_refused, limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        cap = config.rescale_image_max_upscaled_long_edge
        high, wide = inkling_size(width, height, config.rescale_image_frac, cap)
        if high < 1 or wide < 1:
            raise MMRawError("layout_refused", "rescaled, a side has less than one pixel")
        h, w = -(-high // config.patch), wide // config.patch + 1
        grid = check_grid((1, h, w), merge_size=1, limits=limits, path="$.image_grid_hw")
        return Layout(
            grid_thw=grid,
            num_tokens=h * w,
            placeholder_length=h * w,
            payload=InklingPayload(image_grid_hw=((h, w),), num_patches=h * w),
            resized=(w * config.patch, h * config.patch),
            content=(wide, high),
        )

    def num_tokens(self, payload: Payload) -> int:
        """num_patches."""
        return self.typed(payload).num_patches

    @staticmethod
    def refusal_of(config: InklingLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        frac = config.rescale_image_frac
        if frac is not None and not 0 < frac <= 1024:
            return "expected a number above 0, at most 1024, or null", "rescale_image_frac"
        return None


ADAPTER = InklingAdapter
