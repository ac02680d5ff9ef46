/**
 * Refs: the text that stands for one image on the wire.
 *
 * Source: spec/README.md, sections "Refs" and "Order of checks".
 */
import { decodeBase64Url } from "./codec/base64.js";
import { checkPayloadValue, holdsProcessedKey, processedPayload } from "./codec/canonical.js";
import { byFamily, Faults, WHOLE } from "./codec/check.js";
import type { Check } from "./codec/check.js";
import { MAX_DEPTH, parseJson, readJson, strict } from "./codec/json.js";
import type { Document } from "./codec/json.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { DIALECTS, PAYLOADS } from "./generated/wire.js";
import type { Dialect, WireDialect } from "./generated/wire.js";
import { normalizeRunId } from "./names.js";
import { checkFewValues, checkPayload, isListedFamily } from "./payloads.js";
import type { Payload } from "./payloads.js";
import { checkSources } from "./sources.js";

export const PREFIX = "mmraw:";

/** One image, as a ref of any dialect says it. */
export interface RawMMRef {
  /** The dialect it was read from, or is meant for. */
  readonly dialect: Dialect;
  /** Family of layouts, for example `qwen_vl`. */
  readonly family: string;
  /** 16 to 64 hex digits over the layout's knobs. */
  readonly fingerprint: string;
  /** Leading hex digits of the sha256 over the encoded image. */
  readonly mm_hash: string;
  /** The feature modality, for example `image` or `vision_chunk`. */
  readonly modality: string;
  /** The family's payload; any JSON object where spec/ does not list the family. */
  readonly payload: Payload;
  /** Name of the stored image, or null. */
  readonly raw_image_id: string | null;
  /** data: URL of the image, or a file: URL that is a label only, or null. */
  readonly raw_uri: string | null;
  /** The run's label without `run_`; null in dialects that carry none. */
  readonly run_id: string | null;
}

