/**
 * Pixtral and Mistral 3 (family `pixtral`).
 *
 * Source: spec/families/pixtral/layout.md. The order of the float operations is part of it.
 */
import type { Limits } from "../generated/limits.js";
import type { PixtralLayout } from "../generated/types.js";
import { checkGrid } from "./grid.js";
import type { Layout } from "./layout.js";

/** [height, width] in pixels after shrinking, before the sides are aligned to patches. */
function sizeOf(width: number, height: number, longest: number): [number, number] {
  const ratio = Math.max(height / longest, width / longest);
  return ratio > 1 ? [Math.floor(height / ratio), Math.floor(width / ratio)] : [height, width];
}

export function mergeSizeOf(): number {
  return 1;
}

/**
 * A picture so thin that its short side shrinks to nothing has no tokens, nor has one that is not
 * resized and is below a patch.
 */
export function layoutOf(
  parameters: PixtralLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const patch = parameters.patch_size * parameters.spatial_merge_size;
  // The model's patches leave out what is right of them and below in a picture that is not resized.
  let [h, w] = [Math.floor(height / patch), Math.floor(width / patch)];
  let resized: readonly [number, number] = [width, height];
  if (parameters.do_resize) {
    const [high, wide] = sizeOf(width, height, parameters.longest_edge);
    [h, w] = [Math.ceil(high / patch), Math.ceil(wide / patch)];
    resized = [w * patch, h * patch];
  }
  return {
    grid_thw: checkGrid([1, h, w], 1, limits, "$.image_grid_hw"),
    num_tokens: h * w,
    // A break or an end follows each row.
    placeholder_length: h * w + h,
    payload: { image_grid_hw: [[h, w]] },
    resized,
    content: resized,
  };
}
