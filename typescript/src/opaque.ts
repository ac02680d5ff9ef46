/** Payloads of families that are not built in: any JSON object within the limits. */
import {
  canonicalJson,
  checkJsonValue,
  hasTensorKey,
  processedPayload,
} from "./codec/canonical.js";
import type { Check } from "./codec/check.js";
import { isObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import type { Limits } from "./generated/limits.js";

/** The check of such a payload; its canonical text counts, not the received one. */
export const opaquePayload: Check = (value, path, limits, faults) =>
  faults.catch(() => checkOpaque(value, path, limits));

function checkOpaque(value: unknown, path: string, limits: Limits): void {
  if (!isObject(value)) throw new MMRawError("invalid_type", "expected a JSON object", path);
  const { payload_depth: maxDepth, payload_nodes: maxValues, payload_bytes: most } = limits;
  checkJsonValue(value, { path, maxDepth, maxValues });
  if (hasTensorKey(value)) throw processedPayload(path);
  if (canonicalJson(value).length > most) {
    const reason = `expected at most ${most} bytes of canonical JSON in a payload, got more`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
}
