/**
 * GLM-4.1V, GLM-4.5V and GLM-4.6V (family `glm4v`).
 *
 * Source: spec/README.md, section "Layout"; the order of the float operations is part of it.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { Glm4vLayout } from "../generated/types.js";
import { overProduct, productOver, roundHalfEven } from "./arithmetic.js";
import { checkGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/** [h, w] in patches; pixels in, neither side below the factor. */
function gridOf(width: number, height: number, given: Glm4vLayout): [number, number] {
  const { patch_size, merge_size, temporal_patch_size: frames } = given;
  const { shortest_edge, longest_edge } = given;
  const factor = patch_size * merge_size;
  let high = roundHalfEven(height / factor) * factor;
  let wide = roundHalfEven(width / factor) * factor;
  // Products beyond 2^53 are rounded, yet stay on their side of any limit below it.
  if (frames * high * wide > longest_edge) {
    const beta = Math.sqrt(productOver(frames * height, width, longest_edge));
    high = Math.max(factor, Math.floor(height / beta / factor) * factor);
    wide = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (frames * high * wide < shortest_edge) {
    const beta = Math.sqrt(overProduct(shortest_edge, frames * height, width));
    high = Math.ceil((height * beta) / factor) * factor;
    wide = Math.ceil((width * beta) / factor) * factor;
  }
  return [Math.floor(high / patch_size), Math.floor(wide / patch_size)];
}

/** [width, height] of an image of which a side was shorter than `factor`. */
function enlarged(width: number, height: number, factor: number): [number, number] {
  if (height >= factor && width >= factor) return [width, height];
  const scale = Math.max(factor / height, factor / width);
  return [Math.trunc(width * scale), Math.trunc(height * scale)];
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
  const { patch_size, merge_size } = parameters;
  const [wide, high] = enlarged(width, height, patch_size * merge_size);
  if (Math.max(wide, high) / Math.min(wide, high) > limits.image_aspect) {
    const reason = `the image is longer than ${limits.image_aspect} to 1`;
    throw new MMRawError("aspect_ratio", reason);
  }
  const [h, w] = gridOf(wide, high, parameters);
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
