/**
 * InternVL in its Transformers form (family `internvl`).
 *
 * Source: spec/families/internvl/layout.md. The order of the float operations is part of it.
 */
import type { Limits } from "../generated/limits.js";
import type { InternVlLayout, InternVlPayload } from "../generated/types.js";
import { checkGrid } from "./grid.js";
import type { Layout, Refusal } from "./layout.js";

/** [columns, rows] of every tiling of `fewest` to `most` tiles, smaller ones first. */
function tilings(fewest: number, most: number): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let cols = 1; cols <= most; cols++) {
    for (let rows = Math.ceil(fewest / cols); cols * rows <= most; rows++) found.push([cols, rows]);
  }
  return found.sort((one, other) => one[0] * one[1] - other[0] * other[1]);
}

/** [rows, columns] of the tiling whose aspect is nearest to the image's. */
function tilesOf(width: number, height: number, given: InternVlLayout): readonly [number, number] {
  const aspect = width / height;
  let nearest = Infinity;
  let best: readonly [number, number] = [1, 1];
  for (const [cols, rows] of tilings(given.min_patches, given.max_patches)) {
    const distance = Math.abs(aspect - cols / rows);
    // On a tie more tiles win, until they are twice as large as the image.
    const isLarge = width * height > 0.5 * given.tile ** 2 * cols * rows;
    if (distance < nearest || (distance === nearest && isLarge)) {
      nearest = distance;
      best = [rows, cols];
    }
  }
  return best;
}

export function mergeSizeOf(): number {
  return 1;
}

export function layoutOf(
  parameters: InternVlLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const { crop_to_patches, image_seq_length, tile } = parameters;
  const [h, w] = crop_to_patches ? tilesOf(width, height, parameters) : [1, 1];
  const patches = h * w > 1 ? h * w + 1 : 1;
  const resized = [w * tile, h * tile] as const;
  return {
    grid_thw: checkGrid([1, h, w], 1, limits, "$.image_tiles_hw"),
    num_tokens: patches * image_seq_length,
    placeholder_length: patches * image_seq_length,
    payload: { image_tiles_hw: [[h, w]], num_patches: patches },
    resized,
    content: resized,
  };
}

export function refusalOf({ min_patches, max_patches }: InternVlLayout): Refusal {
  return min_patches <= max_patches ? null : ["expected no more than max_patches", "min_patches"];
}

export function numTokensOf(
  { image_seq_length }: InternVlLayout,
  { num_patches }: InternVlPayload,
): number {
  return num_patches * image_seq_length;
}
