/**
 * Refs: the text that represents one image on the wire.
 *
 * Source: spec/README.md, sections "Refs" and "Order of checks".
 */
import { decodeBase64Url } from "./codec/base64.js";
import { Faults } from "./codec/check.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { readDocument, readPayload } from "./documents.js";
import { MMRawError } from "./errors.js";
import { gridKeyOf } from "./families/table.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import type { RawMMRef } from "./generated/types.js";
import { BLANK_REF, DIALECTS } from "./generated/wire.js";
import type { WireDialect } from "./generated/wire.js";
import { checkLabelNames } from "./sources.js";

export type { RawMMRef };

export const PREFIX = "mmraw:";
/** Refs of an early branch to processed features. */
export const FEATURES_PREFIX = "mmfile:";

/** Bytes of a ref's JSON outside its image and payload. */
const BYTES_BESIDE = 8192;
const GRID = /^([1-9][0-9]{0,6})x([1-9][0-9]{0,6})x([1-9][0-9]{0,6})$/;

/** Dialects of which each later one is known by the fields that it lacks. */
type Candidates = readonly [WireDialect, ...WireDialect[]];

const SORTED = Object.values(DIALECTS).sort((a, b) => a.without.length - b.without.length);

/** True if `text` is a string that starts as refs do; it may still be rejected. */
export function isRef(text: unknown): text is string {
  return typeof text === "string" && (text.startsWith(PREFIX) || text.startsWith(FEATURES_PREFIX));
}

/**
 * Reads a ref of any dialect. The grammar, the family's payload and the base64 of an inline image
 * are checked; hashes and pixels are not.
 *
 * @throws MMRawError
 */
export function parseRef(text: string, limits: Limits = DEFAULT_LIMITS): RawMMRef {
  const faults = new Faults();
  const ref = readRef(text, limits, faults);
  faults.raise();
  return ref as RawMMRef;
}

/** As `parseRef`, but faults against the schema are noted in `faults`; null if there are any. */
export function readRef(text: string, limits: Limits, faults: Faults): RawMMRef | null {
  if (typeof text !== "string") throw new MMRawError("invalid_type", "expected a ref, a string");
  if (text.startsWith(FEATURES_PREFIX)) {
    const reason = "mmfile: refs name processed features; this contract carries raw images";
    throw new MMRawError("unsupported_dialect", reason);
  }
  if (!text.startsWith(PREFIX)) throw new MMRawError("not_a_ref", `expected a text that starts with mmraw:, got a text of ${text.length} characters`);
  const foreign = /[^\x00-\x7f]/u.exec(text);
  if (foreign !== null) {
    const reason = `expected ASCII; got a character beyond it at character ${foreign.index + 1}`;
    throw new MMRawError("invalid_encoding", reason);
  }
  const candidates = dialectsOf(text);
  let [wire] = candidates;
  let document: JsonValue;
  if (wire.encoding === "segments") {
    document = readSegments(text, wire, limits);
  } else {
    const start = wire.prefix.length;
    const body = text.slice(start);
    const isJson = wire.encoding === "json";
    checkLength(isJson ? body.length : Math.floor(body.length / 4) * 3, limits);
    document = readDocument(isJson ? body : decodeBase64Url(text, "$", start), limits);
    wire = dialectWithin(document, candidates);
  }
  wire.check(document, "$", limits, faults);
  return faults.found.length > 0 ? null : refOf(document as JsonObject, wire);
}

/** The dialects of a text's prefix and encoding. */
export function dialectsOf(text: string): Candidates {
  const prefix = text.slice(0, text.indexOf(":", PREFIX.length) + 1);
  const tagged = candidates((wire) => wire.prefix === prefix);
  if (tagged !== null) return tagged;
  const encoding = text.startsWith("{", PREFIX.length) ? "json" : "base64url-json";
  const bare = candidates((wire) => wire.prefix === PREFIX && wire.encoding === encoding);
  if (bare === null || (encoding !== "json" && prefix !== "")) {
    const prefixes = new Set(SORTED.map((wire) => wire.prefix));
    const tags = [...prefixes].map((one) => one.slice(PREFIX.length, -1)).filter(Boolean);
    const reason = `expected one of the tags ${tags.sort().join(", ")} after mmraw:, got another`;
    throw new MMRawError("unsupported_dialect", reason);
  }
  return bare;
}

