/**
 * Places of images in content parts, by spelling, and how a part is rewritten.
 *
 * Source: spec/messages.json, spec/README.md, section "Messages".
 */
import { get, isObject, JsonFloat } from "../codec/values.js";
import { LOOKS_MEDIA_TYPES, PLACES } from "../generated/messages.js";
import type { Place, Template } from "../generated/messages.js";

/** Keys and indices that lead to a value. */
export type Steps = readonly (string | number)[];

/** An object of any kind, whose keys are read: no list, no bytes, no number of JSON. */
export function isHolder(value: unknown): value is { readonly [key: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !(value instanceof JsonFloat) && !ArrayBuffer.isView(value);
}

/** A key of a part; null if it is absent. */
export function field(part: unknown, name: string): unknown {
  if (!isHolder(part)) return null;
  const value: unknown = isObject(part) ? get(part, name) : part[name];
  return typeof value === "function" ? null : (value ?? null);
}

/** The value at a path of keys; null if it is absent. */
export function valueAt(part: unknown, at: readonly string[]): unknown {
  return at.reduce(field, part);
}

/** True if a text begins with a scheme: no base64 does. */
export function isUrl(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]+:/.test(text.slice(0, 64));
}

export function isSet(value: unknown): boolean {
  if (value instanceof JsonFloat) return value.value !== 0;
  if (isHolder(value)) return Object.keys(value).length > 0;
  return typeof value === "object" ? value !== null : Boolean(value);
}

function isSource(source: unknown, kind: unknown): boolean {
  if (source === null || (isHolder(source) && isObject(source))) return false;
  if (isHolder(source) && "url" in source) return false;
  return kind !== null && kind !== "" ? true : isSet(source);
}

function isImageType(declared: unknown): boolean {
  return (
    typeof declared === "string" &&
    LOOKS_MEDIA_TYPES.some((start) => declared.toLowerCase().startsWith(start))
  );
}

/** The first place of the table that the part fills, and the source there. */
export function placeOf(part: unknown): { place: Place; source: unknown } | null {
  const kind = field(part, "type");
  if (kind !== null && typeof kind !== "string") return null;
  for (const place of PLACES) {
    if (!place.types.includes(kind ?? "")) continue;
    if (!place.having.every((name) => isHolder(part) && name in part)) continue;
    const source = valueAt(part, place.at);
    if (!isSource(source, kind)) continue;
    if (place.media_type.length > 0 && !isImageType(valueAt(part, place.media_type))) continue;
    return { place, source };
  }
  return null;
}

/** Returns an object without these keys. */
export function without(value: unknown, names: readonly string[]): object {
  const rows = isHolder(value) ? Object.entries(value) : [];
  return Object.fromEntries(rows.filter(([name]) => !names.includes(name)));
}

/** Returns a part without the source at a path of keys; what is beside the source stays. */
export function withoutSource(part: unknown, [first = "", ...at]: readonly string[]): object {
  const rest = without(part, [first]);
  return at.length > 0 ? { ...rest, [first]: withoutSource(field(part, first), at) } : rest;
}

/** A copy with some keys changed; it keeps its prototype. */
export function changed(value: unknown, changes: { readonly [key: string]: unknown }): object {
  const prototype = isHolder(value) ? (Object.getPrototypeOf(value) as object | null) : {};
  return Object.assign(Object.create(prototype) as object, value, changes);
}

/** The values of `{url}` and the like in a template. */
export type Values = { readonly [name: string]: unknown };

/** The part with a template's values in it; with none, `{url}` in place of the source. */
export function write(part: unknown, place: Place, template: Template, values: Values): unknown {
  if (Object.keys(template).length > 0) return filled(part, template, values);
  return put(part, place.at, values["{url}"]);
}

function filled(holder: unknown, template: Template, values: Values): object {
  const changes: { [key: string]: unknown } = {};
  const gone: string[] = [];
  for (const [name, wanted] of Object.entries(template)) {
    if (wanted === null) gone.push(name);
    else if (typeof wanted !== "string") {
      changes[name] = filled(field(holder, name) ?? {}, wanted, values);
    } else changes[name] = wanted === "{none}" ? null : wanted in values ? values[wanted] : wanted;
  }
  const made = changed(holder, changes) as { [key: string]: unknown };
  for (const name of gone) delete made[name];
  return made;
}

/** A copy with `value` where the steps lead to. */
export function put(holder: unknown, steps: readonly (string | number)[], value: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (typeof step === "string") return changed(holder, { [step]: put(field(holder, step), rest, value) });
  const items = [...(holder as readonly unknown[])];
  items[step] = put(items[step], rest, value);
  return items;
}

/** Keys and indices as errors name them. */
export function pathOf(steps: Steps): string {
  return `$${steps.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("")}`;
}
