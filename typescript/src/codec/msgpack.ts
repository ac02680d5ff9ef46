/**
 * A strict reader of MessagePack: what a strict JSON document could say, and nothing else.
 *
 * Each value is counted before it is read, so that no length in the bytes sets memory aside.
 */
import { MMRawError } from "../errors.js";
import { decodeUtf8, tooDeep, tooManyValues } from "./json.js";
import { has, JsonFloat, keepOrder } from "./values.js";
import type { JsonObject, JsonValue } from "./values.js";

/** Nesting; the documents that are read need four levels. */
const MAX_DEPTH = 32;

/** True if bytes begin as an array or object of MessagePack, as no JSON document does. */
export function isMsgpack(data: Uint8Array): boolean {
  const [first = 0] = data;
  return (first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf);
}

/**
 * The value of one MessagePack document with at most `maxValues` values.
 *
 * @throws MMRawError invalid_msgpack, invalid_type, invalid_encoding, invalid_value, duplicate_key,
 * limit_exceeded.
 */
export function parseMsgpack(data: Uint8Array, maxValues: number): JsonValue {
  const reader = new Reader(data, maxValues);
  const value = reader.value(1);
  if (reader.at !== data.length) throw broken();
  return value;
}

function broken(): MMRawError {
  return new MMRawError("invalid_msgpack", "expected a valid MessagePack document, got something else");
}

class Reader {
  at = 0;
  private readonly view: DataView;
  private left: number;

  constructor(
    private readonly data: Uint8Array,
    private readonly maxValues: number,
  ) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.left = maxValues;
  }

  value(depth: number): JsonValue {
    if (--this.left < 0) throw tooManyValues(this.maxValues, "$");
    const first = this.size(1);
    if (first <= 0x7f) return first;
    if (first >= 0xe0) return first - 0x100;
    if (first === 0xc0) return null;
    if (first === 0xc2 || first === 0xc3) return first === 0xc3;
    if (first >= 0xca && first <= 0xd3) return this.number(first);
    if ((first >= 0xc4 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8)) {
      const reason = "expected JSON values, got binary data or an extension";
      throw new MMRawError("invalid_type", reason);
    }
    if (first >= 0xa0 && first <= 0xbf) return this.text(first - 0xa0);
    if (first >= 0xd9 && first <= 0xdb) return this.text(this.size(2 ** (first - 0xd9)));
    if (first === 0xc1) throw broken();
    if (depth > MAX_DEPTH) throw tooDeep(MAX_DEPTH, "$");
    if (first >= 0x90 && first <= 0x9f) return this.array(first - 0x90, depth);
    if (first <= 0x8f) return this.object(first - 0x80, depth);
    const count = this.size(first % 2 === 0 ? 2 : 4);
    return first <= 0xdd ? this.array(count, depth) : this.object(count, depth);
  }

  /** Position of so many bytes, after which reading goes on. */
  private take(count: number): number {
    const start = this.at;
    if (start + count > this.data.length) throw broken();
    this.at = start + count;
    return start;
  }

  /** An unsigned integer of 1, 2 or 4 bytes. */
  private size(bytes: number): number {
    const start = this.take(bytes);
    if (bytes === 1) return this.view.getUint8(start);
    return bytes === 2 ? this.view.getUint16(start) : this.view.getUint32(start);
  }

  private number(first: number): JsonValue {
    const { view } = this;
    if (first <= 0xcb) {
      const isDouble = first === 0xcb;
      const start = this.take(isDouble ? 8 : 4);
      const value = isDouble ? view.getFloat64(start) : view.getFloat32(start);
      if (!Number.isFinite(value)) throw outOfRange();
      return Number.isInteger(value) ? new JsonFloat(value) : value;
    }
    const signed = first >= 0xd0;
    const bytes = 2 ** ((first - 0xcc) % 4);
    const start = this.take(bytes);
    if (bytes === 1) return signed ? view.getInt8(start) : view.getUint8(start);
    if (bytes === 2) return signed ? view.getInt16(start) : view.getUint16(start);
    if (bytes === 4) return signed ? view.getInt32(start) : view.getUint32(start);
    const value = Number(signed ? view.getBigInt64(start) : view.getBigUint64(start));
    if (!Number.isSafeInteger(value)) throw outOfRange();
    return value;
  }

  private text(count: number): string {
    const start = this.take(count);
    return decodeUtf8(this.data.subarray(start, start + count));
  }

  private array(count: number, depth: number): JsonValue[] {
    const found: JsonValue[] = [];
    for (let index = 0; index < count; index++) found.push(this.value(depth + 1));
    return found;
  }

  private object(count: number, depth: number): JsonObject {
    const found = Object.create(null) as Record<string, JsonValue>;
    const keys: string[] = [];
    for (let index = 0; index < count; index++) {
      const key = this.value(depth + 1);
      // A key is no value, as in JSON.
      this.left++;
      if (typeof key !== "string") {
        throw new MMRawError("invalid_type", "expected strings as keys of an object, got another key");
      }
      if (has(found, key)) {
        throw new MMRawError("duplicate_key", "expected each key once in an object, got a duplicate key");
      }
      keys.push(key);
      found[key] = this.value(depth + 1);
    }
    keepOrder(found, keys);
    return found;
  }
}

function outOfRange(): MMRawError {
  const reason = "expected numbers within 2^53-1 and the range of doubles, got one beyond";
  return new MMRawError("invalid_value", reason);
}
