/**
 * From what a caller has (nothing, a preset, a configuration) to checked layout parameters.
 *
 * spec/families/<name>/ says where each parameter is, and what an absent one or null means.
 */
import { checkJsonValue } from "../codec/canonical.js";
import { enforce } from "../codec/check.js";
import { get, has, isArray, isObject, JsonFloat } from "../codec/values.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import { FAMILY_TABLE } from "../generated/families.js";
import type { BuiltInFamily, FamilyInfo } from "../generated/families.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { LayoutParameters } from "../generated/types.js";
import { checkOwner, givenIn, lineOf, namedFamily, ownModel, typeOf } from "./owner.js";
import type { Given } from "./owner.js";

/**
 * Undefined (the defaults), a preset's name, layout parameters by their names in the fingerprint,
 * or the configuration of an image processor or of a whole processor.
 */
export type ConfigLike = JsonObject | string | null | undefined;

type Found = Record<string, JsonValue>;

const SIDES: readonly string[] = ["height", "width"];

/** The meaning of a configuration. */
export interface Configured {
  /** The layout parameters, every one of them. */
  readonly parameters: LayoutParameters;
  /** The line of checkpoints that it names. */
  readonly line: string | undefined;
}

/** The layout parameters of a family under `config`. */
export function configured(info: FamilyInfo, config?: ConfigLike): Configured {
  const [given, line] = read(info, config);
  const all = checked(given, info);
  const refusal = info.module.refusalOf?.(all) ?? null;
  if (refusal !== null) throw new MMRawError("invalid_config", refusal[0], `$.${refusal[1]}`);
  return { parameters: all, line };
}

/** The built-in family that a configuration is of, by what it names or by its parameters. */
export function familyOf(config: ConfigLike): BuiltInFamily {
  if (config === null || config === undefined) {
    const reason = "expected a configuration, by which the family is found";
    throw new MMRawError("invalid_config", reason);
  }
  const infos = Object.values(FAMILY_TABLE);
  if (typeof config === "string") {
    const found = infos.find(({ lines }) => has(lines, config));
    if (found !== undefined) return found.family;
    throw new MMRawError("invalid_config", "expected an object or a preset");
  }
  const given = { ...givenIn(documentOf(config)), mapping: false };
  const named = namedFamily(given);
  if (named !== null) return named;
  // Without a name it is of the one family that finds all of its parameters.
  const [family, ...others] = infos.filter((info) => fits(given, info));
  if (family !== undefined && others.length === 0) return family.family;
  throw new MMRawError("unknown_family", "expected a configuration that fits one built-in family alone; name its family");
}

function fits(given: Given, info: FamilyInfo): boolean {
  try {
    checked(parametersIn(given, info), info);
    return true;
  } catch (error) {
    if (error instanceof MMRawError) return false;
    throw error;
  }
}

function read(info: FamilyInfo, config: ConfigLike): readonly [JsonObject, string | undefined] {
  if (config === null || config === undefined) return [{}, undefined];
  const { lines } = info;
  if (typeof config === "string") {
    const line = has(lines, config) ? lines[config] : undefined;
    if (line !== undefined) return [line.parameters, config];
    throw new MMRawError("invalid_config", `expected one of the presets ${Object.keys(lines).join(", ")}, got another`);
  }
  const given = givenIn(documentOf(config));
  return [parametersIn(given, info), lineOf(given, info)];
}

function documentOf(config: JsonObject): JsonObject {
  if (!isObject(config)) throw new MMRawError("invalid_config", "expected an object or a preset");
  return config;
}

function checked(parameters: JsonObject, info: FamilyInfo): LayoutParameters {
  try {
    checkJsonValue(parameters);
    enforce(info.checkLayout, parameters, "$", DEFAULT_LIMITS);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    throw new MMRawError("invalid_config", error.reason, error.path);
  }
  return { ...info.defaults, ...parameters } as unknown as LayoutParameters;
}

/** The layout parameters of a configuration of the family, unchecked. */
function parametersIn(given: Given, info: FamilyInfo): JsonObject {
  if (onlyParameters(given, info)) {
    const document = withoutNulls(given.processor, info);
    const named = Object.entries(document).filter(([name]) => has(info.configNames, name));
    return { ...foundIn(document, document, info, "$"), ...Object.fromEntries(named) };
  }
  checkOwner(given, info);
  const kind = typeOf(given.processor);
  const types = info.imageProcessorTypes;
  const document = withoutNulls(given.processor, info);
  checkFixed(document, info, given.path);
  checkSize(document, info, given.path);
  const found = foundIn(document, given.whole ?? document, info, given.path);
  // In a checkpoint the model's type gives the image processor if the configuration does not.
  if (kind === null && !(given.whole !== null && ownModel(given, info))) checkAll(found, info);
  const own = typeof kind === "string" ? types[kind] : Object.values(types)[0];
  return { ...info.defaults, ...own, ...found };
}

/** True if layout parameters are all that there is: any of a mapping, or else all of them. */
function onlyParameters({ processor, whole, mapping }: Given, info: FamilyInfo): boolean {
  const places = Object.values(info.configNames).flat();
  const names = new Set([
    ...Object.keys(info.configNames),
    ...places.flatMap((place) => place.split("=")),
  ]);
  if (whole !== null || !Object.keys(processor).every((name) => names.has(name))) return false;
  return mapping || info.required.every((name) => has(processor, name));
}

