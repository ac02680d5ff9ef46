/** One family under one configuration: layout, payload, fingerprint, prompt text. */
import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import { FAMILIES } from "../generated/wire.js";
import type { ListedFamily } from "../generated/wire.js";
import { checkGrid } from "../grids.js";
import type { Grid } from "../grids.js";
import { isListedFamily } from "../payloads.js";
import type { Payload } from "../payloads.js";
import { knobsOf } from "./config.js";
import type { ConfigLike, Knobs } from "./config.js";
import { layoutFingerprint } from "./fingerprint.js";
import { kimiContent, kimiGrid } from "./kimi.js";
import { qwenGrid } from "./qwen.js";

export { presets } from "./config.js";
export type { ConfigLike, Knobs } from "./config.js";
export { fingerprintText, layoutFingerprint } from "./fingerprint.js";
export { kimiContent, kimiGrid } from "./kimi.js";
export { qwenGrid } from "./qwen.js";
export { FAMILIES };

/** Sides beyond are no image of any format; it keeps float arithmetic exact. */
const MAX_SIDE = 2 ** 31 - 1;

/** Where an image of some size ends up. */
export interface Layout {
  /** [t, h, w] in patches. */
  readonly grid_thw: Grid;
  /** Tokens that the image becomes in the model. */
  readonly num_tokens: number;
  /** Tokens that stand for it in the prompt. */
  readonly placeholder_length: number;
  readonly payload: Payload;
  /** [width, height] in pixels that the processor resizes (and pads) to. */
  readonly resized: readonly [number, number];
  /** [width, height] in pixels that the picture fills of it, from the top left. */
  readonly content: readonly [number, number];
}

/** One family under one configuration. */
export interface Adapter {
  readonly family: ListedFamily;
  readonly featureModality: string;
  readonly padToken: string;
  readonly knobs: Knobs[ListedFamily];
  readonly mergeSize: number;
  /** The layout of an image of `width` x `height` pixels. */
  layout(width: number, height: number, limits?: Limits): Layout;
  /** The fingerprint of this configuration in the scheme of `dialect`. */
  fingerprint(dialect?: string): string;
}

export interface AdapterOptions {
  /** For `kimi_k25`: `single` (one pad, the default) or `expanded` (one for each token). */
  readonly placeholder?: "single" | "expanded";
}

/** The adapter of `family` under `config`. */
export function getAdapter(
  family: string,
  config?: ConfigLike,
  options: AdapterOptions = {},
): Adapter {
  if (!isListedFamily(family)) {
    throw new MMRawError("unknown_family", "no adapter is known for this family", "$.family");
  }
  const { placeholder } = options;
  if (family === "kimi_k25") return kimiAdapter(knobsOf(family, config), placeholder ?? "single");
  if (placeholder !== undefined) {
    throw new MMRawError("unsupported_option", "family qwen_vl has one placeholder convention");
  }
  return qwenAdapter(knobsOf(family, config));
}

function qwenAdapter(knobs: Knobs["qwen_vl"]): Adapter {
  const family = "qwen_vl";
  return {
    family,
    featureModality: "image",
    padToken: "<|image_pad|>",
    knobs,
    mergeSize: knobs.merge_size,
    fingerprint: (dialect) => layoutFingerprint(family, knobs, dialect),
    layout: (width, height, limits = DEFAULT_LIMITS) => {
      checkSides(width, height);
      if (Math.max(width, height) / Math.min(width, height) > limits.image_aspect) {
        const reason = `the image is longer than ${limits.image_aspect} to 1`;
        throw new MMRawError("aspect_ratio", reason);
      }
      const { patch_size, merge_size, min_pixels, max_pixels } = knobs;
      const [h, w] = qwenGrid(width, height, patch_size, merge_size, min_pixels, max_pixels);
      const grid = checkGrid([1, h, w], merge_size, limits, "$.grid_thw");
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
    },
  };
}

function kimiAdapter(knobs: Knobs["kimi_k25"], placeholder: "single" | "expanded"): Adapter {
  const family = "kimi_k25";
  if (placeholder !== "single" && placeholder !== "expanded") {
    throw new MMRawError("unsupported_option", "placeholder is single or expanded");
  }
  return {
    family,
    featureModality: "vision_chunk",
    padToken: "<|media_pad|>",
    knobs,
    mergeSize: knobs.merge_kernel_size,
    fingerprint: (dialect) => layoutFingerprint(family, knobs, dialect),
    layout: (width, height, limits = DEFAULT_LIMITS) => {
      checkSides(width, height);
      const { patch_size, merge_kernel_size, in_patch_limit, patch_limit_on_one_side } = knobs;
      const longest = patch_limit_on_one_side;
      const [h, w] = kimiGrid(
        width,
        height,
        patch_size,
        merge_kernel_size,
        in_patch_limit,
        longest,
      );
      const [high, wide] = kimiContent(width, height, patch_size, in_patch_limit, longest);
      if (Math.max(h, w) > longest) {
        const reason = "padded to the merge raster, a side exceeds patch_limit_on_one_side";
        throw new MMRawError("layout_refused", reason);
      }
      const grid = checkGrid([1, h, w], merge_kernel_size, limits, "$.grid_thw");
      const tokens = knobs.fixed_output_tokens ?? Math.floor((h * w) / merge_kernel_size ** 2);
      return {
        grid_thw: grid,
        num_tokens: tokens,
        placeholder_length: placeholder === "expanded" ? tokens : 1,
        payload: { grid_thws: [grid], num_media_tokens: tokens },
        resized: [w * patch_size, h * patch_size],
        content: [wide, high],
      };
    },
  };
}

function checkSides(width: number, height: number): void {
  for (const [name, side] of [
    ["width", width],
    ["height", height],
  ] as const) {
    const path = `$.${name}`;
    if (typeof side !== "number" || !Number.isInteger(side)) {
      // Beyond 2^53 an integer is a bigint here; it is far beyond any image.
      const huge = typeof side === "bigint" && side > 0;
      if (huge) throw new MMRawError("limit_exceeded", "no image is that large", path);
      if (typeof side === "bigint")
        throw new MMRawError("invalid_value", "a side has at least one pixel", path);
      throw new MMRawError("invalid_type", "expected an integer", path);
    }
    if (side < 1) throw new MMRawError("invalid_value", "a side has at least one pixel", path);
    if (side > MAX_SIDE) throw new MMRawError("limit_exceeded", "no image is that large", path);
  }
}

/** The text that stands for an image of `length` pads in the prompt. */
export function promptText(family: ListedFamily, length: number): string {
  if (family === "qwen_vl")
    return `<|vision_start|>${"<|image_pad|>".repeat(length)}<|vision_end|>`;
  return `<|media_begin|>image<|media_content|>${"<|media_pad|>".repeat(length)}<|media_end|>`;
}
