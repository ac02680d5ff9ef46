/**
 * Envelopes: `prime_raw_mm_item`, what a renderer hands on for each image.
 *
 * Source: spec/README.md, section "Envelopes".
 */
import {
  canonicalJson,
  checkJsonValue,
  checkPayloadValue,
  holdsProcessedKey,
  processedPayload,
} from "./codec/canonical.js";
import { anyObject, Faults, WHOLE } from "./codec/check.js";
import { readJson, strict } from "./codec/json.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { MMRawError, within } from "./errors.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { ITEMS, PAYLOADS } from "./generated/wire.js";
import { checkFewValues, checkPayload, isListedFamily } from "./payloads.js";
import type { Payload } from "./payloads.js";
import { payloadTooLong } from "./refs.js";
import { checkSources } from "./sources.js";

export const KIND = "prime_raw_mm_item";
export const VERSION = 1;

/** `v1`, or the older envelopes without version. */
export type ItemDialect = "v1" | "unversioned-uri" | "unversioned-data";

/** Which key names the source in each dialect of the envelope. */
const SOURCE_KEYS: { readonly [D in ItemDialect]: string } = {
  v1: "raw_uri",
  "unversioned-uri": "raw_image_uri",
  "unversioned-data": "raw_image_data",
};

/** One image as an envelope of any dialect says it. */
export interface RawMMItem {
  readonly dialect: ItemDialect;
  readonly family: string;
  readonly layout_fingerprint: string;
  readonly payload: Payload;
  readonly modality: string;
  readonly raw_image_id: string | null;
  readonly raw_uri: string | null;
  /** The feature modality where it differs from the source modality. */
  readonly vllm_modality: string | null;
  /** A ref that one consumer keeps beside the envelope; carried, never read. */
  readonly raw_ref: string | null;
  /** Whether the marker of earlier renderers is present. */
  readonly marked: boolean;
}

/** The modality under which the image's features are filed. */
export function featureModality(item: RawMMItem): string {
  return item.vllm_modality ?? item.modality;
}

/** The envelope as plain JSON, absent fields left out. */
export function itemToJson(item: RawMMItem): JsonObject {
  const fields: { [name: string]: unknown } = {
    _prime_rl_image_ref: item.marked ? "raw_image" : null,
    family: item.family,
    kind: KIND,
    layout_fingerprint: item.layout_fingerprint,
    modality: item.modality,
    payload: item.payload,
    raw_image_id: item.raw_image_id,
    raw_ref: item.raw_ref,
    [SOURCE_KEYS[item.dialect]]: item.raw_uri,
    version: item.dialect === "v1" ? VERSION : null,
    vllm_modality: item.vllm_modality,
  };
  const present = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(present) as JsonObject;
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

/** As `parseItem`, but faults against the schema are noted in `faults`; null where there are any. */
export function readItem(
  item: unknown,
  limits: Limits,
  path: string,
  faults: Faults,
): RawMMItem | null {
  let document: unknown = item;
  if (typeof item === "string" || item instanceof Uint8Array) {
    checkLength(item.length, limits, path);
    const read = readJson(item, { path });
    const listed = isObject(read.value) && isListedFamily(get(read.value, "family"));
    if (listed) checkFewValues(read, limits, path);
    document = strict(read);
  }
  if (!isObject(document)) {
    throw new MMRawError("invalid_type", "an envelope is a JSON object", path);
  }
  checkJsonValue(document, path);
  if (holdsProcessedKey(document)) throw processedPayload(path);
  return readDocument(document, limits, path, faults);
}

function checkLength(size: number, limits: Limits, path: string): void {
  const inline = Math.floor(limits.inline_image_bytes / 3) * 4 + 4;
  if (size > inline + 2 * limits.payload_bytes + 65536) {
    throw new MMRawError("limit_exceeded", "the envelope is longer than its limits allow", path);
  }
}

function dialectOf(document: JsonObject): ItemDialect {
  if (!has(document, "version")) {
    for (const dialect of ["unversioned-uri", "unversioned-data"] as const) {
      if (has(document, SOURCE_KEYS[dialect])) return dialect;
    }
  }
  return "v1";
}

function readDocument(
  document: JsonObject,
  limits: Limits,
  path: string,
  faults: Faults,
): RawMMItem | null {
  const dialect = dialectOf(document);
  const family = get(document, "family");
  const listed = isListedFamily(family);
  const check = ITEMS[`urn:mmraw:item:${dialect}`];
  check?.(document, path, WHOLE, faults, listed ? PAYLOADS[family] : anyObject);
  if (faults.found.length > 0) return null;
  if (!listed) {
    const payload = checkPayloadValue(get(document, "payload"), limits, `${path}.payload`);
    if (canonicalJson(payload).length > limits.payload_bytes) {
      throw payloadTooLong(limits, `${path}.payload`);
    }
  }
  return itemOf(document, dialect, limits, path);
}

function itemOf(
  document: JsonObject,
  dialect: ItemDialect,
  limits: Limits,
  path: string,
): RawMMItem {
  const text = (name: string): string => get(document, name) as string;
  const optional = (name: string): string | null => (get(document, name) as string | null) ?? null;
  const item: RawMMItem = {
    dialect,
    family: text("family"),
    layout_fingerprint: text("layout_fingerprint"),
    payload: get(document, "payload") as unknown as Payload,
    modality: text("modality"),
    raw_image_id: optional("raw_image_id"),
    raw_uri: optional(SOURCE_KEYS[dialect]),
    vllm_modality: optional("vllm_modality"),
    raw_ref: optional("raw_ref"),
    marked: has(document, "_prime_rl_image_ref"),
  };
  for (const name of ["family", "vllm_modality"] as const) {
    if ((item[name] ?? "").length > limits.name_chars) {
      const reason = `longer than ${limits.name_chars} characters`;
      throw new MMRawError("limit_exceeded", reason, `${path}.${name}`);
    }
  }
  within(path, () => {
    checkPayload(item.family, item.payload, limits);
    checkSources(item, limits, dialect === "unversioned-uri");
  });
  return item;
}

/** What `makeItem` takes; absent and null are the same. */
export interface ItemFields {
  readonly family: string;
  readonly layout_fingerprint: string;
  readonly payload: Payload | JsonObject;
  readonly modality?: string;
  readonly raw_uri?: string | null;
  readonly raw_image_id?: string | null;
  readonly vllm_modality?: string | null;
}

/** A checked envelope of version 1, with the marker that readers of the field expect. */
export function makeItem(fields: ItemFields, limits: Limits = DEFAULT_LIMITS): RawMMItem {
  const document: { [name: string]: JsonValue } = {
    _prime_rl_image_ref: "raw_image",
    kind: KIND,
    modality: "image",
    version: VERSION,
  };
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) document[name] = value as JsonValue;
  }
  return parseItem(document, limits);
}
