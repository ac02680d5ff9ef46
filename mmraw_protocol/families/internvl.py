"""InternVL in its Transformers form (family `internvl`).

Arithmetic of GotOcr2ImageProcessor of transformers 5.24 under InternVLProcessor; the order in which
tilings are tried is part of it.
"""

from __future__ import annotations

import math
from functools import lru_cache

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import InternVlLayout, InternVlPayload
from ..wire.ref import Payload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid


@lru_cache(maxsize=64)
def tilings(fewest: int, most: int) -> tuple[tuple[int, int], ...]:
    """(columns, rows) of every tiling of `fewest` to `most` tiles, smaller ones first."""
    found: list[tuple[int, int]] = []
    for cols in range(1, most + 1):
        found += [(cols, rows) for rows in range(-(-fewest // cols), most // cols + 1)]
    return tuple(sorted(found, key=lambda tiling: tiling[0] * tiling[1]))


def internvl_tiles(
    width: int, height: int, tile: int = 448, min_patches: int = 1, max_patches: int = 12
) -> tuple[int, int]:
    """(rows, columns) of the tiling whose aspect is nearest to the image's."""
    aspect, area = width / height, width * height
    nearest, best = math.inf, (1, 1)
    for cols, rows in tilings(min_patches, max_patches):
        distance = abs(aspect - cols / rows)
        # On a tie more tiles win, until they are twice as large as the image.
        if distance < nearest or (distance == nearest and area > 0.5 * tile * tile * cols * rows):
            nearest, best = distance, (rows, cols)
    return best


class InternVlAdapter(BuiltInAdapter[InternVlLayout, InternVlPayload], family="internvl"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Tiles are not merged."""
        return 1

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), limit_exceeded.
        """
        self.check_size(width, height, limits)
        config = self.config
        h, w = 1, 1
        if config.crop_to_patches:
            bounds = config.min_patches, config.max_patches
            h, w = internvl_tiles(width, height, config.tile, *bounds)
        grid = check_grid((1, h, w), merge_size=1, limits=limits, path="$.image_tiles_hw")
        patches = h * w + (h * w > 1)
        tokens = patches * config.image_seq_length
        resized = (w * config.tile, h * config.tile)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=InternVlPayload(image_tiles_hw=((h, w),), num_patches=patches),
            resized=resized,
            content=resized,
        )

    def num_tokens(self, payload: Payload) -> int:
        """num_patches * image_seq_length."""
        return self.typed(payload).num_patches * self.config.image_seq_length

    @staticmethod
    def refusal_of(config: InternVlLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        if config.min_patches > config.max_patches:
            return "expected no more than max_patches", "min_patches"
        return None


ADAPTER = InternVlAdapter
