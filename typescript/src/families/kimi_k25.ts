/**
 * Kimi K2.5 (family `kimi_k25`).
 *
 * Source: spec/families/kimi_k25/layout.md.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import type { KimiK25Layout, KimiK25Payload } from "../generated/types.js";
import { overProduct } from "./arithmetic.js";
import { checkGrid, unresizedGrid } from "./grid.js";
import type { Grid } from "./grid.js";
import type { Layout } from "./layout.js";

/** [height, width] in pixels after resizing and before padding. */
function contentOf(width: number, height: number, parameters: KimiK25Layout): [number, number] {
  const { patch_size, in_patch_limit, patch_limit_on_one_side } = parameters;
  const longest = patch_limit_on_one_side * patch_size;
  const across = Math.max(1, Math.floor(width / patch_size));
  const down = Math.max(1, Math.floor(height / patch_size));
  const scale = Math.min(
    1,
    Math.sqrt(overProduct(in_patch_limit, across, down)),
    longest / width,
    longest / height,
  );
  const wide = Math.min(Math.max(1, Math.trunc(width * scale)), longest);
  const high = Math.min(Math.max(1, Math.trunc(height * scale)), longest);
  return [high, wide];
}

/** [h, w] in patches, padded to the merge raster; pixels in. */
function paddedGrid(high: number, wide: number, parameters: KimiK25Layout): [number, number] {
  const { patch_size, merge_kernel_size, patch_limit_on_one_side } = parameters;
  const factor = patch_size * merge_kernel_size;
  const h = Math.ceil(high / factor) * merge_kernel_size;
  const w = Math.ceil(wide / factor) * merge_kernel_size;
  if (Math.max(h, w) > patch_limit_on_one_side) {
    const reason = "padded to the merge raster, a side exceeds patch_limit_on_one_side";
    throw new MMRawError("layout_refused", reason);
  }
  return [h, w];
}

export function mergeSizeOf({ merge_kernel_size }: KimiK25Layout): number {
  return merge_kernel_size;
}

export function layoutOf(
  parameters: KimiK25Layout,
  width: number,
  height: number,
  limits: Limits,
  placeholder: string | undefined,
): Layout {
  const { do_resize, patch_size, merge_kernel_size } = parameters;
  const [high, wide] = do_resize ? contentOf(width, height, parameters) : [height, width];
  const [h, w] = do_resize
    ? paddedGrid(high, wide, parameters)
    : unresizedGrid(width, height, patch_size, merge_kernel_size);
  const grid = checkGrid([1, h, w], merge_kernel_size, limits);
  const tokens = tokensOf(parameters, grid);
  return {
    grid_thw: grid,
    num_tokens: tokens,
    placeholder_length: placeholder === "expanded" ? tokens : 1,
    payload: { grid_thws: [grid], num_media_tokens: tokens },
    resized: [w * patch_size, h * patch_size],
    content: [wide, high],
  };
}

function tokensOf({ fixed_output_tokens, merge_kernel_size }: KimiK25Layout, grid: Grid): number {
  const [t, h, w] = grid;
  return fixed_output_tokens ?? Math.floor((t * h * w) / merge_kernel_size ** 2);
}

/** num_media_tokens where the payload names it, else what the grid gives. */
export function numTokensOf(parameters: KimiK25Layout, payload: KimiK25Payload): number {
  return payload.num_media_tokens ?? tokensOf(parameters, payload.grid_thws[0]);
}
