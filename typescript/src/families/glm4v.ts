/**
 * GLM-4.1V, GLM-4.5V and GLM-4.6V (family `glm4v`).
 *
 * Source: spec/families/glm4v/layout.md. The order of the float operations is part of it.
 */
import type { Limits } from "../generated/limits.js";
import type { Glm4vLayout } from "../generated/types.js";
import { checkGrid, unresizedGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";
import { checkAspect, smartGrid } from "./smart_resize.js";

/** [width, height] of an image of which a side was shorter than `factor`. */
function enlarged(width: number, height: number, factor: number): [number, number] {
  if (height >= factor && width >= factor) return [width, height];
  const scale = Math.max(factor / height, factor / width);
  return [Math.trunc(width * scale), Math.trunc(height * scale)];
}

/** [h, w] in patches; pixels in. */
function resizedGrid(
  parameters: Glm4vLayout,
  width: number,
  height: number,
  limits: Limits,
): [number, number] {
  const { patch_size, merge_size } = parameters;
  const [wide, high] = enlarged(width, height, patch_size * merge_size);
  checkAspect(wide, high, limits);
  const bounds = {
    fewest: parameters.shortest_edge,
    most: parameters.longest_edge,
    frames: parameters.temporal_patch_size,
  };
  return smartGrid([wide, high], patch_size, merge_size, bounds);
}

export function mergeSizeOf({ merge_size }: Glm4vLayout): number {
  return merge_size;
}

export function layoutOf(
  parameters: Glm4vLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { do_resize, patch_size, merge_size } = parameters;
  const [h, w] = do_resize
    ? resizedGrid(parameters, width, height, limits)
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

export function refusalOf({ shortest_edge, longest_edge }: Glm4vLayout): Refusal {
  if (shortest_edge <= longest_edge) return null;
  return ["expected no more than longest_edge", "shortest_edge"];
}