function candidates(fits: (wire: WireDialect) => boolean): Candidates | null {
  const [first, ...rest] = SORTED.filter(fits);
  return first === undefined ? null : [first, ...rest];
}

/** The dialect of a document, by the fields that it lacks. */
export function dialectWithin(document: unknown, [first, ...rest]: Candidates): WireDialect {
  if (!isObject(document)) return first;
  const lacks = ({ without }: WireDialect): boolean => !without.some((name) => has(document, name));
  return rest.reverse().find(lacks) ?? first;
}

/** Refuses by length alone: an inline image in base64, a payload, and the other fields. */
function checkLength(size: number, limits: Limits): void {
  const inline = Math.floor(limits.inline_image_bytes / 3) * 4 + 4;
  if (size > inline + limits.payload_bytes + BYTES_BESIDE) {
    throw new MMRawError("limit_exceeded", "expected a ref within its limits, got a longer one");
  }
}

function readSegments(text: string, wire: WireDialect, limits: Limits): JsonObject {
  if (text.length > limits.v2_ref_chars) {
    const reason = `expected at most ${limits.v2_ref_chars} characters, got ${text.length}`;
    throw new MMRawError("limit_exceeded", reason);
  }
  const parts = text.slice(wire.prefix.length).split(":");
  const wanted = wire.segments.length;
  if (parts.length !== wanted) {
    const reason = `expected ${wanted} parts after ${wire.prefix}, got ${parts.length}`;
    throw new MMRawError("invalid_segments", reason);
  }
  const rows = wire.segments.map((name, index) => [name, parts[index] as string] as const);
  const values: JsonObject = Object.fromEntries(rows);
  const name = payloadName(wire);
  const part = get(values, name) as string;
  if (wire.family !== null) return { ...values, [name]: gridOf(part, name) };
  const { [name]: _, ...others } = values;
  // Faults of the payload are named first.
  return { [name]: segmentPayload(part, get(values, "family"), limits), ...others };
}

/** The wire name of the payload, or of the grid where a dialect has one family. */
function payloadName(wire: WireDialect): string {
  return wire.fields.find(([, attribute]) => attribute === "payload")?.[0] ?? "payload";
}

function gridOf(text: string, name: string): readonly (readonly number[])[] {
  const match = GRID.exec(text);
  if (match === null) {
    const reason = "expected TxHxW in decimal, without leading zeros";
    throw new MMRawError("invalid_grid", reason, `$.${name}`);
  }
  return [match.slice(1).map(Number)];
}

function segmentPayload(text: string, family: unknown, limits: Limits): JsonValue {
  const data = decodeBase64Url(text, "$.payload");
  if (data.length > limits.payload_bytes) {
    const reason = `expected at most ${limits.payload_bytes} bytes of JSON in the payload, got ${data.length}`;
    throw new MMRawError("limit_exceeded", reason, "$.payload");
  }
  return readPayload(data, family, limits);
}

/** The ref that a checked document says. */
export function refOf(document: JsonObject, wire: WireDialect): RawMMRef {
  const values: { [attribute: string]: unknown } = { ...BLANK_REF };
  for (const [name, attribute] of wire.fields) values[attribute] = get(document, name) ?? null;
  if (wire.family !== null) {
    values["family"] = wire.family;
    // One family alone: its grid says all of its payload.
    values["payload"] = { [gridKeyOf(wire.family)]: values["payload"] };
  }
  for (const [attribute, beginning] of wire.strips) {
    const text = values[attribute];
    if (typeof text === "string" && text.startsWith(beginning)) {
      values[attribute] = text.slice(beginning.length);
    }
  }
  const ref = { ...values, dialect: wire.dialect } as RawMMRef;
  checkLabelNames(ref, hasPlace(wire, "raw_image_id"));
  return ref;
}

/** True if a dialect can carry a field, by its name in the model. */
export function hasPlace(wire: WireDialect, attribute: string): boolean {
  return wire.fields.some(([, name]) => name === attribute);
}
