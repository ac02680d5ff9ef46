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
  const read = info.module.parametersIn ?? parametersIn;
  const parameters = known ? given : read(given, info);
  try {
    checkJsonValue(parameters);
    enforce(info.checkLayout, parameters, "$", DEFAULT_LIMITS);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    throw new MMRawError("invalid_config", error.reason, error.path);
  }
  const all = { ...info.defaults, ...parameters } as unknown as LayoutParameters;
  const refusal = info.module.refusalOf?.(all) ?? null;
  if (refusal !== null) throw new MMRawError("invalid_config", refusal[0], `$.${refusal[1]}`);
  return all;
}

/** The layout parameters that a configuration has, by their names or the processor's. */
function parametersIn(document: JsonObject, { configNames, defaults }: FamilyInfo): JsonObject {
  const rows = Object.keys(defaults).map((name) => {
    const values = [name, ...(configNames[name] ?? [])].map((path) => valueAt(document, path));
    return [name, values.find((value) => value !== null && value !== undefined)];
  });
  return present(Object.fromEntries(rows));
}

/** The value under a path of keys, which may also stand as one key. */
function valueAt(document: JsonObject, path: string): JsonValue | undefined {
  if (has(document, path)) return get(document, path);
  let node: JsonValue | undefined = document;
  for (const key of path.split(".")) node = isObject(node) ? get(node, key) : undefined;
  return node;
}

function documentOf({ lines }: FamilyInfo, config: ConfigLike): JsonObject {
  if (config === null || config === undefined) return {};
  if (typeof config === "string") {
    const line = has(lines, config) ? lines[config] : undefined;
    if (line !== undefined) return line.parameters;
    throw new MMRawError("invalid_config", `the presets are ${Object.keys(lines).join(", ")}`);
  }
  if (!isObject(config)) throw new MMRawError("invalid_config", "expected an object or a preset");
  return config;
}

/** The fields that are there and not null. */
export function present(fields: { readonly [name: string]: JsonValue | undefined }): JsonObject {
  const rows = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(rows) as JsonObject;
}
