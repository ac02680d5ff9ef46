/**
 * A strict reader of JSON.
 *
 * `JSON.parse` keeps the last of duplicate keys, rounds big integers, takes lone surrogates, and
 * cannot tell `1` from `1.0`. Here all of that is refused or kept apart.
 */
import { MMRawError } from "../errors.js";
import type { ErrorCode } from "../generated/errors.js";
import { checkText, hasLoneSurrogate } from "./strings.js";
import { has, JsonFloat, keepOrder } from "./values.js";
import type { JsonObject, JsonValue } from "./values.js";

/** Nesting of any document; ours need six levels. */
export const MAX_DEPTH = 256;

/** A document with more text than this beyond ASCII takes a reader several times its length. */
const MAX_WIDE_TEXT = 1 << 18;

export interface ReadOptions {
  readonly maxDepth?: number;
  /** Most values in a document of this protocol; by default any number. */
  readonly maxValues?: number;
  readonly path?: string;
  /** Takes duplicate keys, big integers and lone surrogates, for later checks to refuse. */
  readonly lenient?: boolean;
}

/** One strict JSON document. */
export function parseJson(text: string | Uint8Array, options: ReadOptions = {}): JsonValue {
  return strict(readJson(text, options));
}

/** A document that is JSON. */
export interface Document {
  /** Of equal keys the last. */
  readonly value: JsonValue;
  readonly text: string;
  /** Commas and opening brackets outside of strings: about as many as values. */
  readonly marks: number;
  /** The fault that only a strict reader rejects: a number out of range, else a duplicate key. */
  readonly fault: MMRawError | null;
}

/** The value of a document, or its fault. */
export function strict(document: Document): JsonValue {
  if (document.fault !== null) throw document.fault;
  return document.value;
}

/**
 * A document, up to whether it is JSON; `strict` does the rest.
 *
 * @throws MMRawError invalid_encoding, limit_exceeded, invalid_json.
 */
export function readJson(text: string | Uint8Array, options: ReadOptions = {}): Document {
  const { maxDepth = MAX_DEPTH, maxValues = Infinity, path = "$", lenient = false } = options;
  const source = typeof text === "string" ? text : decodeUtf8(text, path);
  if (!lenient) checkText(source, path);
  if (source.startsWith("\ufeff")) {
    throw new MMRawError("invalid_encoding", "expected JSON, got a byte order mark before it", path);
  }
  const found = structureOf(source);
  // Each value has at most one key, and each string two quotes.
  if (found.quotes > 4 * maxValues + 4) throw tooManyValues(maxValues, path);
  if (maxValues < Infinity && found.wide > MAX_WIDE_TEXT) {
    const reason = `expected at most ${MAX_WIDE_TEXT} bytes of strings beyond ASCII, got more`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
  if (found.stray !== null) throw notJson(source, found.stray, path);
  if (found.marks > maxValues) throw tooManyValues(maxValues, path);
  if (found.depth > maxDepth) throw tooDeep(maxDepth, path);
  return new Reader(source, path, lenient).document(found.marks);
}

export function decodeUtf8(data: Uint8Array, path = "$"): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new MMRawError("invalid_encoding", "expected UTF-8, got other bytes", path);
  }
}

/** Bytes are counted from 1, in the text's UTF-8. */
function notJson(text: string, at: number, path: string): MMRawError {
  const before = new TextEncoder().encode(text.slice(0, at)).length;
  const got =
    at < text.length ? `something else at byte ${before + 1}` : `one that is cut off after ${before} bytes`;
  return new MMRawError("invalid_json", `expected a valid JSON document; got ${got}`, path);
}

export function tooDeep(maxDepth: number, path: string): MMRawError {
  return new MMRawError("limit_exceeded", `expected at most ${maxDepth} levels of nesting, got more`, path);
}

export function tooManyValues(maxValues: number, path: string): MMRawError {
  return new MMRawError("limit_exceeded", `expected at most ${maxValues} JSON values, got more`, path);
}

/** Counts of a text, made before any value is built. */
interface Structure {
  /** Commas and opening brackets outside of strings. */
  marks: number;
  /** Most brackets that are open at once. */
  depth: number;
  quotes: number;
  /** Bytes of strings that hold more than ASCII, or an escape that may represent it. */
  wide: number;
  /** The position of the first backslash outside of strings; null if there is none. */
  stray: number | null;
}

function structureOf(text: string): Structure {
  const found: Structure = { marks: 0, depth: 0, quotes: 0, wide: 0, stray: null };
  let open = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = passString(text, at, found);
    else if (code === COMMA) found.marks++;
    else if (code === 0x5d || code === 0x7d) open--;
    else if (code === 0x5b || code === 0x7b) {
      found.marks++;
      found.depth = Math.max(found.depth, ++open);
    } else if (code === BACKSLASH) {
      // The next character is escaped: a quote opens no string here.
      found.stray ??= at;
      at++;
    }
  }
  return found;
}

