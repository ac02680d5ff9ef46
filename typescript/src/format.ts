/** Writing refs, and reading them from their fields. */
import { encodeBase64Url } from "./codec/base64.js";
import { canonicalJson, checkJsonValue } from "./codec/canonical.js";
import { enforce } from "./codec/check.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { gridKeyOf } from "./families/table.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { BLANK_REF, DEFAULT_DIALECT, DIALECTS, WRITABLE } from "./generated/wire.js";
import type { Dialect, WireDialect } from "./generated/wire.js";
import { normalizeRunId } from "./names.js";
import { hasPlace, parseRef, refOf } from "./refs.js";
import type { RawMMRef } from "./refs.js";

const encoder = new TextEncoder();
/** Fields that some dialects lack: a caller that converts to them keeps the run's label. */
const KEPT_APART = ["family", "run_id"];

/**
 * The canonical text of `ref` in a dialect that is written; `WRITABLE` lists them.
 *
 * `parseRef` accepts what is written: the values are checked as if read.
 */
export function formatRef(
  ref: RawMMRef,
  dialect: string = DEFAULT_DIALECT,
  limits: Limits = DEFAULT_LIMITS,
): string {
  const wire = isDialect(dialect) ? DIALECTS[dialect] : null;
  if (wire === null || !wire.write) {
    const reason = `expected ${WRITABLE.join(" or ")}; convertRef writes the other dialects`;
    throw new MMRawError("invalid_dialect", reason);
  }
  return writeRef(ref, wire, limits);
}

/** The canonical text of `ref` in any dialect, also those that `formatRef` does not write. */
export function writeAny(ref: RawMMRef, dialect: string, limits: Limits = DEFAULT_LIMITS): string {
  return writeRef(ref, wireOf(dialect), limits);
}

export function isDialect(name: string): name is Dialect {
  return has(DIALECTS, name);
}

export function wireOf(dialect: string): WireDialect {
  if (isDialect(dialect)) return DIALECTS[dialect];
  const names = Object.keys(DIALECTS).join(", ");
  throw new MMRawError("invalid_dialect", `expected one of the dialects ${names}, got another`);
}

/** The fields of a ref by their wire names in its dialect, absent ones left out. */
export function fieldsOf(ref: RawMMRef): JsonObject {
  return documentOf(ref, DIALECTS[ref.dialect]);
}

/** The ref that fields by their wire names say in `dialect`, checked as if read. */
export function refFromFields(fields: unknown, dialect: string): RawMMRef {
  const wire = wireOf(dialect);
  if (!isObject(fields)) throw new MMRawError("invalid_type", "expected an object of fields");
  checkJsonValue(fields);
  enforce(wire.check, fields, "$", DEFAULT_LIMITS);
  return refOf(fields, wire);
}

/** The fields of a ref that a dialect cannot carry, by the names of the model. */
export function lostFields(ref: RawMMRef, wire: WireDialect): string[] {
  const fields = Object.keys(BLANK_REF) as (keyof typeof BLANK_REF)[];
  return fields.filter(
    (name) => !KEPT_APART.includes(name) && !hasPlace(wire, name) && (ref[name] ?? null) !== null,
  );
}

/** The canonical text of `ref` in any dialect, read again before it is returned. */
export function writeRef(ref: RawMMRef, wire: WireDialect, limits: Limits): string {
  if (wire.family !== null && ref.family !== wire.family) {
    const reason = `dialect ${wire.dialect} knows family ${wire.family} only`;
    throw new MMRawError("not_convertible", reason, "$.family");
  }
  for (const name of lostFields(ref, wire)) {
    const reason = `dialect ${wire.dialect} cannot carry ${name}`;
    throw new MMRawError("not_convertible", reason, `$.${name}`);
  }
  const { run_id } = ref;
  const named = typeof run_id === "string" && hasPlace(wire, "run_id");
  const document = documentOf(
    named ? { ...ref, run_id: normalizeRunId(run_id, limits) } : ref,
    wire,
  );
  checkJsonValue(document);
  enforce(wire.check, document, "$", limits);
  const text = wire.prefix + bodyOf(document, wire);
  // Reading it again also checks the lengths, and labels against names.
  parseRef(text, limits);
  return text;
}

function documentOf(ref: RawMMRef, wire: WireDialect): JsonObject {
  const result: { [name: string]: JsonValue } = {};
  for (const [name, attribute] of wire.fields) {
    let value = (ref as unknown as JsonObject)[attribute];
    if (wire.family !== null && attribute === "payload" && isObject(value)) {
      // One family alone: its grid says all of its payload.
      value = get(value, gridKeyOf(wire.family));
    }
    if (value !== null && value !== undefined) result[name] = value;
  }
  return result;
}

function bodyOf(document: JsonObject, wire: WireDialect): string {
  if (wire.encoding === "json") return canonicalJson(document);
  if (wire.encoding === "base64url-json") return base64UrlOf(document);
  return wire.segments.map((name) => segmentOf(document[name])).join(":");
}

/** A part of a checked document: a string, a grid as TxHxW, or a payload. */
function segmentOf(value: unknown): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? (value[0] as readonly number[]).join("x") : base64UrlOf(value);
}

function base64UrlOf(value: unknown): string {
  return encodeBase64Url(encoder.encode(canonicalJson(value)));
}