/** The document's values, with null read as an absent key or as another value. */
function withoutNulls(document: JsonObject, info: FamilyInfo): JsonObject {
  const meanings = info.configuration.null;
  const rows = Object.entries(document).map(([name, value]): [string, JsonValue] | null => {
    if (value !== null || !has(meanings, name)) return [name, value];
    const meaning = meanings[name] ?? null;
    return meaning === null ? null : [name, meaning];
  });
  return Object.fromEntries(rows.filter((row) => row !== null));
}

function checkFixed(document: JsonObject, info: FamilyInfo, path: string): void {
  for (const [name, values] of Object.entries(info.configuration.fixed)) {
    if (!has(document, name)) continue;
    const value = document[name] as JsonValue;
    if (!values.some((allowed) => same(value, allowed))) {
      const allowed = values.map((one) => JSON.stringify(one)).join(" or ");
      const reason = `expected ${allowed}: no other value has a layout`;
      throw new MMRawError("invalid_config", reason, `${path}.${name}`);
    }
  }
}

/** `size` has one of the sets of keys that the processor takes. */
function checkSize(document: JsonObject, info: FamilyInfo, path: string): void {
  if (!has(document, "size")) return;
  const { sizes, square } = info.configuration;
  const keys = keysOfSize(document["size"] as JsonValue, square);
  if (keys !== null) {
    // A bound at the top level means the key of `size`, and its own name there.
    for (const places of Object.values(info.configNames)) {
      const top = places.find((place) => !place.includes("."));
      const inner = places.find((place) => place.startsWith("size."))?.slice(5);
      if (top === undefined || inner === undefined || inner.includes("=")) continue;
      if (!has(document, top)) continue;
      keys.delete(top);
      keys.add(inner);
    }
  }
  const allowed = sizes.some((form) => {
    return keys !== null && keys.size === form.length && form.every((name) => keys.has(name));
  });
  if (allowed) return;
  const forms = sizes.map((form) => form.join(" and ")).join(" or ");
  throw new MMRawError("invalid_config", `expected ${forms}, and no other key`, `${path}.size`);
}

/** The keys that a value of `size` has or means; null for no size. */
function keysOfSize(size: JsonValue, square: boolean): Set<string> | null {
  if (isObject(size)) return new Set(Object.keys(size).filter((key) => size[key] !== null));
  if (isArray(size)) return size.length === SIDES.length ? new Set(SIDES) : null;
  if (isWhole(size)) return new Set(square ? SIDES : ["shortest_edge"]);
  return null;
}

function checkAll(found: JsonObject, { required }: FamilyInfo): void {
  if (required.every((name) => has(found, name))) return;
  const reason = `expected image_processor_type, or all of ${required.join(", ")}`;
  throw new MMRawError("invalid_config", reason);
}

/** The layout parameters that a configuration has. */
function foundIn(
  document: JsonObject,
  whole: JsonObject,
  { configNames, configuration }: FamilyInfo,
  path: string,
): Found {
  const found: Found = {};
  for (const [name, places] of Object.entries(configNames)) {
    const ofWhole = configuration.whole.includes(name);
    const [source, start] = ofWhole ? [whole, "$"] : [document, path];
    const asked = configuration.agreeing ? [places.join("=")] : places;
    const value = valueIn(source, asked, start, configuration.square);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** The value at the first place that has one. */
function valueIn(
  document: JsonObject,
  places: readonly string[],
  path: string,
  square: boolean,
): JsonValue | undefined {
  for (const place of places) {
    let first: JsonValue | undefined;
    for (const key of place.split("=")) {
      const value = valueAt(document, key, square);
      if (value === undefined) continue;
      if (first === undefined) first = value;
      if (!same(value, first)) {
        const reason = `expected the same as in ${place.replaceAll("=", " and ")}`;
        throw new MMRawError("invalid_config", reason, `${path}.${key}`);
      }
    }
    if (first !== undefined) return first;
  }
  for (const place of places) {
    const keys = place.split("=");
    const dotted = keys.filter((key) => key.includes("."));
    const heads = [...new Set(dotted.map((key) => key.split(".")[0] as string))].sort();
    // The sides of one object, of which neither is there.
    const sides = heads.length === 1 && keys.length > 1 && dotted.length === keys.length;
    for (const head of heads) {
      if (!has(document, head) || !(sides || !isObject(document[head]))) continue;
      const reason = `expected ${places.join(" or ").replaceAll("=", " and ")}`;
      throw new MMRawError("invalid_config", reason, `${path}.${head}`);
    }
  }
  return undefined;
}

/** The value under a path of keys, which may also be one key. */
function valueAt(document: JsonObject, place: string, square: boolean): JsonValue | undefined {
  if (has(document, place)) return get(document, place);
  let node: JsonValue | undefined = document;
  for (const key of place.split(".")) {
    const side = SIDES.indexOf(key);
    if (isObject(node)) node = get(node, key);
    else if (side >= 0 && isArray(node)) node = node.length === SIDES.length ? node[side] : undefined;
    else if (!(side >= 0 && square && isWhole(node))) return undefined;
  }
  return node;
}

/** An integer, also one that no reader takes. */
function isWhole(value: JsonValue | undefined): boolean {
  return typeof value === "bigint" || Number.isInteger(value);
}

function same(value: JsonValue, other: JsonValue): boolean {
  if (isArray(value) && isArray(other)) {
    return value.length === other.length && value.every((one, i) => same(one, other[i] ?? null));
  }
  if (value instanceof JsonFloat && other instanceof JsonFloat) return value.value === other.value;
  return value === other;
}
