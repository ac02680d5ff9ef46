/** What a family's payload holds, and the rules of it that no schema can say. */
import { PROCESSED_KEYS, processedPayload } from "./codec/canonical.js";
import type { Document } from "./codec/json.js";
import { has } from "./codec/values.js";
import type { JsonObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { PAYLOADS } from "./generated/wire.js";
import type { ListedFamily } from "./generated/wire.js";
import type { KimiK25Payload, Payload, QwenVlPayload } from "./generated/types.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { checkGrid } from "./grids.js";
import type { Grid } from "./grids.js";

export type { KimiK25Payload, Payload, QwenVlPayload };

/** Whether spec/ types the payload of `family`. */
export function isListedFamily(family: unknown): family is ListedFamily {
  return typeof family === "string" && has(PAYLOADS, family);
}

/** A key of processed tensors, spelt without escapes: no backslash stands before a string. */
const PROCESSED_KEY = new RegExp(`(?<!\\\\)"(?:${PROCESSED_KEYS.join("|")})"[ \\t\\r\\n]*:`);

/** Refuses JSON of a listed family's ref, envelope or payload that holds too many values. */
export function checkFewValues(document: Document, limits: Limits, path = "$"): void {
  if (document.marks <= limits.listed_values) return;
  if (PROCESSED_KEY.test(document.text)) throw processedPayload(path);
  const reason = `more than ${limits.listed_values} values, where this family has some twenty`;
  throw new MMRawError("limit_exceeded", reason, path);
}

const GRID_KEYS: { readonly [F in ListedFamily]: string } = {
  qwen_vl: "image_grid_thw",
  kimi_k25: "grid_thws",
};

/** The grid that a payload of a listed family names; null for any other family. */
export function gridOf(family: string, payload: Payload): Grid | null {
  if (!isListedFamily(family)) return null;
  const rows = (payload as unknown as JsonObject)[GRID_KEYS[family]];
  return (rows as unknown as readonly [Grid])[0];
}

/** The rules of a typed payload where no configuration is at hand. */
export function checkPayload(
  family: string,
  payload: Payload,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.payload",
): void {
  const grid = gridOf(family, payload);
  if (grid !== null && isListedFamily(family)) {
    checkGrid(grid, undefined, limits, `${path}.${GRID_KEYS[family]}`);
  }
}
