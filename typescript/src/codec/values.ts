/**
 * JSON values that keep integers and floats apart.
 *
 * A plain number is an integer where it has no fraction, else a float. `JsonFloat` is a float whose
 * value may be integral, as `1.0` is. A `bigint` is an integer that no reader of this protocol takes;
 * it occurs only where a document was read leniently.
 */
export type JsonValue =
  null | boolean | number | bigint | string | JsonFloat | readonly JsonValue[] | JsonObject;

/** A JSON object. Those that are read have no prototype, so that any key is just a key. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** A number that was written as a float: `1.0`, `1e3`, `-0.0`. */
export class JsonFloat {
  constructor(readonly value: number) {}

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }
}

/** True if a value is an object of JSON: neither an array nor a float nor of a class of its own. */
export function isObject(value: unknown): value is JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

export function isArray(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** True if `name` is a key of the object itself. */
export function has(value: object, name: string): boolean {
  return Object.prototype.hasOwnProperty.call(value, name);
}

/** The value of a key, or undefined; what the prototype has is no key. */
export function get(value: JsonObject, name: string): JsonValue | undefined {
  return has(value, name) ? value[name] : undefined;
}

/** Keys in their order of documents that hold some which JavaScript moves to the front. */
const ORDERS = new WeakMap<object, readonly string[]>();

/** Keeps the order in which a document has its keys, where the object itself does not. */
export function keepOrder(value: object, keys: readonly string[]): void {
  if (Object.keys(value).some((key, index) => key !== keys[index])) ORDERS.set(value, keys);
}

/** The keys of an object, as the document that it was read from has them. */
export function keysOf(value: object): readonly string[] {
  return ORDERS.get(value) ?? Object.keys(value);
}

/** True if two ways to write an integer meet: a whole number that doubles keep exactly. */
export function isInteger(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

/** The value with plain numbers for floats, as `JSON.parse` would have given it. */
export function toPlain(value: JsonValue): unknown {
  if (value instanceof JsonFloat) return value.value;
  if (isArray(value)) return value.map(toPlain);
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value)) result[key] = toPlain(value[key] as JsonValue);
  return result;
}
