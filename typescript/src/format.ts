/** Writing refs, and reading them from their fields. */
import { encodeBase64Url } from "./codec/base64.js";
import { canonicalJson, checkJsonValue, checkPayloadValue } from "./codec/canonical.js";
import { anyObject, Faults, WHOLE } from "./codec/check.js";
import { get, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { DIALECTS, PAYLOADS } from "./generated/wire.js";
import type { Dialect, WireDialect } from "./generated/wire.js";
import { normalizeRunId } from "./names.js";
import { gridOf, isListedFamily } from "./payloads.js";
import { parseRef, refOf } from "./refs.js";
import type { RawMMRef } from "./refs.js";

const encoder = new TextEncoder();

/** The canonical text of `ref` in a dialect that is written: v3 (default) or v2. */
export function formatRef(
  ref: RawMMRef,
  dialect: string = "v3",
  limits: Limits = DEFAULT_LIMITS,
): string {
  const wire = isDialect(dialect) ? DIALECTS[dialect] : null;
  if (wire === null || !wire.write) {
    throw new MMRawError("invalid_dialect", "write v3 or v2; other dialects are for convertRef");
  }
  return writeRef(ref, wire, limits);
}

/** The canonical text of `ref` in any dialect, also those that `formatRef` does not write. */
export function writeAny(ref: RawMMRef, dialect: string, limits: Limits = DEFAULT_LIMITS): string {
  return writeRef(ref, wireOf(dialect), limits);
}

export function isDialect(name: string): name is Dialect {
  return Object.prototype.hasOwnProperty.call(DIALECTS, name);
}

export function wireOf(dialect: string): WireDialect {
  if (isDialect(dialect)) return DIALECTS[dialect];
  const names = Object.keys(DIALECTS).join(", ");
  throw new MMRawError("invalid_dialect", `the dialects are ${names}`);
}

/** The fields of a ref by their wire names in its dialect, absent ones left out. */
export function fieldsOf(ref: RawMMRef): JsonObject {
  const result: { [name: string]: JsonValue } = {};
  for (const [name, attribute] of DIALECTS[ref.dialect].fields) {
    const grid = name === "grid_thw" ? gridOf(ref.family, ref.payload) : null;
    const value = name === "grid_thw" ? grid && [grid] : ref[attribute as keyof RawMMRef];
    if (value !== null && value !== undefined) result[name] = value as JsonValue;
  }
  return result;
}

/** The ref that fields by their wire names say in `dialect`, checked as if read. */
export function refFromFields(fields: unknown, dialect: string): RawMMRef {
  const wire = wireOf(dialect);
  if (!isObject(fields)) throw new MMRawError("invalid_type", "expected an object of fields");
  checkJsonValue(fields);
  const family = get(fields, "family");
  const listed = isListedFamily(family);
  const faults = new Faults();
  wire.check(fields, "$", WHOLE, faults, listed ? PAYLOADS[family] : anyObject);
  faults.raise();
  if (wire.family === null && !listed) checkPayloadValue(get(fields, "payload"));
  return refOf(fields, wire, DEFAULT_LIMITS);
}

/** The canonical text of `ref` in any dialect, read again before it is returned. */
export function writeRef(ref: RawMMRef, wire: WireDialect, limits: Limits): string {
  for (const name of ["raw_uri", "raw_image_id"] as const) {
    const place = wire.fields.some(([, attribute]) => attribute === name);
    if (ref[name] !== null && !place) {
      const reason = `dialect ${wire.dialect} has no place for ${name}`;
      throw new MMRawError("not_convertible", reason, `$.${name}`);
    }
  }
  if (wire.family !== null && ref.family !== wire.family) {
    const reason = `dialect ${wire.dialect} knows family ${wire.family} only`;
    throw new MMRawError("not_convertible", reason, "$.family");
  }
  const runId = typeof ref.run_id === "string" ? normalizeRunId(ref.run_id, limits) : ref.run_id;
  const fields = fieldsOf({ ...ref, run_id: runId, dialect: wire.dialect });
  const text = wire.prefix + bodyOf(fields, wire);
  parseRef(text, limits);
  return text;
}

function bodyOf(fields: JsonObject, wire: WireDialect): string {
  if (wire.encoding === "json") return canonicalJson(fields);
  if (wire.encoding === "base64url-json") return base64UrlOf(fields);
  return wire.segments.map((name) => segment(get(fields, name), name)).join(":");
}

function segment(value: unknown, name: string): string {
  if (name === "payload" && value !== undefined) return base64UrlOf(value);
  if (name === "grid_thw" && Array.isArray(value)) return (value[0] as readonly number[]).join("x");
  if (typeof value === "string") return value;
  throw new MMRawError("missing_field", `required field ${name} is absent`, `$.${name}`);
}

function base64UrlOf(value: unknown): string {
  return encodeBase64Url(encoder.encode(canonicalJson(value)));
}
