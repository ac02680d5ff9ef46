/** JSON texts of refs, envelopes and payloads: strict JSON, few values, no processed tensors. */
import { hasTensorKey, processedPayload, TENSOR_KEYS } from "./codec/canonical.js";
import { readJson, strict } from "./codec/json.js";
import type { JsonValue } from "./codec/values.js";
import { get, isObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { isBuiltIn } from "./families/table.js";
import type { Limits } from "./generated/limits.js";

/** Values in a ref or an envelope outside its payload. */
const VALUES_BESIDE = 64;
/** A tensor key that is spelled without escapes: no backslash precedes the quote before a string. */
const TENSOR_KEY = new RegExp(`(?<!\\\\)"(?:${TENSOR_KEYS.join("|")})"[ \\t\\r\\n]*:`);

/**
 * The decoded JSON text of a ref or an envelope.
 *
 * @throws MMRawError what `parseJson` throws; limit_exceeded; processed_payload.
 */
export function readDocument(data: string | Uint8Array, limits: Limits, path = "$"): JsonValue {
  const familyOf = (value: JsonValue): unknown =>
    isObject(value) ? get(value, "family") : undefined;
  return read(data, limits.payload_nodes + VALUES_BESIDE, limits, path, familyOf);
}

/** The decoded JSON text of a payload alone. */
export function readPayload(data: Uint8Array, family: unknown, limits: Limits): JsonValue {
  return read(data, limits.payload_nodes, limits, "$.payload", () => family);
}

function read(
  data: string | Uint8Array,
  maxValues: number,
  limits: Limits,
  path: string,
  familyOf: (value: JsonValue) => unknown,
): JsonValue {
  const document = readJson(data, { maxValues, path });
  const few = limits.listed_values;
  // Documents of built-in families hold about 20 values; more are rejected unread.
  if (document.marks > few && isBuiltIn(familyOf(document.value))) {
    if (TENSOR_KEY.test(document.text)) throw processedPayload(path);
    const reason = `expected at most ${few} JSON values, got more; refs need about 20`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
  const value = strict(document);
  if (hasTensorKey(value)) throw processedPayload(path);
  return value;
}
