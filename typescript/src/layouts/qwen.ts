/**
 * Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).
 *
 * Source: spec/README.md, section "Layout"; the order of the float operations is part of it.
 */
import { overProduct, productOver, roundHalfEven } from "./arithmetic.js";

/** [h, w] in patches; pixels in. */
export function qwenGrid(
  width: number,
  height: number,
  patchSize = 16,
  mergeSize = 2,
  minPixels = 65536,
  maxPixels = 16777216,
): readonly [number, number] {
  const factor = patchSize * mergeSize;
  let high = roundHalfEven(height / factor) * factor;
  let wide = roundHalfEven(width / factor) * factor;
  // Products beyond 2^53 are rounded, yet stay on their side of any limit below it.
  if (high * wide > maxPixels) {
    const beta = Math.sqrt(productOver(height, width, maxPixels));
    high = Math.max(factor, Math.floor(height / beta / factor) * factor);
    wide = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (high * wide < minPixels) {
    const beta = Math.sqrt(overProduct(minPixels, height, width));
    high = Math.ceil((height * beta) / factor) * factor;
    wide = Math.ceil((width * beta) / factor) * factor;
  }
  return [Math.floor(high / patchSize), Math.floor(wide / patchSize)];
}