/** The end of the string that begins at `at`. */
function passString(text: string, at: number, found: Structure): number {
  let bytes = 1;
  let wide = false;
  found.quotes++;
  for (at++; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      found.quotes++;
      break;
    }
    // A surrogate is half of a character of four bytes.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
    if (code >= 0x80) wide = true;
    if (code !== BACKSLASH) continue;
    const escaped = text.charCodeAt(at + 1);
    if (escaped === QUOTE || escaped === BACKSLASH || escaped === 0x75) wide = true;
    if (escaped === QUOTE || escaped === BACKSLASH) {
      at++;
      bytes++;
    }
  }
  if (wide) found.wide += bytes;
  return at;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const HEX = /[0-9a-fA-F]{4}/y;
const ESCAPES: { readonly [char: string]: string } = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
const LITERALS: readonly (readonly [string, JsonValue])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

class Reader {
  private at = 0;
  /** True if an escape in the string that is read gave a surrogate, which may be a lone one. */
  private odd = false;
  private lone = false;
  private numberFault: MMRawError | null = null;
  private keyFault: MMRawError | null = null;

  constructor(
    private readonly text: string,
    private readonly path: string,
    private readonly lenient: boolean,
  ) {}

  document(marks: number): Document {
    this.blanks();
    const value = this.value();
    this.blanks();
    if (this.at !== this.text.length) throw this.broken();
    if (!this.lenient && this.lone) {
      throw this.error("invalid_encoding", "expected strings of whole characters, got a lone surrogate");
    }
    const fault = this.lenient ? null : (this.numberFault ?? this.keyFault);
    return { value, text: this.text, marks, fault };
  }

  private error(code: ErrorCode, reason: string): MMRawError {
    return new MMRawError(code, reason, this.path);
  }

  private broken(at = this.at): MMRawError {
    return notJson(this.text, at, this.path);
  }

  private blanks(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at += found[0].length;
    return found;
  }

  private value(): JsonValue {
    const char = this.text[this.at];
    if (char === "{") return this.object();
    if (char === "[") return this.array();
    if (char === '"') return this.string();
    for (const [word, value] of LITERALS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private number(): JsonValue {
    const found = this.match(NUMBER);
    if (found === null) {
      const rest = this.text.slice(this.at, this.at + 5);
      const cut = LITERALS.some(([word]) => word.startsWith(rest));
      throw this.broken(cut ? this.text.length : this.at);
    }
    const digits = found[0];
    const value = Number(digits);
    if (found[1] === undefined && found[2] === undefined) {
      // A sum with 0 makes 0 of -0.
      if (Number.isSafeInteger(value)) return value + 0;
      if (this.lenient) return BigInt(digits);
      this.numberFault ??= this.error("invalid_value", "expected integers within 2^53-1, got one beyond");
      return 0;
    }
    if (!Number.isFinite(value)) {
      this.numberFault ??= this.error("invalid_value", "expected numbers within the range of doubles, got one beyond");
    }
    return new JsonFloat(value);
  }

  private string(): string {
    let result = "";
    this.at++;
    this.odd = false;
    for (;;) {
      const start = this.at;
      this.plain();
      result += this.text.slice(start, this.at);
      const char = this.text[this.at++];
      if (char === '"') {
        this.lone ||= this.odd && hasLoneSurrogate(result);
        return result;
      }
      if (char !== "\\") throw this.broken(this.at - 1);
      result += this.escape();
    }
  }

  /** Moves to the next quote, backslash or control character, or to the end. */
  private plain(): void {
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22 || code === 0x5c || code < 0x20) return;
    }
  }

  private escape(): string {
    const char = this.text[this.at++] ?? "";
    if (char === "u") {
      const found = this.match(HEX);
      if (found === null) throw this.broken();
      const code = parseInt(found[0], 16);
      this.odd ||= code >= 0xd800 && code <= 0xdfff;
      return String.fromCharCode(code);
    }
    const value = has(ESCAPES, char) ? ESCAPES[char] : undefined;
    if (value === undefined) throw this.broken(this.at - 1);
    return value;
  }

  private array(): JsonValue[] {
    const result: JsonValue[] = [];
    this.at++;
    this.blanks();
    if (this.text[this.at] === "]") {
      this.at++;
      return result;
    }
    for (;;) {
      result.push(this.value());
      this.blanks();
      const char = this.text[this.at++];
      if (char === "]") return result;
      if (char !== ",") throw this.broken(this.at - 1);
      this.blanks();
    }
  }

  private object(): JsonObject {
    const result = Object.create(null) as Record<string, JsonValue>;
    const keys: string[] = [];
    let twice = false;
    this.at++;
    this.blanks();
    if (this.text[this.at] === "}") {
      this.at++;
      return result;
    }
    for (;;) {
      if (this.text[this.at] !== '"') throw this.broken();
      const key = this.string();
      this.blanks();
      if (this.text[this.at] !== ":") throw this.broken();
      this.at++;
      this.blanks();
      const value = this.value();
      if (has(result, key)) twice = true;
      else keys.push(key);
      result[key] = value;
      this.blanks();
      const char = this.text[this.at++];
      if (char === "}") break;
      if (char !== ",") throw this.broken(this.at - 1);
      this.blanks();
    }
    if (twice) this.keyFault ??= this.error("duplicate_key", "expected each key once in an object, got a duplicate key");
    keepOrder(result, keys);
    return result;
  }
}
