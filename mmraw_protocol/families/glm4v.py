"""GLM-4.1V, GLM-4.5V and GLM-4.6V (family `glm4v`).

Arithmetic of smart_resize as Glm4vImageProcessor and Glm46VImageProcessor of transformers 5.24
run it on a still image; the order of the float operations is part of it.
"""

from __future__ import annotations

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import Glm4vLayout, Glm4vPayload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid, unresized_grid
from .smart_resize import check_aspect, smart_grid


def enlarged(width: int, height: int, factor: int) -> tuple[int, int]:
    """(width, height) of an image of which a side was shorter than `factor`."""
    if height >= factor and width >= factor:
        return width, height
    scale = max(factor / height, factor / width)
    return int(width * scale), int(height * scale)


class Glm4vAdapter(BuiltInAdapter[Glm4vLayout, Glm4vPayload], family="glm4v"):
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
            wide, high = enlarged(width, height, patch * merge)
            check_aspect(wide, high, limits)
            bounds = config.shortest_edge, config.longest_edge, config.temporal_patch_size
            h, w = smart_grid(wide, high, patch, merge, *bounds)
        else:
            h, w = unresized_grid(width, height, patch, merge)
        grid = check_grid((1, h, w), merge_size=merge, limits=limits, path="$.grid_thw")
        tokens = h * w // merge**2
        resized = (w * patch, h * patch)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=Glm4vPayload(image_grid_thw=(grid,)),
            resized=resized,
            content=resized,
        )

    @staticmethod
    def refusal_of(config: Glm4vLayout) -> tuple[str, str] | None:
        """Why no image processor takes these parameters, and the parameter; None if one does."""
        if config.shortest_edge > config.longest_edge:
            return "expected no more than longest_edge", "shortest_edge"
        return None


ADAPTER = Glm4vAdapter
