/** From what a caller has (nothing, knobs, a preprocessor_config.json) to checked knobs. */
import { Faults, WHOLE } from "../codec/check.js";
import { get, has, isObject, JsonFloat } from "../codec/values.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import type { KimiK25Layout, QwenVlLayout } from "../generated/types.js";
import { LAYOUTS } from "../generated/wire.js";
import type { ListedFamily } from "../generated/wire.js";

/** The knobs of each listed family. */
export interface Knobs {
  readonly qwen_vl: QwenVlLayout;
  readonly kimi_k25: KimiK25Layout;
}

/** Undefined (the defaults), a preset's name, knobs, or a preprocessor_config.json. */
export type ConfigLike = JsonObject | string | null | undefined;

const OLDER_QWEN: JsonObject = { patch_size: 14, min_pixels: 3136, max_pixels: 12845056 };

/** Knobs as published with each line of checkpoints, where they are not the defaults. */
const PRESETS: { readonly [F in ListedFamily]: { readonly [name: string]: JsonObject } } = {
  qwen_vl: { qwen2_vl: OLDER_QWEN, qwen2_5_vl: OLDER_QWEN, qwen3_vl: {}, qwen3_5: {} },
  kimi_k25: { kimi_k25: {} },
};

/** The names of published configurations of a family. */
export function presets(family: ListedFamily): readonly string[] {
  return Object.keys(PRESETS[family]);
}

/** The knobs of a family under `config`, every one of them. */
export function knobsOf<F extends ListedFamily>(family: F, config?: ConfigLike): Knobs[F] {
  const given = documentOf(family, config);
  const { check, defaults } = LAYOUTS[family];
  const known = Object.keys(given).every((name) => has(defaults, name));
  const knobs: JsonObject = known ? given : knobsIn(family, given, defaults);
  const faults = new Faults();
  check(knobs, "$", WHOLE, faults);
  const fault = faults.found[0];
  if (fault !== undefined) throw new MMRawError("invalid_config", fault.reason, fault.path);
  return { ...defaults, ...knobs } as unknown as Knobs[F];
}

function documentOf(family: ListedFamily, config: ConfigLike): JsonObject {
  if (config === null || config === undefined) return {};
  if (typeof config === "string") {
    const preset = get(PRESETS[family], config);
    if (isObject(preset)) return preset;
    throw new MMRawError("invalid_config", `the presets are ${presets(family).join(", ")}`);
  }
  if (!isObject(config)) throw new MMRawError("invalid_config", "expected an object or a preset");
  return config;
}

/** The knobs within a checkpoint's preprocessor_config.json. */
function knobsIn(family: ListedFamily, document: JsonObject, defaults: JsonObject): JsonObject {
  if (family === "kimi_k25") return kimiKnobs(document, defaults);
  return qwenKnobs(document, defaults);
}

function kimiKnobs(document: JsonObject, defaults: JsonObject): JsonObject {
  const media = get(document, "media_proc_cfg");
  if (!isObject(media)) {
    const reason = "a configuration of family kimi_k25 has an object media_proc_cfg";
    throw new MMRawError("invalid_config", reason);
  }
  return { ...defaults, ...present(media, Object.keys(defaults)) };
}

/** min_pixels and max_pixels win over size.shortest_edge and size.longest_edge. */
function qwenKnobs(document: JsonObject, defaults: JsonObject): JsonObject {
  if (has(document, "media_proc_cfg")) {
    throw new MMRawError("invalid_config", "media_proc_cfg belongs to family kimi_k25");
  }
  const given = get(document, "size");
  const size = isSet(given) ? given : {};
  if (!isObject(size)) throw new MMRawError("invalid_config", "expected an object", "$.size");
  const edges = present(
    {
      min_pixels: get(size, "shortest_edge") ?? null,
      max_pixels: get(size, "longest_edge") ?? null,
    },
    ["min_pixels", "max_pixels"],
  );
  // What is absent takes the published value of the line that the patch size tells.
  const patch = get(document, "patch_size");
  const older = patch === 14 || (patch instanceof JsonFloat && patch.value === 14);
  const found = { ...edges, ...present(document, Object.keys(defaults)) };
  if (Object.keys(found).length === 0) {
    // Another model's file: the defaults in its place would be wrong without a word.
    const reason = "none of the family's knobs is there: patch_size, merge_size, size and others";
    throw new MMRawError("invalid_config", reason);
  }
  return { ...defaults, ...(older ? OLDER_QWEN : {}), ...found };
}

function isSet(value: JsonValue | undefined): value is JsonValue {
  if (value instanceof JsonFloat) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) ? Object.keys(value).length > 0 : Boolean(value);
}

function present(document: JsonObject, names: readonly string[]): JsonObject {
  const rows = names.map((name) => [name, get(document, name)] as const);
  return Object.fromEntries(
    rows.filter(([, value]) => value !== null && value !== undefined),
  ) as JsonObject;
}
