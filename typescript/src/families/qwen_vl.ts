/**
 * Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).
 *
 * Source: spec/README.md, section "Layout"; the order of the float operations is part of it.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { QwenVlLayout } from "../generated/types.js";
import { overProduct, productOver, roundHalfEven } from "./arithmetic.js";
import { checkGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/** [h, w] in patches; pixels in. */
function gridOf(width: number, height: number, parameters: QwenVlLayout): [number, number] {
  const { patch_size, merge_size, min_pixels, max_pixels } = parameters;
  const factor = patch_size * merge_size;
  let high = roundHalfEven(height / factor) * factor;
  let wide = roundHalfEven(width / factor) * factor;
  // Products beyond 2^53 are rounded, yet stay on their side of any limit below it.
  if (high * wide > max_pixels) {
    const beta = Math.sqrt(productOver(height, width, max_pixels));
    high = Math.max(factor, Math.floor(height / beta / factor) * factor);
    wide = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (high * wide < min_pixels) {
    const beta = Math.sqrt(overProduct(min_pixels, height, width));
    high = Math.ceil((height * beta) / factor) * factor;
    wide = Math.ceil((width * beta) / factor) * factor;
  }
  return [Math.floor(high / patch_size), Math.floor(wide / patch_size)];
}

export function mergeSizeOf({ merge_size }: QwenVlLayout): number {
  return merge_size;
}

export function layoutOf(
  parameters: QwenVlLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  if (Math.max(width, height) / Math.min(width, height) > limits.image_aspect) {
    const reason = `the image is longer than ${limits.image_aspect} to 1`;
    throw new MMRawError("aspect_ratio", reason);
  }
  const { patch_size, merge_size } = parameters;
  const [h, w] = gridOf(width, height, parameters);
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
