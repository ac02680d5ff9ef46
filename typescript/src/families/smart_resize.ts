/**
 * The smart resize that several families share: the grid nearest to an image, within bounds.
 *
 * Source: layout.md in the folders of the families that resize so, in spec/families/.
 * The order of the float operations is part of them.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import { overProduct, productOver, roundHalfEven } from "./arithmetic.js";

/** The bounds of a resized image's pixels, counted in each frame of a patch that counts. */
export interface Bounds {
  readonly fewest: number;
  readonly most: number;
  readonly frames: number;
}

/** [h, w] in patches; pixels in. */
export function smartGrid(
  [width, height]: readonly [number, number],
  patchSize: number,
  mergeSize: number,
  { fewest, most, frames }: Bounds,
): [number, number] {
  const factor = patchSize * mergeSize;
  let high = roundHalfEven(height / factor) * factor;
  let wide = roundHalfEven(width / factor) * factor;
  // Products beyond 2^53 are rounded, yet stay on their side of any limit below it.
  if (frames * high * wide > most) {
    const beta = Math.sqrt(productOver(frames * height, width, most));
    high = Math.max(factor, Math.floor(height / beta / factor) * factor);
    wide = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (frames * high * wide < fewest) {
    const beta = Math.sqrt(overProduct(fewest, frames * height, width));
    high = Math.ceil((height * beta) / factor) * factor;
    wide = Math.ceil((width * beta) / factor) * factor;
  }
  return [Math.floor(high / patchSize), Math.floor(wide / patchSize)];
}

/** Refuses an image that is too long. */
export function checkAspect(width: number, height: number, limits: Limits): void {
  if (Math.max(width, height) / Math.min(width, height) > limits.image_aspect) {
    const reason = `the image is longer than ${limits.image_aspect} to 1`;
    throw new MMRawError("aspect_ratio", reason);
  }
}
