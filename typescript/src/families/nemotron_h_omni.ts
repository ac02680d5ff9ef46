/**
 * Nemotron-H Omni (family `nemotron_h_omni`).
 *
 * Source: spec/families/nemotron_h_omni/layout.md. The order of the float operations is part of it.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { NemotronHOmniLayout } from "../generated/types.js";
import { numberOf, overProduct, roundHalfEven } from "./arithmetic.js";
import { checkGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/** [h, w] in patches, from `fewest` to `most` of them; null if the processor refuses. */
function gridOf(
  [width, height]: readonly [number, number],
  patch: number,
  merge: number,
  fewest: number,
  most: number,
): [number, number] | null {
  let high = roundHalfEven(height / patch + 0.5);
  let wide = roundHalfEven(width / patch + 0.5);
  let factor = Math.min(Math.sqrt(overProduct(most, high, wide)), 1);
  high = Math.floor(factor * high);
  wide = Math.floor(factor * wide);
  if (most > fewest && high * wide < fewest) {
    if (high * wide === 0) return null;
    factor = Math.sqrt(overProduct(fewest, high, wide));
    high = Math.ceil(factor * high);
    wide = Math.ceil(factor * wide);
  }
  high = aligned(high, wide, merge, most);
  wide = aligned(wide, high, merge, most);
  return high * wide === 0 ? null : [high, wide];
}

/** `side` as a multiple of the merge size: the next one where the budget allows, else less. */
function aligned(side: number, other: number, merge: number, most: number): number {
  const rest = side % merge;
  if (rest === 0) return side;
  const up = side + merge - rest;
  return up * other <= most ? up : Math.max(merge, side - rest);
}

export function mergeSizeOf({ downsample_ratio }: NemotronHOmniLayout): number {
  return roundHalfEven(1 / numberOf(downsample_ratio));
}

export function layoutOf(
  parameters: NemotronHOmniLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { patch_size, min_num_patches, max_num_patches, max_model_len } = parameters;
  const merge = mergeSizeOf(parameters);
  let most = Math.max((max_model_len - 4) * merge ** 2, min_num_patches);
  if (max_num_patches > 0) most = Math.min(most, max_num_patches);
  most = Math.max(most, min_num_patches);
  const found = gridOf([width, height], patch_size, merge, min_num_patches, most);
  if (found === null) {
    const reason = "the image is too long for a grid within the budget";
    throw new MMRawError("layout_refused", reason);
  }
  const [h, w] = found;
  const grid = checkGrid([1, h, w], merge, limits, "$.image_grid_hw");
  const tokens = Math.floor((h * w) / merge ** 2);
  const resized = [w * patch_size, h * patch_size] as const;
  return {
    grid_thw: grid,
    num_tokens: tokens,
    placeholder_length: tokens,
    payload: { image_grid_hw: [[h, w]] },
    resized,
    content: resized,
  };
}

export function refusalOf({ downsample_ratio }: NemotronHOmniLayout): Refusal {
  const ratio = numberOf(downsample_ratio);
  if (ratio >= 1 / 1024 && ratio <= 1) return null;
  return ["expected a number above 0, at most 1", "downsample_ratio"];
}
