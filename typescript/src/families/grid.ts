import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";

/** [t, h, w] in patches. */
export type Grid = readonly [number, number, number];

/** [h, w] in patches of an image that keeps its size; pixels in. */
export function unresizedGrid(
  width: number,
  height: number,
  patchSize: number,
  mergeSize: number,
): [number, number] {
  const factor = patchSize * mergeSize;
  if (width % factor !== 0 || height % factor !== 0) {
    const reason = `expected sides that are multiples of ${factor} pixels, got ${width} x ${height}`;
    throw new MMRawError("layout_refused", reason);
  }
  return [height / patchSize, width / patchSize];
}

/** `grid`, where h and w are multiples of the merge size and t * h * w is within the limit. */
export function checkGrid(
  grid: Grid,
  mergeSize: number,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.grid_thw",
): Grid {
  const [t, h, w] = grid;
  if (h % mergeSize !== 0 || w % mergeSize !== 0) {
    const reason = `expected h and w of the grid to be multiples of the merge size ${mergeSize}`;
    throw new MMRawError("invalid_grid", reason, path);
  }
  // Rounding of a product beyond 2^53 cannot bring it below the limit.
  if (t * h * w > limits.grid_patches) {
    const reason = `expected a grid of at most ${limits.grid_patches} patches, got more`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
  return grid;
}