/** Whether `text` is a string that starts as refs do; it may still be refused. */
export function isRef(text: unknown): text is string {
  return typeof text === "string" && text.startsWith(PREFIX);
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

/** As `parseRef`, but faults against the schema are noted in `faults`; null where there are any. */
export function readRef(text: string, limits: Limits, faults: Faults): RawMMRef | null {
  if (typeof text !== "string") throw new MMRawError("invalid_type", "a ref is a string");
  if (!text.startsWith(PREFIX)) throw new MMRawError("not_a_ref", "a ref starts with mmraw:");
  if (!isAscii(text)) throw new MMRawError("invalid_encoding", "a ref is plain ASCII");
  const wire = dialectOf(text);
  if (wire.encoding === "segments") return readSegments(text, wire, limits, faults);
  const body = text.slice(wire.prefix.length);
  if (wire.encoding === "json") {
    checkLength(body.length, limits);
    return readDocument(body, wire, limits, faults);
  }
  checkLength(Math.floor(body.length / 4) * 3, limits);
  return readDocument(decodeBase64Url(body), wire, limits, faults);
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/** Tells dialects apart by the text alone; v3-runless shows only inside v3. */
export function dialectOf(text: string): WireDialect {
  for (const name of ["v3", "v2", "v1"] as const) {
    if (text.startsWith(DIALECTS[name].prefix)) return DIALECTS[name];
  }
  if (text.startsWith("{", PREFIX.length)) return DIALECTS["unversioned-data"];
  if (text.includes(":", PREFIX.length)) {
    throw new MMRawError("unsupported_dialect", "the tag behind mmraw: is not v1, v2 or v3");
  }
  return DIALECTS["unversioned-uri"];
}

/** Refuses by length alone: an inline image in base64, a payload, and the other fields. */
function checkLength(size: number, limits: Limits): void {
  const most = Math.floor(limits.inline_image_bytes / 3) * 4 + 4 + limits.payload_bytes + 8192;
  if (size > most)
    throw new MMRawError("limit_exceeded", "the ref is longer than its limits allow");
}

function readSegments(
  text: string,
  wire: WireDialect,
  limits: Limits,
  faults: Faults,
): RawMMRef | null {
  if (text.length > limits.v2_ref_chars) {
    const reason = `a ref of this dialect has at most ${limits.v2_ref_chars} characters`;
    throw new MMRawError("limit_exceeded", reason);
  }
  const parts = text.slice(wire.prefix.length).split(":");
  if (parts.length !== wire.segments.length) {
    const reason = `expected ${wire.segments.length} parts behind ${wire.prefix}`;
    throw new MMRawError("invalid_segments", reason);
  }
  const values: { [name: string]: unknown } = {};
  wire.segments.forEach((name, index) => (values[name] = parts[index]));
  if (has(values, "grid_thw")) values["grid_thw"] = gridOfText(values["grid_thw"] as string);
  else values["payload"] = segmentPayload(values, limits, faults);
  if (faults.full) return null;
  wire.check(values, "$", WHOLE, faults, byFamily);
  return faults.found.length > 0 ? null : refOf(values as JsonObject, wire, limits);
}

function gridOfText(text: string): readonly number[][] {
  const match = /^([1-9][0-9]{0,6})x([1-9][0-9]{0,6})x([1-9][0-9]{0,6})$/.exec(text);
  if (match === null) {
    throw new MMRawError("invalid_grid", "expected TxHxW in plain decimal", "$.grid_thw");
  }
  return [match.slice(1).map(Number)];
}

function segmentPayload(
  values: { readonly [name: string]: unknown },
  limits: Limits,
  faults: Faults,
): unknown {
  const data = decodeBase64Url(values["payload"] as string, "$.payload");
  if (data.length > limits.payload_bytes) throw payloadTooLong(limits);
  const family = values["family"];
  if (!isListedFamily(family)) return opaquePayload(data, limits);
  const path = "$.payload";
  const document = readJson(data, { path });
  checkFewValues(document, limits, path);
  const value = strict(document);
  checkTyped(value, path, PAYLOADS[family], faults);
  return value;
}

/** Checks a document; processed tensors are named before any other fault. */
function checkTyped(value: unknown, path: string, check: Check, faults: Faults): void {
  check(value, path, WHOLE, faults);
  if (faults.found.length > 0 && holdsProcessedKey(value)) throw processedPayload(path);
}

/** The payload of a family that spec/ does not list, from its JSON text. */
export function opaquePayload(data: string | Uint8Array, limits: Limits): JsonObject {
  const value = parseJson(data, { maxDepth: limits.payload_depth, path: "$.payload" });
  return checkPayloadValue(value, limits);
}

function readDocument(
  data: string | Uint8Array,
  tag: WireDialect,
  limits: Limits,
  faults: Faults,
): RawMMRef | null {
  const document = readJson(data, { maxDepth: MAX_DEPTH });
  const { value } = document;
  const family = isObject(value) ? get(value, "family") : undefined;
  const listed = isListedFamily(family);
  if (listed) checkFewValues(document, limits);
  strict(document);
  const wire = dialectWithin(value, tag);
  const payload = listed ? PAYLOADS[family] : byFamily;
  const check: Check = (item, path, rule, noted) => wire.check(item, path, rule, noted, payload);
  checkTyped(value, "$", check, faults);
  if (faults.found.length > 0) return null;
  const fields = value as JsonObject;
  return refOf(listed ? fields : withOpaque(fields, document, limits), wire, limits);
}

function dialectWithin(value: unknown, tag: WireDialect): WireDialect {
  if (!isObject(value)) return tag;
  if (tag.dialect === "v3" && !has(value, "run_id")) return DIALECTS["v3-runless"];
  const later = has(value, "family") && has(value, "payload") && !has(value, "fingerprint");
  if (tag.dialect === "unversioned-data" && later) {
    const reason = "an unversioned ref without fingerprint is of a dialect that is not read";
    throw new MMRawError("unsupported_dialect", reason);
  }
  return tag;
}

function withOpaque(fields: JsonObject, document: Document, limits: Limits): JsonObject {
  if (utf8Length(document.payload) > limits.payload_bytes) throw payloadTooLong(limits);
  return { ...fields, payload: opaquePayload(document.payload, limits) };
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

export function payloadTooLong(limits: Limits, path = "$.payload"): MMRawError {
  const reason = `the payload has more than ${limits.payload_bytes} bytes of JSON`;
  return new MMRawError("limit_exceeded", reason, path);
}

/** The ref that checked fields say, after the rules that no schema can say. */
export function refOf(fields: JsonObject, wire: WireDialect, limits: Limits): RawMMRef {
  const named: { [name: string]: unknown } = {};
  for (const [name, attribute] of wire.fields) named[attribute] = get(fields, name) ?? null;
  const runId = named["run_id"] as string | null | undefined;
  const payload = wire.family === null ? named["payload"] : { image_grid_thw: named["grid_thw"] };
  const ref: RawMMRef = {
    dialect: wire.dialect,
    family: wire.family ?? (named["family"] as string),
    fingerprint: named["fingerprint"] as string,
    mm_hash: named["mm_hash"] as string,
    modality: named["modality"] as string,
    payload: payload as Payload,
    raw_image_id: (named["raw_image_id"] as string | null | undefined) ?? null,
    raw_uri: (named["raw_uri"] as string | null | undefined) ?? null,
    run_id: typeof runId === "string" ? normalizeRunId(runId, limits) : null,
  };
  for (const name of ["family", "modality"] as const) {
    if (ref[name].length > limits.name_chars) {
      const reason = `longer than ${limits.name_chars} characters`;
      throw new MMRawError("limit_exceeded", reason, `$.${name}`);
    }
  }
  checkPayload(ref.family, ref.payload, limits);
  checkSources(ref, limits, wire.dialect === "unversioned-uri");
  return ref;
}
