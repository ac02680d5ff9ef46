/**
 * Inkling (family `inkling`).
 *
 * Source: spec/families/inkling/layout.md. The order of the float operations is part of it.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { InklingLayout, InklingPayload } from "../generated/types.js";
import { numberOf } from "./arithmetic.js";
import { checkGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/** [height, width] in pixels after rescaling. */
function sizeOf(width: number, height: number, given: InklingLayout): [number, number] {
  const { rescale_image_frac: frac, rescale_image_max_upscaled_long_edge: cap } = given;
  if (frac === null) return [height, width];
  const longest = Math.max(height, width);
  let target = longest * numberOf(frac);
  if (cap !== null) target = Math.min(target, Math.max(cap, longest));
  const ratio = target / longest;
  if (ratio === 1) return [height, width];
  return [Math.floor(height * ratio + 0.5), Math.floor(width * ratio + 0.5)];
}

export function mergeSizeOf(): number {
  return 1;
}

export function layoutOf(
  parameters: InklingLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { patch } = parameters;
  const [high, wide] = sizeOf(width, height, parameters);
  if (high < 1 || wide < 1) {
    throw new MMRawError("layout_refused", "rescaled, a side has less than one pixel");
  }
  // One more than fills the row, also where the patch size divides the width.
  const [h, w] = [Math.ceil(high / patch), Math.floor(wide / patch) + 1];
  return {
    grid_thw: checkGrid([1, h, w], 1, limits, "$.image_grid_hw"),
    num_tokens: h * w,
    placeholder_length: h * w,
    payload: { image_grid_hw: [[h, w]], num_patches: h * w },
    resized: [w * patch, h * patch],
    content: [wide, high],
  };
}

export function refusalOf({ rescale_image_frac }: InklingLayout): Refusal {
  if (rescale_image_frac === null) return null;
  const frac = numberOf(rescale_image_frac);
  if (frac > 0 && frac <= 1024) return null;
  return ["expected a number above 0, at most 1024, or null", "rescale_image_frac"];
}

export function numTokensOf(_: InklingLayout, { num_patches }: InklingPayload): number {
  return num_patches;
}
