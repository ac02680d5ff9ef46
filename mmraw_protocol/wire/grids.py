"""Rules of a grid that a schema cannot say (urn:mmraw:common:v1, GridThw)."""

from __future__ import annotations

from collections.abc import Sequence

from ._generated.limits import DEFAULT_LIMITS, Limits
from .errors import MMRawError

Grid = tuple[int, int, int]

#: Where no configuration is at hand; every published checkpoint of both families has it.
MERGE_SIZE = 2


def check_grid(
    grid: Grid,
    *,
    merge_size: int = MERGE_SIZE,
    limits: Limits = DEFAULT_LIMITS,
    path: str = "$.payload",
) -> Grid:
    """One row [t, h, w] in patches: h and w on the merge raster, t * h * w within the limit.

    Raises:
        MMRawError: invalid_grid, limit_exceeded.
    """
    t, h, w = grid
    if h % merge_size or w % merge_size:
        message = f"h and w of the grid must be multiples of the merge size {merge_size}"
        raise MMRawError("invalid_grid", message, path)
    if t * h * w > limits.grid_patches:
        message = f"a grid has more than {limits.grid_patches} patches"
        raise MMRawError("limit_exceeded", message, path)
    return grid


def is_plain_grid(grid: Grid | None, limits: Limits) -> bool:
    """Whether `check_grid` passes with the usual merge size."""
    if grid is None:
        return False
    t, h, w = grid
    return not (h % MERGE_SIZE or w % MERGE_SIZE) and t * h * w <= limits.grid_patches


def are_plain_grids(grids: Sequence[Grid], limits: Limits) -> bool:
    """Whether `is_plain_grid` holds for each of at least one."""
    patches = [t * h * w for t, h, w in grids if not (h % MERGE_SIZE or w % MERGE_SIZE)]
    return len(patches) == len(grids) and max(patches) <= limits.grid_patches
