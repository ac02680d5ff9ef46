/**
 * Finds the owner of a configuration: a family, or another model.
 *
 * The type of the image processor does not say it alone: models with prompts and layouts of their
 * own share a class. So the class of the whole processor and the model's type must be the family's
 * too.
 */
import { get, isObject } from "../codec/values.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import { FAMILY_TABLE } from "../generated/families.js";
import type { BuiltInFamily, FamilyInfo } from "../generated/families.js";

type Value = JsonValue | undefined;

/** A configuration as it was given. */
export interface Given {
  /** The object of the image processor. */
  readonly processor: JsonObject;
  /** The object of the whole processor; null if there is the image processor alone. */
  readonly whole: JsonObject | null;
  readonly processorClass: Value;
  readonly modelType: Value;
  /** The path of `processor`. */
  readonly path: string;
  /** True if it may be layout parameters and nothing else. */
  readonly mapping: boolean;
}

/** A configuration in a document: the image processor's own, or the whole processor's. */
export function givenIn(document: JsonObject): Given {
  const processor = get(document, "image_processor") ?? null;
  const modelType = get(document, "model_type");
  if (processor === null) {
    const processorClass = get(document, "processor_class");
    return { processor: document, whole: null, processorClass, modelType, path: "$", mapping: true };
  }
  const path = "$.image_processor";
  if (!isObject(processor)) throw new MMRawError("invalid_config", "expected an object", path);
  const processorClass = get(document, "processor_class") ?? get(processor, "processor_class");
  return { processor, whole: document, processorClass, modelType, path, mapping: false };
}

/** The class of an image processor without its variant; null if it is not named. */
export function typeOf(processor: JsonObject): JsonValue {
  let kind = get(processor, "image_processor_type") ?? null;
  if (kind === null) {
    kind = get(processor, "feature_extractor_type") ?? null;
    if (typeof kind === "string") kind = kind.replaceAll("FeatureExtractor", "ImageProcessor");
  }
  // Variants of one class lay images out alike.
  return typeof kind === "string" ? kind.replace(/(PilFast|Fast|Pil)$/, "") : kind;
}

/** A configuration names no other model, and all that is needed to know its own. */
export function checkOwner(given: Given, info: FamilyInfo): void {
  const kind = typeOf(given.processor);
  const { processorClass, modelType } = given;
  const rows: readonly (readonly [string, Value, readonly string[]])[] = [
    [`${given.path}.image_processor_type`, kind, Object.keys(info.imageProcessorTypes)],
    ["$.processor_class", processorClass, classesOf(info)],
    ["$.model_type", modelType, modelTypesOf(info)],
  ];
  for (const [path, theirs, ours] of rows) {
    if (isNamed(theirs) && !isOneOf(theirs, ours)) {
      const reason = `the configuration is of ${shown(theirs)}; family ${info.family} is of `;
      throw new MMRawError("invalid_config", reason + ours.join(", "), path);
    }
  }
  const { whole, sharedModelTypes } = info.configuration;
  const shared = whole.length > 0 && !isNamed(processorClass);
  if (kind !== null && shared && (!isNamed(modelType) || isOneOf(modelType, sharedModelTypes))) {
    const reason =
      `${shown(kind)} serves several models: expected processor_class ` +
      `${classesOf(info).join(" or ")}, or the model_type, of family ${info.family}`;
    throw new MMRawError("invalid_config", reason, "$.processor_class");
  }
}

/** The line of checkpoints that a configuration is of, as far as it says so. */
export function lineOf({ modelType, processorClass }: Given, info: FamilyInfo): string | undefined {
  const lines = Object.entries(info.lines);
  const found =
    lines.find(([, { modelTypes }]) => isOneOf(modelType, modelTypes)) ??
    lines.find(([, { processorClasses }]) => isOneOf(processorClass, processorClasses));
  return found?.[0];
}

/** The family of the model, the processor or the image processor that is named. */
export function namedFamily(given: Given): BuiltInFamily | null {
  const kind = typeOf(given.processor);
  const { modelType, processorClass } = given;
  const infos = Object.values(FAMILY_TABLE);
  const found =
    infos.find((info) => ownModel(given, info) && isOneOf(modelType, modelTypesOf(info))) ??
    infos.find((info) => isOneOf(processorClass, classesOf(info))) ??
    infos.find((info) => isOneOf(kind, Object.keys(info.imageProcessorTypes)));
  if (found !== undefined) return found.family;
  const theirs = [modelType, processorClass, kind].find(isNamed);
  if (theirs === undefined) return null;
  const reason = `the configuration is of ${shown(theirs)}, which is of no built-in family`;
  throw new MMRawError("unknown_family", reason);
}

/** True if the model's type is named, and other models do not have it too. */
export function ownModel({ modelType }: Given, { configuration }: FamilyInfo): boolean {
  return isNamed(modelType) && !isOneOf(modelType, configuration.sharedModelTypes);
}

function classesOf({ lines }: FamilyInfo): readonly string[] {
  return [...new Set(Object.values(lines).flatMap((line) => line.processorClasses))];
}

function modelTypesOf({ lines }: FamilyInfo): readonly string[] {
  return Object.values(lines).flatMap((line) => line.modelTypes);
}

function isNamed(value: Value): value is JsonValue {
  return value !== null && value !== undefined;
}

function isOneOf(value: Value, names: readonly string[]): boolean {
  return typeof value === "string" && names.includes(value);
}

/** A name of a configuration, where it is one. */
function shown(name: Value): string {
  const plain = typeof name === "string" && /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name);
  return plain ? name : "another model";
}
