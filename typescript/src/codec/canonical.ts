/** Canonical JSON, and the rules of values that no schema can say. */
import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import { MAX_DEPTH } from "./json.js";
import { checkText, compareCodePoints } from "./strings.js";
import { has, isArray, isObject, JsonFloat } from "./values.js";
import type { JsonObject, JsonValue } from "./values.js";
import { children, walk } from "./walk.js";

/** Keys that may occur nowhere in a raw item: they would carry processed tensors. */
export const PROCESSED_KEYS: readonly string[] = ["image_embeds", "image_features", "pixel_values"];

const UNSAFE = /["\\\x00-\x1f\x7f-\uffff]/g;
const SHORT: { readonly [char: string]: string } = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** Canonical JSON: keys sorted by code point, no blanks, everything beyond ASCII escaped. */
export function canonicalJson(value: unknown, path = "$"): string {
  checkJsonValue(value, path);
  return write(value as JsonValue);
}

/** The same without checks: for answers whose strings may be anything. */
export function write(value: JsonValue): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : floatText(value);
  if (value instanceof JsonFloat) return floatText(value.value);
  if (isArray(value)) return `[${value.map(write).join(",")}]`;
  if (!isObject(value)) return String(value);
  const keys = Object.keys(value).sort(compareCodePoints);
  return `{${keys.map((key) => `${quote(key)}:${write(value[key] as JsonValue)}`).join(",")}}`;
}

function quote(text: string): string {
  return `"${text.replace(UNSAFE, escape)}"`;
}

function escape(char: string): string {
  return SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** A float as Python's repr writes it: shortest digits, `1.0`, `1e+16`, `1.5e-07`. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  if (value === 0) return "0.0";
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 16) {
    const text = plainText(value, mantissa, exponent);
    return text.includes(".") ? text : `${text}.0`;
  }
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
}

function plainText(value: number, mantissa: string, exponent: number): string {
  const sign = value < 0 ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const rest = digits.slice(exponent + 1);
  return `${sign}${whole}${rest === "" ? "" : `.${rest}`}`;
}

/** Refuses what a decoded document cannot hold: other types, big integers, NaN, lone surrogates. */
export function checkJsonValue(value: unknown, path = "$"): void {
  for (const { item, depth } of walk(value)) {
    if (depth > MAX_DEPTH) {
      throw new MMRawError("limit_exceeded", `nested deeper than ${MAX_DEPTH} levels`, path);
    }
    checkLeaf(item, path);
  }
}

function checkLeaf(item: unknown, path: string): void {
  if (item === null || typeof item === "boolean" || isArray(item)) return;
  if (typeof item === "string") return checkText(item, path);
  if (isObject(item)) return Object.keys(item).forEach((key) => checkText(key, path));
  if (typeof item === "bigint" || (Number.isInteger(item) && !Number.isSafeInteger(item))) {
    throw new MMRawError("invalid_value", "an integer is beyond 2^53-1", path);
  }
  const number = item instanceof JsonFloat ? item.value : item;
  if (typeof number !== "number") throw new MMRawError("invalid_type", "not a JSON value", path);
  if (!Number.isFinite(number)) {
    throw new MMRawError("invalid_value", "NaN and Infinity are not JSON", path);
  }
}

/** An opaque payload: a JSON object within the limits that holds no processed tensors. */
export function checkPayloadValue(
  value: unknown,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.payload",
): JsonObject {
  if (!isObject(value)) throw new MMRawError("invalid_type", "expected a JSON object", path);
  let count = 0;
  for (const { item, depth } of walk(value)) {
    if (depth > limits.payload_depth && children(item) !== null) {
      const reason = `nested deeper than ${limits.payload_depth} levels`;
      throw new MMRawError("limit_exceeded", reason, path);
    }
    if (++count > limits.payload_nodes) {
      throw new MMRawError("limit_exceeded", `more than ${limits.payload_nodes} values`, path);
    }
    checkLeaf(item, path);
    if (hasProcessedKey(item)) throw processedPayload(path);
  }
  return value;
}

function hasProcessedKey(item: unknown): boolean {
  return isObject(item) && PROCESSED_KEYS.some((key) => has(item, key));
}

/** Whether a key of processed tensors occurs at any depth. */
export function holdsProcessedKey(value: unknown): boolean {
  for (const { item } of walk(value)) if (hasProcessedKey(item)) return true;
  return false;
}

export function processedPayload(path: string): MMRawError {
  const reason = `raw items carry none of ${PROCESSED_KEYS.join(", ")}`;
  return new MMRawError("processed_payload", reason, path);
}
