/**
 * Envelopes: `prime_raw_mm_item`, what a renderer hands on for each image.
 *
 * Source: spec/README.md, section "Envelopes".
 */
import { checkJsonValue, hasTensorKey, processedPayload } from "./codec/canonical.js";
import { Faults } from "./codec/check.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { readDocument } from "./documents.js";
import { MMRawError, within } from "./errors.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import type { Payload, RawMMItem } from "./generated/types.js";
import { BLANK_ITEM, DEFAULT_ITEM, ITEMS } from "./generated/wire.js";
import type { ItemDialect, ItemWire } from "./generated/wire.js";
import { checkModality } from "./modality.js";
import { checkLabelNames } from "./sources.js";

export type { ItemDialect, RawMMItem };

const WIRE = ITEMS[DEFAULT_ITEM];
const CONSTANTS = Object.fromEntries(WIRE.constants) as { readonly [name: string]: unknown };
export const KIND = CONSTANTS["kind"] as string;
export const VERSION = CONSTANTS["version"] as number;
/** The modality of the message part; every envelope of today is of an image. */
export const MODALITY = CONSTANTS["modality"] as string;

/** The modality under which the image's features are filed. */
export function featureModality(item: RawMMItem): string {
  return item.vllm_modality ?? MODALITY;
}

/** The envelope as plain JSON, absent fields left out. */
export function itemToJson(item: RawMMItem): JsonObject {
  const wire = ITEMS[item.dialect];
  const values = item as unknown as JsonObject;
  const fields: { [name: string]: JsonValue } = Object.fromEntries(wire.constants);
  for (const [name, attribute] of wire.fields) {
    const value = values[attribute] ?? null;
    if (value !== null) fields[name] = value;
  }
  for (const [name, attribute, value] of wire.flags) {
    if (values[attribute] === true) fields[name] = value;
  }
  return fields;
}

/**
 * Reads an envelope of any dialect, from JSON text or from the decoded object.
 *
 * @throws MMRawError
 */
export function parseItem(
  item: JsonObject | string | Uint8Array,
  limits: Limits = DEFAULT_LIMITS,
  path = "$",
): RawMMItem {
  const faults = new Faults();
  const found = readItem(item, limits, path, faults);
  faults.raise();
  return found as RawMMItem;
}

/** As `parseItem`, but faults against the schema are noted in `faults`; null if there are any. */
export function readItem(
  item: unknown,
  limits: Limits,
  path: string,
  faults: Faults,
): RawMMItem | null {
  let document: unknown = item;
  const isText = typeof item === "string" || item instanceof Uint8Array;
  if (isText) {
    checkLength(item.length, limits, path);
    document = readDocument(item, limits, path);
  }
  if (!isObject(document)) {
    throw new MMRawError("invalid_type", "expected an envelope, a JSON object", path);
  }
  if (!isText) {
    checkJsonValue(document, { path });
    if (hasTensorKey(document)) throw processedPayload(path);
  }
  checkModality(get(document, "modality"), `${path}.modality`);
  const wire = itemWireOf(document);
  wire.check(document, path, limits, faults);
  return faults.found.length > 0 ? null : itemOf(document, wire, path);
}

function checkLength(size: number, limits: Limits, path: string): void {
  const inline = Math.floor(limits.inline_image_bytes / 3) * 4 + 4;
  if (size > inline + 2 * limits.payload_bytes + 65536) {
    throw new MMRawError("limit_exceeded", "expected an envelope within its limits, got a longer one", path);
  }
}

/** The dialect that is written, unless the envelope has no version and a source of an older dialect. */
export function itemWireOf(document: JsonObject): ItemWire {
  if (has(document, "version")) return WIRE;
  const known = WIRE.fields.map(([name]) => name);
  const hasOwnField = ({ fields }: ItemWire): boolean =>
    fields.some(([name]) => !known.includes(name) && has(document, name));
  const lacks = ({ without }: ItemWire): boolean => !without.some((name) => has(document, name));
  const older = Object.values(ITEMS).filter((wire) => hasOwnField(wire) && lacks(wire));
  return older.sort((a, b) => b.without.length - a.without.length)[0] ?? WIRE;
}

function itemOf(document: JsonObject, wire: ItemWire, path: string): RawMMItem {
  const values: { [attribute: string]: unknown } = { ...BLANK_ITEM };
  for (const [name, attribute] of wire.fields) values[attribute] = get(document, name) ?? null;
  for (const [name, attribute] of wire.flags) values[attribute] = has(document, name);
  const item = { ...values, dialect: wire.dialect } as RawMMItem;
  const named = wire.fields.some(([, attribute]) => attribute === "raw_image_id");
  within(path, () => checkLabelNames(item, named));
  return item;
}

/** The argument of `makeItem`; absent and null are the same. */
export interface ItemFields extends Partial<Omit<RawMMItem, "dialect" | "marked" | "payload">> {
  readonly family: string;
  readonly layout_fingerprint: string;
  readonly payload: Payload | JsonObject;
  readonly modality?: string;
}

/** A checked envelope of the dialect that is written, with the marker that readers of the field expect. */
export function makeItem(fields: ItemFields, limits: Limits = DEFAULT_LIMITS): RawMMItem {
  const document: { [name: string]: unknown } = { ...CONSTANTS };
  for (const [name, , value] of WIRE.flags) document[name] = value;
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) document[name] = value;
  }
  return parseItem(document as JsonObject, limits);
}
