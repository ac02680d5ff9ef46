/** From what a caller has (nothing, a preset, a configuration) to checked layout parameters. */
import { checkJsonValue } from "../codec/canonical.js";
import { enforce } from "../codec/check.js";
import { get, has, isObject } from "../codec/values.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import type { FamilyInfo } from "../generated/families.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { LayoutParameters } from "../generated/types.js";

/**
 * Undefined (the defaults), a preset's name, layout parameters by their names in the fingerprint,
 * or a preprocessor_config.json.
 */
export type ConfigLike = JsonObject | string | null | undefined;

/** The layout parameters of a family under `config`, every one of them. */
export function parametersOf(info: FamilyInfo, config?: ConfigLike): LayoutParameters {
  const given = documentOf(info, config);
  const known = Object.keys(given).every((name) => has(info.defaults, name));
  const parameters = known ? given : info.module.parametersIn(given, info);
  try {
    checkJsonValue(parameters);
    enforce(info.checkLayout, parameters, "$", DEFAULT_LIMITS);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    throw new MMRawError("invalid_config", error.reason, error.path);
  }
  return { ...info.defaults, ...parameters } as unknown as LayoutParameters;
}

function documentOf({ presets }: FamilyInfo, config: ConfigLike): JsonObject {
  if (config === null || config === undefined) return {};
  if (typeof config === "string") {
    const preset = get(presets, config);
    if (isObject(preset)) return preset;
    throw new MMRawError("invalid_config", `the presets are ${Object.keys(presets).join(", ")}`);
  }
  if (!isObject(config)) throw new MMRawError("invalid_config", "expected an object or a preset");
  return config;
}

/** The fields that are there and not null. */
export function present(fields: { readonly [name: string]: JsonValue | undefined }): JsonObject {
  const rows = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(rows) as JsonObject;
}
