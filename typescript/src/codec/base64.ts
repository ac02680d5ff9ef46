/** Canonical base64: a text is accepted only if it is what an encoder would have written. */
import { MMRawError } from "../errors.js";

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = STANDARD.slice(0, 62) + "-_";

function codes(alphabet: string): Uint8Array {
  return Uint8Array.from(alphabet, (char) => char.charCodeAt(0));
}

/** Value of each ASCII character, 255 where it has none. */
function values(alphabet: string): Uint8Array {
  const table = new Uint8Array(128).fill(255);
  [...alphabet].forEach((char, value) => (table[char.charCodeAt(0)] = value));
  return table;
}

const STANDARD_CODES = codes(STANDARD);
const URL_CODES = codes(URL_SAFE);
const STANDARD_VALUES = values(STANDARD);
const URL_VALUES = values(URL_SAFE);

const latin1 = new TextDecoder("latin1");

/** Standard alphabet, with padding (RFC 4648, section 4). */
export function encodeBase64(data: Uint8Array): string {
  return encode(data, STANDARD_CODES) + "=".repeat((3 - (data.length % 3)) % 3);
}

/** URL alphabet, without padding (RFC 4648, section 5). */
export function encodeBase64Url(data: Uint8Array): string {
  return encode(data, URL_CODES);
}

function encode(data: Uint8Array, table: Uint8Array): string {
  const length = Math.ceil((data.length * 4) / 3);
  const out = new Uint8Array(Math.ceil(length / 4) * 4);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    const bits = (data[from]! << 16) | ((data[from + 1] ?? 0) << 8) | (data[from + 2] ?? 0);
    out[to] = table[bits >> 18]!;
    out[to + 1] = table[(bits >> 12) & 63]!;
    out[to + 2] = table[(bits >> 6) & 63]!;
    out[to + 3] = table[bits & 63]!;
  }
  return latin1.decode(out.subarray(0, length));
}

/** The bytes of canonical standard base64 in text[start:]; throws `invalid_base64` otherwise. */
export function decodeBase64(text: string, path = "$", start = 0): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const body = text.slice(start, text.length - padding);
  const data = (text.length - start) % 4 === 0 ? decode(body, STANDARD_VALUES) : null;
  if (data === null) {
    const fault = faultOf(text, start, false);
    throw new MMRawError("invalid_base64", `expected standard base64 with padding; ${fault}`, path);
  }
  return data;
}

/** The bytes of canonical unpadded base64url in text[start:]; throws `invalid_base64` otherwise. */
export function decodeBase64Url(text: string, path = "$", start = 0): Uint8Array {
  const data = decode(text.slice(start), URL_VALUES);
  if (data === null) {
    const fault = faultOf(text, start, true);
    throw new MMRawError("invalid_base64", `expected base64url without padding; ${fault}`, path);
  }
  return data;
}

/** Kinds of first characters outside the alphabet. */
const STRAYS: readonly (readonly [string, string])[] = [
  ["\r\n", "a line break"],
  [" \t", "a blank"],
  ["=", "padding"],
  ["+/", "a letter of the standard alphabet"],
  ["-_", "a letter of the URL alphabet"],
  [".\u2026", "dots, as where a text was cut off,"],
  ["%", "a percent escape"],
  ["\\", "an escape"],
  ["\"'`", "a quote"],
];
const URL_CHARACTERS = /[A-Za-z0-9_-]*/y;
const STANDARD_CHARACTERS = /[A-Za-z0-9+/]*(?:={1,2}(?=$))?/y;

/** Why text[start:] is not canonical: kind and position (from 1, in `text`), never the text. */
function faultOf(text: string, start: number, url: boolean): string {
  const pattern = url ? URL_CHARACTERS : STANDARD_CHARACTERS;
  pattern.lastIndex = start;
  const end = start + (pattern.exec(text)?.[0].length ?? 0);
  const stray = text[end];
  if (stray !== undefined) {
    const kind = STRAYS.find(([letters]) => letters.includes(stray))?.[1];
    const other = stray < "\x80" ? "a character of no alphabet" : "a character beyond ASCII";
    return `got ${kind ?? other} at character ${end + 1}`;
  }
  const size = text.length - start;
  if (url && size % 4 !== 1) {
    return `got stray bits in the last character, ${end}: it was cut off or altered there`;
  }
  if (size % 4 !== 0) {
    return `got ${size} characters, which is no length of it: it was cut off or altered`;
  }
  const padding = text.endsWith("==") ? 2 : 1;
  return `got stray bits before the padding, at character ${text.length - padding}`;
}

/** The bytes of unpadded text; null if a character is foreign or a trailing bit is set. */
function decode(text: string, table: Uint8Array): Uint8Array | null {
  const rest = text.length % 4;
  if (rest === 1) return null;
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let to = 0;
  let bits = 0;
  for (let from = 0; from < text.length; from++) {
    const code = text.charCodeAt(from);
    const value = code < 128 ? table[code]! : 255;
    if (value === 255) return null;
    bits = (bits << 6) | value;
    if ((from & 3) === 3) {
      out[to++] = (bits >> 16) & 255;
      out[to++] = (bits >> 8) & 255;
      out[to++] = bits & 255;
      bits = 0;
    }
  }
  if (rest === 2) {
    if ((bits & 15) !== 0) return null;
    out[to] = bits >> 4;
  } else if (rest === 3) {
    if ((bits & 3) !== 0) return null;
    out[to] = bits >> 10;
    out[to + 1] = (bits >> 2) & 255;
  }
  return out;
}
