/**
 * Detection of values that look like an image but are part of no known spelling.
 *
 * Source: spec/messages.json (`looks`), spec/README.md, section "Messages".
 */
import { decodeBase64 } from "../codec/base64.js";
import { isObject, JsonFloat } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import {
  LOOKS_BYTE_SIGNATURES,
  LOOKS_HEADS,
  LOOKS_KINDS,
  LOOKS_MEDIA_TYPES,
  LOOKS_SIGNATURES,
  LOOKS_SPOKEN,
  LOOKS_SUFFIXES,
  LOOKS_WORDS,
} from "../generated/messages.js";
import { MEDIA_NAMES } from "../generated/modalities.js";
import { isRef } from "../refs.js";
import { isHolder } from "./places.js";

/** A text is a data: URL rather than a word about such from this many characters on. */
const LEAST_URL = 64;
/** And base64 rather than a word or a path. */
const LEAST_BASE64 = 48;
/** A list of fewer numbers is none of bytes. */
const LEAST_NUMBERS = 26;
const LONGEST_NAME = 2048;
const LONGEST_HEAD = 1024;
/** Bytes of an image that its signature is looked for in, and characters of base64 of them. */
const HEAD_BYTES = 512;
const HEAD_TEXT = 800;
const SIGNATURE = new RegExp(`^(?:${LOOKS_SIGNATURES.join("|")})`);
const OF_BYTES = new RegExp(`^(?:${[...LOOKS_SIGNATURES, ...LOOKS_BYTE_SIGNATURES].join("|")})`);

const latin1 = new TextDecoder("latin1");

