"""The grid of an image in patches, under the merge size of a configuration."""

from __future__ import annotations

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError

#: [t, h, w] in patches.
Grid = tuple[int, int, int]


def unresized_grid(width: int, height: int, patch_size: int, merge_size: int) -> tuple[int, int]:
    """(h, w) in patches of an image that keeps its size; pixels in.

    Raises:
        MMRawError: layout_refused (a side is no multiple of a token's).
    """
    factor = patch_size * merge_size
    if width % factor or height % factor:
        message = f"expected sides that are multiples of {factor} pixels, got {width} x {height}"
        raise MMRawError("layout_refused", message)
    return height // patch_size, width // patch_size


def check_grid(
    grid: Grid, *, merge_size: int, limits: Limits = DEFAULT_LIMITS, path: str = "$.payload"
) -> Grid:
    """`grid`, if h and w are multiples of the merge size and t * h * w is within the limit.

    Raises:
        MMRawError: invalid_grid, limit_exceeded.
    """
    t, h, w = grid
    if h % merge_size or w % merge_size:
        message = f"expected h and w of the grid to be multiples of the merge size {merge_size}"
        raise MMRawError("invalid_grid", message, path)
    if t * h * w > limits.grid_patches:
        message = f"expected a grid of at most {limits.grid_patches} patches, got more"
        raise MMRawError("limit_exceeded", message, path)
    return grid
