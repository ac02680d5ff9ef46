/**
 * GLM-5 Next (family `glm5_next`).
 *
 * Source: spec/families/glm5_next/layout.md. The order of the float operations is part of it.
 */
import type { Limits } from "../generated/limits.js";
import type { Glm5NextLayout } from "../generated/types.js";
import { alignedUp, productOver, quotient } from "./arithmetic.js";
import { checkGrid, unresizedGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/**
 * [height, width] in pixels of the canvas, multiples of the factor; at least one token fits.
 *
 * The frames of a patch are a factor of every product and every bound, so they cancel.
 */
function canvasOf(width: number, height: number, given: Glm5NextLayout): [number, number] {
  const { min_image_tokens: fewest, max_image_tokens: most } = given;
  const factor = given.patch_size * given.merge_size;
  let high = alignedUp(height, factor);
  let wide = alignedUp(width, factor);
  if (tokensOf(high, wide, factor) < fewest) {
    const area = BigInt(height) * BigInt(width);
    const scale = Math.sqrt(quotient(BigInt(fewest) * BigInt(factor) ** 2n, area));
    high = alignedUp(Math.ceil(height * scale), factor);
    wide = alignedUp(Math.ceil(width * scale), factor);
  }
  const fits = tokensOf(high, wide, factor) <= most;
  return fits ? [high, wide] : largest(width, height, factor, most);
}

function tokensOf(high: number, wide: number, factor: number): number {
  return (high / factor) * (wide / factor);
}

/** The canvas of the highest picture whose aligned area is within the budget. */
function largest(width: number, height: number, factor: number, most: number): [number, number] {
  let low = 1;
  let top = height;
  let best: [number, number] = [factor, factor];
  while (low <= top) {
    const content = Math.floor((low + top) / 2);
    const high = alignedUp(content, factor);
    const wide = alignedUp(Math.max(1, Math.floor(productOver(width, content, height))), factor);
    if (tokensOf(high, wide, factor) <= most) {
      best = [high, wide];
      low = content + 1;
    } else {
      top = content - 1;
    }
  }
  return best;
}

/** [width, height] in pixels that the picture fills of the canvas, from the top left. */
function contentOf(
  width: number,
  height: number,
  [high, wide]: readonly [number, number],
  given: Glm5NextLayout,
): [number, number] {
  const factor = given.patch_size * given.merge_size;
  let scale = Math.min(high / height, wide / width);
  if (height * width >= factor ** 2 * given.min_image_tokens) scale = Math.min(1, scale);
  return [
    Math.max(1, Math.min(wide, Math.floor(width * scale))),
    Math.max(1, Math.min(high, Math.floor(height * scale))),
  ];
}

export function mergeSizeOf({ merge_size }: Glm5NextLayout): number {
  return merge_size;
}

export function layoutOf(
  parameters: Glm5NextLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { do_resize, patch_size, merge_size } = parameters;
  let content: readonly [number, number] = [width, height];
  let [h, w] = [0, 0];
  if (do_resize) {
    const canvas = canvasOf(width, height, parameters);
    content = contentOf(width, height, canvas, parameters);
    [h, w] = [Math.floor(canvas[0] / patch_size), Math.floor(canvas[1] / patch_size)];
  } else {
    [h, w] = unresizedGrid(width, height, patch_size, merge_size);
  }
  const grid = checkGrid([1, h, w], merge_size, limits);
  const tokens = Math.floor((h * w) / merge_size ** 2);
  return {
    grid_thw: grid,
    num_tokens: tokens,
    placeholder_length: tokens,
    payload: { image_grid_thw: [grid] },
    resized: [w * patch_size, h * patch_size],
    content,
  };
}

export function refusalOf({ min_image_tokens, max_image_tokens }: Glm5NextLayout): Refusal {
  if (min_image_tokens <= max_image_tokens) return null;
  return ["expected no more than max_image_tokens", "min_image_tokens"];
}
