/**
 * Gemma 4 (family `gemma4`).
 *
 * Source: spec/families/gemma4/layout.md. The order of the float operations is part of it.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { Gemma4Layout, Gemma4Payload } from "../generated/types.js";
import { overProduct } from "./arithmetic.js";
import { checkGrid, unresizedGrid } from "./grid.js";
import type { Layout } from "./layout.js";

/** [h, w] in tokens of a resized image; null for one that the processor refuses. */
function tokensOf(width: number, height: number, given: Gemma4Layout): [number, number] | null {
  const { patch_size, max_soft_tokens, pooling_kernel_size } = given;
  const side = pooling_kernel_size * patch_size;
  const factor = Math.sqrt(overProduct(max_soft_tokens * side * side, height, width));
  let high = Math.floor((factor * height) / side);
  let wide = Math.floor((factor * width) / side);
  if (high === 0 && wide === 0) return null;
  if (high === 0) {
    [high, wide] = [1, Math.min(Math.floor(width / height), max_soft_tokens)];
  } else if (wide === 0) {
    [high, wide] = [Math.min(Math.floor(height / width), max_soft_tokens), 1];
  }
  return high * wide > max_soft_tokens ? null : [high, wide];
}

/** [h, w] in patches; pixels in. */
function resizedGrid(width: number, height: number, parameters: Gemma4Layout): [number, number] {
  const found = tokensOf(width, height, parameters);
  if (found === null) {
    const reason = "no grid of at least one token keeps the aspect within max_soft_tokens";
    throw new MMRawError("layout_refused", reason);
  }
  const { pooling_kernel_size } = parameters;
  return [found[0] * pooling_kernel_size, found[1] * pooling_kernel_size];
}

export function mergeSizeOf({ pooling_kernel_size }: Gemma4Layout): number {
  return pooling_kernel_size;
}

export function layoutOf(
  parameters: Gemma4Layout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { do_resize, patch_size, pooling_kernel_size } = parameters;
  const [h, w] = do_resize
    ? resizedGrid(width, height, parameters)
    : unresizedGrid(width, height, patch_size, pooling_kernel_size);
  const grid = checkGrid([1, h, w], pooling_kernel_size, limits, "$.image_grid_hw");
  const tokens = (h * w) / pooling_kernel_size ** 2;
  const resized = [w * patch_size, h * patch_size] as const;
  return {
    grid_thw: grid,
    num_tokens: tokens,
    placeholder_length: tokens,
    payload: { image_grid_hw: [[h, w]], num_soft_tokens: tokens },
    resized,
    content: resized,
  };
}

export function numTokensOf(_: Gemma4Layout, { num_soft_tokens }: Gemma4Payload): number {
  return num_soft_tokens;
}
