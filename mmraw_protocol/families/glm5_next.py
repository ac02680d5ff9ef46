"""GLM-5 Next (family `glm5_next`).

Arithmetic of smart_resize as Glm5NextImageProcessor of transformers 5.24 runs it on a still
image; the order of the float operations is part of it.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import Glm5NextLayout, Glm5NextPayload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid, unresized_grid


def glm5_canvas(
    width: int, height: int, factor: int, min_tokens: int, max_tokens: int
) -> tuple[int, int]:
    """(height, width) in pixels of the canvas, multiples of `factor`; at least one token fits.

    The frames of a patch are a factor of every product and every bound, so they cancel.
    """
    area = factor**2
    high, wide = _up(height, factor), _up(width, factor)
    if high * wide < min_tokens * area:
        scale = math.sqrt(min_tokens * area / (height * width))
        high = _up(math.ceil(height * scale), factor)
        wide = _up(math.ceil(width * scale), factor)
    if high * wide > max_tokens * area:
        return _largest(width, height, factor, max_tokens)
    return high, wide


def _up(side: int, factor: int) -> int:
    """The next multiple of `factor`."""
    return -(-side // factor) * factor


def _largest(width: int, height: int, factor: int, max_tokens: int) -> tuple[int, int]:
    """The canvas of the highest picture whose aligned area is within the budget."""
    low, top = 1, height
    best = factor, factor
    while low <= top:
        content = (low + top) // 2
        high = _up(content, factor)
        wide = _up(max(1, math.floor(width * content / height)), factor)
        if high * wide <= max_tokens * factor**2:
            best, low = (high, wide), content + 1
        else:
            top = content - 1
    return best


def glm5_content(
    width: int, height: int, canvas: tuple[int, int], min_tokens: int, factor: int
) -> tuple[int, int]:
    """(width, height) in pixels that the picture fills of the canvas, from the top left."""
    high, wide = canvas
    scale = min(high / height, wide / width)
    if height * width >= factor**2 * min_tokens:
        scale = min(1.0, scale)
    return (
        max(1, min(wide, math.floor(width * scale))),
        max(1, min(high, math.floor(height * scale))),
    )


class Glm5NextAdapter(BuiltInAdapter[Glm5NextLayout, Glm5NextPayload], family="glm5_next"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return self.config.merge_size

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), layout_refused, limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        patch, merge, fewest = config.patch_size, config.merge_size, config.min_image_tokens
        content = width, height
        if config.do_resize:
            bounds = fewest, config.max_image_tokens
            canvas = glm5_canvas(width, height, patch * merge, *bounds)
            content = glm5_content(width, height, canvas, fewest, patch * merge)
            h, w = canvas[0] // patch, canvas[1] // patch
        else:
            h, w = unresized_grid(width, height, patch, merge)
        grid = check_grid((1, h, w), merge_size=merge, limits=limits, path="$.grid_thw")
        tokens = h * w // merge**2
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=Glm5NextPayload(image_grid_thw=(grid,)),
            resized=(w * patch, h * patch),
            content=content,
        )

    @staticmethod
    def refusal_of(config: Glm5NextLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        if config.min_image_tokens > config.max_image_tokens:
            return "expected no more than max_image_tokens", "min_image_tokens"
        return None


ADAPTER = Glm5NextAdapter