function hexOf(head: Uint8Array): string {
  return Array.from(head.subarray(0, HEAD_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function startOf(text: string, length: number): string {
  return text.slice(0, length).replace(/^[ \t\r\n\f\v]+/, "");
}

/** True if a text is base64 that begins as an image does. */
export function isBase64Image(text: string): boolean {
  const start = startOf(text, 4096);
  if (start.length < LEAST_BASE64 || !/^[A-Za-z0-9+/_= \t\r\n\f\v-]*$/.test(start)) return false;
  const [body = ""] = start.slice(0, HEAD_TEXT).replace(/[ \t\r\n\f\v]/g, "").split("=", 1);
  const canonical = body.replace(/-/g, "+").replace(/_/g, "/");
  try {
    return SIGNATURE.test(hexOf(decodeBase64(canonical.slice(0, canonical.length - (canonical.length % 4)))));
  } catch (error) {
    if (error instanceof MMRawError) return false;
    throw error;
  }
}

/** True if a text is base64, a data: URL or hexadecimal digits of an image. */
function isTextOfImage(text: string): boolean {
  const start = startOf(text, LONGEST_HEAD);
  const digits = /^(?:0x|\\x)?([0-9A-Fa-f]{130,1024})/.exec(start);
  if (digits?.[1] !== undefined) return SIGNATURE.test(digits[1].toLowerCase());
  if (/^data:/i.test(start) && start.includes(",")) {
    const body = text.indexOf(",") + 1;
    return isBase64Image(text.slice(body, body + 4096));
  }
  return isBase64Image(text);
}

function hasHead(text: string): boolean {
  const start = text.slice(0, 40).toLowerCase();
  return LOOKS_HEADS.some((head) => start.startsWith(head));
}

/** True if a value is a whole image: encoded bytes, or text or numbers of them. */
export function isPicture(value: unknown): boolean {
  if (typeof value === "string") {
    // Prose about such URLs has blanks, and is shorter than an image.
    const start = startOf(value, LONGEST_HEAD);
    const begins = start.length >= LEAST_URL && hasHead(start);
    return (begins && !/[ \t\r\n\f\v]/.test(start.slice(0, LEAST_URL))) || isTextOfImage(value);
  }
  const head = headOf(value);
  if (head === null) return false;
  return OF_BYTES.test(hexOf(head)) || isPicture(latin1.decode(head.subarray(0, 4096)));
}

/** The first bytes of what holds bytes: a buffer, a view, a list of their numbers. */
function headOf(value: unknown): Uint8Array | null {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (!Array.isArray(value) || value.length < LEAST_NUMBERS) return null;
  const rows = value.slice(0, HEAD_BYTES).map(Number);
  const isByte = (one: unknown, at: number): boolean =>
    (typeof value[at] === "number" || typeof value[at] === "bigint") &&
    Number.isInteger(one) &&
    (one as number) >= 0 &&
    (one as number) < 256;
  return rows.every(isByte) ? Uint8Array.from(rows) : null;
}

/**
 * Says what in a part or message looks like an image: its type, key, media type or value.
 *
 * With `strict`, only whole images count, and no words, media types or file names.
 */
export function looksLikeImage(value: unknown, strict = false): string | null {
  for (const [name, one, whole] of walk(value, strict)) {
    const reason = reasonOf(name, one, whole);
    if (reason !== null) return reason;
  }
  return null;
}

/**
 * True if a column of a row holds a whole image at any depth, or what cannot be looked into. Refs
 * are none: rows have these, too.
 */
export function holdsPicture(value: unknown): boolean {
  for (const [, one] of walk(value, true)) {
    if (isUnread(one) || (isPicture(one) && !isRef(one))) return true;
  }
  return false;
}

/** True if a value holds others that are not looked at: an iterator, a file, a stream. */
export function isUnread(value: unknown): boolean {
  if (!isHolder(value) || value instanceof Map || value instanceof Set) return false;
  const names = [Symbol.iterator, Symbol.asyncIterator, "arrayBuffer", "getReader"];
  return names.some((name) => typeof (value as { [key: PropertyKey]: unknown })[name] === "function");
}

/** The items of a list or set; null for other values. */
export function rowsOf(value: unknown): readonly unknown[] | null {
  if (Array.isArray(value)) return value as readonly unknown[];
  return value instanceof Set ? [...value] : null;
}

/** True if a value has a URL of any kind, except in what is said or done. */
export function holdsUrl(value: unknown): boolean {
  for (const [, one, whole] of walk(value, false)) {
    if (!whole && typeof one === "string" && one.includes("://")) return true;
  }
  return false;
}

/** Each value at any depth, with its key and whether it is below what is said or done. */
function* walk(value: unknown, strict: boolean): Generator<[string, unknown, boolean]> {
  const stack: [string, unknown, boolean][] = [["", value, strict]];
  const seen = new Set<unknown>();
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    yield top;
    const [, one, whole] = top;
    if (typeof one !== "object" || one === null || seen.has(one)) continue;
    seen.add(one);
    const rows = rowsOf(one);
    if (rows !== null) for (const row of rows) stack.push(["", row, whole]);
    else if (isHolder(one)) {
      for (const [key, field] of entriesOf(one)) {
        stack.push([key, field, whole || LOOKS_SPOKEN.includes(key)]);
      }
    }
  }
}

function entriesOf(value: object): [string, unknown][] {
  if (!(value instanceof Map)) return Object.entries(value);
  return [...value].map(([key, field]: [unknown, unknown]) => [String(key), field]);
}

function reasonOf(name: string, value: unknown, whole: boolean): string | null {
  if (isPicture(value)) return "value";
  if (typeof value === "string") return whole ? null : reasonOfText(name, value);
  if (typeof value !== "object" || value === null || value instanceof JsonFloat) return null;
  if (isClosed(value)) return "value";
  if (!whole && hasWord(name) && !isEmpty(value)) return "key";
  return !whole && isNamedAsImage(value) ? "type" : null;
}

function reasonOfText(name: string, text: string): string | null {
  const start = startOf(text, LONGEST_NAME).replace(/[ \t\r\n\f\v]+$/, "").toLowerCase();
  if (LOOKS_KINDS.some((end) => name.toLowerCase().endsWith(end)) && hasWord(text)) return "type";
  if (LOOKS_MEDIA_TYPES.some((begin) => start.startsWith(begin))) return "media type";
  if (MEDIA_NAMES.includes(name)) return null;
  if (hasWord(name) && text !== "") return "key";
  // Objects of a store have URLs with a signature at the end.
  const names = text.length < LONGEST_NAME ? [start, start.split(/[?#]/, 1)[0] ?? ""] : [];
  const isName = names.some((one) => LOOKS_SUFFIXES.some((end) => one.endsWith(end)));
  return isName || LOOKS_HEADS.some((head) => start.startsWith(head)) ? "value" : null;
}

/** True if an object is of a class that is named as an image, such as `ImageUrl`. */
export function isNamedAsImage(value: unknown): boolean {
  if (!isHolder(value) || isObject(value)) return false;
  return hasWord((value.constructor as { name?: unknown } | undefined)?.name);
}

/** True if nothing can be read in an object: a file, a stream, a URL. */
function isClosed(value: object): boolean {
  if (isObject(value) || !isHolder(value) || value instanceof Date) return false;
  if (value instanceof Map || value instanceof Set) return false;
  return Object.keys(value).length === 0;
}

function hasWord(value: unknown): boolean {
  return typeof value === "string" && LOOKS_WORDS.some((word) => value.toLowerCase().includes(word));
}

function isEmpty(value: object): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isHolder(value) ? isObject(value) && Object.keys(value).length === 0 : byteCount(value) === 0;
}

function byteCount(value: object): number {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? value.byteLength : 1;
}
