/**
 * Kimi K2.5 (family `kimi_k25`).
 *
 * Source: spec/README.md, section "Layout".
 */
import { overProduct } from "./arithmetic.js";

/** [height, width] in pixels after resizing and before padding. */
export function kimiContent(
  width: number,
  height: number,
  patchSize = 14,
  inPatchLimit = 16384,
  patchLimitOnOneSide = 512,
): readonly [number, number] {
  const longest = patchLimitOnOneSide * patchSize;
  const across = Math.max(1, Math.floor(width / patchSize));
  const down = Math.max(1, Math.floor(height / patchSize));
  const scale = Math.min(
    1,
    Math.sqrt(overProduct(inPatchLimit, across, down)),
    longest / width,
    longest / height,
  );
  const wide = Math.min(Math.max(1, Math.trunc(width * scale)), longest);
  const high = Math.min(Math.max(1, Math.trunc(height * scale)), longest);
  return [high, wide];
}

/** [h, w] in patches, padded to the merge raster; pixels in. */
export function kimiGrid(
  width: number,
  height: number,
  patchSize = 14,
  mergeKernelSize = 2,
  inPatchLimit = 16384,
  patchLimitOnOneSide = 512,
): readonly [number, number] {
  const [high, wide] = kimiContent(width, height, patchSize, inPatchLimit, patchLimitOnOneSide);
  const factor = patchSize * mergeKernelSize;
  return [Math.ceil(high / factor) * mergeKernelSize, Math.ceil(wide / factor) * mergeKernelSize];
}
