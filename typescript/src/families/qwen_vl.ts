/**
 * Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).
 *
 * Source: spec/families/qwen_vl/layout.md. The order of the float operations is part of it.
 */
import type { Limits } from "../generated/limits.js";
import type { QwenVlLayout } from "../generated/types.js";
import { checkGrid, unresizedGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";
import { checkAspect, smartGrid } from "./smart_resize.js";

export function mergeSizeOf({ merge_size }: QwenVlLayout): number {
  return merge_size;
}

export function layoutOf(
  parameters: QwenVlLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { do_resize, patch_size, merge_size } = parameters;
  if (do_resize) checkAspect(width, height, limits);
  const bounds = { fewest: parameters.min_pixels, most: parameters.max_pixels, frames: 1 };
  const [h, w] = do_resize
    ? smartGrid([width, height], patch_size, merge_size, bounds)
    : unresizedGrid(width, height, patch_size, merge_size);
  const grid = checkGrid([1, h, w], merge_size, limits);
  const tokens = Math.floor((h * w) / merge_size ** 2);
  const resized = [w * patch_size, h * patch_size] as const;
  return {
    grid_thw: grid,
    num_tokens: tokens,
    placeholder_length: tokens,
    payload: { image_grid_thw: [grid] },
    resized,
    content: resized,
  };
}

export function refusalOf({ min_pixels, max_pixels }: QwenVlLayout): Refusal {
  return min_pixels > max_pixels ? ["expected no more than max_pixels", "min_pixels"] : null;
}
