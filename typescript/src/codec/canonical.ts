/** Canonical JSON, and the rules of values that no schema can say. */
import { MMRawError } from "../errors.js";
import { MAX_DEPTH, tooDeep, tooManyValues } from "./json.js";
import { checkText, compareCodePoints } from "./strings.js";
import { has, isArray, isObject, JsonFloat, keysOf } from "./values.js";
import type { JsonValue } from "./values.js";

/** Keys that no raw item holds at any depth: they would carry processed tensors. */
export const TENSOR_KEYS: readonly string[] = ["image_embeds", "image_features", "pixel_values"];

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
  checkJsonValue(value, { path });
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

export interface ValueOptions {
  readonly path?: string;
  readonly maxDepth?: number;
  readonly maxValues?: number;
}

/**
 * Refuses what a strict text cannot hold: other types, big integers, NaN, lone surrogates.
 *
 * Values are seen level by level, without recursion.
 */
export function checkJsonValue(value: unknown, options: ValueOptions = {}): void {
  const { path = "$", maxDepth = MAX_DEPTH, maxValues = Infinity } = options;
  let count = 0;
  let level: unknown[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    count += level.length;
    if (count > maxValues) throw tooManyValues(maxValues, path);
    const below: unknown[] = [];
    for (const item of level) {
      checkItem(item, path);
      const children = childrenOf(item);
      if (children !== null && depth > maxDepth) throw tooDeep(maxDepth, path);
      for (const child of children ?? []) below.push(child);
    }
    level = below;
  }
}

/** The values in a container, without keys; null for a leaf. */
function childrenOf(value: unknown): readonly unknown[] | null {
  if (isArray(value)) return value;
  return isObject(value) ? keysOf(value).map((key) => value[key]) : null;
}

function checkItem(item: unknown, path: string): void {
  if (item === null || typeof item === "boolean" || isArray(item)) return;
  if (typeof item === "string") return checkText(item, path);
  if (isObject(item)) return keysOf(item).forEach((key) => checkText(key, path));
  if (typeof item === "bigint" || (Number.isInteger(item) && !Number.isSafeInteger(item))) {
    throw new MMRawError("invalid_value", "expected integers within 2^53-1, got one beyond", path);
  }
  const number = item instanceof JsonFloat ? item.value : item;
  if (typeof number !== "number") throw new MMRawError("invalid_type", "expected a JSON value, got one of another type", path);
  if (!Number.isFinite(number)) {
    throw new MMRawError("invalid_value", "expected a finite number, got NaN or Infinity", path);
  }
}

/** True if a key of processed tensors occurs at any depth. */
export function hasTensorKey(value: unknown): boolean {
  const stack = [value];
  while (stack.length > 0) {
    const item = stack.pop();
    if (isObject(item) && TENSOR_KEYS.some((key) => has(item, key))) return true;
    for (const child of childrenOf(item) ?? []) stack.push(child);
  }
  return false;
}

export function processedPayload(path: string): MMRawError {
  const reason = `raw items must not contain ${TENSOR_KEYS.join(", ")}`;
  return new MMRawError("processed_payload", reason, path);
}
