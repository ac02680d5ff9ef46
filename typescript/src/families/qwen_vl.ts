/**
 * Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).
 *
 * Source: spec/README.md, section "Layout"; the order of the float operations is part of it.
 */
import { get, has, isObject, JsonFloat } from "../codec/values.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import type { FamilyInfo } from "../generated/families.js";
import type { Limits } from "../generated/limits.js";
import type { QwenVlLayout } from "../generated/types.js";
import { overProduct, productOver, roundHalfEven } from "./arithmetic.js";
import { present } from "./config.js";
import { checkGrid } from "./grid.js";
import type { Layout } from "./layout.js";

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

/**
 * min_pixels and max_pixels win over size.shortest_edge and size.longest_edge, as in the
 * processor. What is absent takes the published value of the line that the patch size tells.
 */
export function parametersIn(document: JsonObject, { defaults, lines }: FamilyInfo): JsonObject {
  if (has(document, "media_proc_cfg")) {
    throw new MMRawError("invalid_config", "media_proc_cfg belongs to another family");
  }
  const given = get(document, "size");
  const size = isSet(given) ? given : {};
  if (!isObject(size)) throw new MMRawError("invalid_config", "expected an object", "$.size");
  const edges = present({
    min_pixels: get(size, "shortest_edge"),
    max_pixels: get(size, "longest_edge"),
  });
  const named = Object.keys(defaults).map((name) => [name, get(document, name)]);
  const found = { ...edges, ...present(Object.fromEntries(named)) };
  if (Object.keys(found).length === 0) {
    // Another model's file: the defaults in its place would be wrong without a word.
    const reason = "none of the family's layout parameters is there, for example patch_size";
    throw new MMRawError("invalid_config", reason);
  }
  const patch = get(document, "patch_size");
  const older = patch === 14 || (patch instanceof JsonFloat && patch.value === 14);
  return { ...defaults, ...lines[older ? "qwen2_vl" : "qwen3_vl"]?.parameters, ...found };
}

function isSet(value: JsonValue | undefined): value is JsonValue {
  if (value instanceof JsonFloat) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) ? Object.keys(value).length > 0 : Boolean(value);
}
