/**
 * What looks like an image in a value that is no part of a known spelling.
 *
 * Source: spec/messages.json (`looks`), spec/README.md, section "Messages".
 */
import { JsonFloat } from "../codec/values.js";
import {
  LOOKS_BASE64,
  LOOKS_HEADS,
  LOOKS_MEDIA_TYPES,
  LOOKS_SPOKEN,
  LOOKS_SUFFIXES,
  LOOKS_WORDS,
} from "../generated/messages.js";
import { MEDIA_NAMES } from "../generated/modalities.js";
import { formatOf } from "../images/index.js";
import { isHolder } from "./places.js";

const LEAST_TEXT = 64;
const LONGEST_NAME = 2048;

/** Whether a text is base64 that begins as an image does. */
export function isBase64Image(text: string): boolean {
  if (text.length < LEAST_TEXT || !LOOKS_BASE64.some((start) => text.startsWith(start))) return false;
  return /^[A-Za-z0-9+/_=\s-]*$/.test(text.slice(0, 4096));
}

function hasHead(text: string): boolean {
  const start = text.slice(0, 40).toLowerCase();
  return LOOKS_HEADS.some((head) => start.startsWith(head));
}

/** Whether a value is a whole image: encoded bytes, or text of them. */
export function isPicture(value: unknown): boolean {
  if (typeof value === "string") {
    // Prose about such URLs has blanks, and is shorter than an image.
    const begins = value.length >= LEAST_TEXT && hasHead(value);
    return (begins && !/\s/.test(value.slice(0, LEAST_TEXT))) || isBase64Image(value);
  }
  if (value instanceof ArrayBuffer) return formatOf(new Uint8Array(value)) !== null;
  if (!ArrayBuffer.isView(value)) return false;
  return formatOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) !== null;
}

/**
 * What in a part or message looks like an image: its type, key, media type or value.
 *
 * With `strict`, only whole images count, and no words, media types or file names.
 */
export function looksLikeImage(value: unknown, strict = false): string | null {
  const stack: [string, unknown, boolean][] = [["", value, strict]];
  const seen = new Set<unknown>();
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const [name, one, whole] = top;
    const reason = reasonOf(name, one, whole);
    if (reason !== null) return reason;
    if (typeof one !== "object" || one === null || seen.has(one)) continue;
    seen.add(one);
    if (Array.isArray(one)) for (const row of one) stack.push(["", row, whole]);
    else if (isHolder(one)) {
      for (const key of Object.keys(one)) {
        stack.push([key, one[key], whole || LOOKS_SPOKEN.includes(key)]);
      }
    }
  }
  return null;
}

function reasonOf(name: string, value: unknown, whole: boolean): string | null {
  if (isPicture(value)) return "value";
  if (whole || value === null || value === undefined || value instanceof JsonFloat) return null;
  if (typeof value !== "string" && typeof value !== "object") return null;
  if (name === "type" || name === "kind") return hasWord(value) ? "type" : null;
  if (typeof value === "string") {
    const declared = value.slice(0, 16).toLowerCase();
    if (LOOKS_MEDIA_TYPES.some((start) => declared.startsWith(start))) return "media type";
    if (MEDIA_NAMES.includes(name)) return null;
  }
  if (hasWord(name) && !isEmpty(value)) return "key";
  if (typeof value !== "string") return null;
  return isFileName(value) || hasHead(value) ? "value" : null;
}

function isFileName(text: string): boolean {
  if (text.length >= LONGEST_NAME) return false;
  // Objects of a store are named by URLs with a signature behind them.
  const [name = ""] = text.toLowerCase().split(/[?#]/, 1);
  return LOOKS_SUFFIXES.some((end) => name.endsWith(end));
}

function hasWord(value: unknown): boolean {
  return typeof value === "string" && LOOKS_WORDS.some((word) => value.toLowerCase().includes(word));
}

function isEmpty(value: string | object): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length === 0;
  return isHolder(value) ? Object.keys(value).length === 0 : (value as Uint8Array).length === 0;
}
