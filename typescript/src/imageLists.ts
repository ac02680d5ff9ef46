/** Lists of images by their URLs inside documents: which they are, and the verdict on each image. */
import { Faults } from "./codec/check.js";
import { get, isArray, isInteger, isObject, keysOf } from "./codec/values.js";
import type { JsonValue } from "./codec/values.js";
import { readContentParts } from "./contentParts.js";
import type { ContentImage } from "./contentParts.js";
import { MMRawError } from "./errors.js";
import type { Limits } from "./generated/limits.js";
import { readMmRefs } from "./mmRefs.js";
import type { PlacedImage } from "./mmRefs.js";

export type ListKind = "content_parts" | "mm_refs";

/** One image of a list; where it is refused, its value is null. */
export interface PartFinding {
  readonly index: number;
  /** The text of its URL. */
  readonly text: string;
  readonly value: ContentImage | PlacedImage | null;
  /** Why it is refused, paths seen from the list. */
  readonly faults: readonly MMRawError[];
}

const URL_HEAD = /^[A-Za-z][A-Za-z0-9+.-]{0,15}:/;

/** The list that a value under a key is. */
export function namedList(key: string, value: JsonValue): ListKind | null {
  const isList = key === "content_parts" || key === "mm_refs";
  return isList && (isArray(value) || isObject(value)) ? key : null;
}

/** The list that a value is by itself: the array form of mm_refs anywhere, others as a document. */
export function plainList(value: JsonValue, isDocument: boolean): ListKind | null {
  if (isPlacedArray(value)) return "mm_refs";
  if (!isDocument) return null;
  if (isObject(value)) {
    const images = keysOf(value).join() === "images" ? get(value, "images") : undefined;
    return isArray(images) && images.every((row) => hasAll(row, ["url", "offset"])) ? "mm_refs" : null;
  }
  const isParts = isArray(value) && value.length > 0 && value.every((row) => hasAll(row, ["type", "url"]));
  return isParts ? "content_parts" : null;
}

function hasAll(row: JsonValue, names: readonly string[]): boolean {
  return isObject(row) && names.every((name) => get(row, name) !== undefined);
}

function isPlacedArray(value: JsonValue): boolean {
  const inner = isArray(value) && value.length === 1 ? value[0] : undefined;
  return isArray(inner) && inner.length > 0 && inner.every(isPlaced);
}

function isPlaced(row: JsonValue): boolean {
  if (!isArray(row) || row.length !== 3) return false;
  const [url, offset] = row;
  return typeof url === "string" && URL_HEAD.test(url) && isInteger(offset);
}

/** The images of a list, each with its own faults; spans are compared in the list alone. */
export function partsOf(kind: ListKind, value: JsonValue, limits: Limits): PartFinding[] {
  const [rows, wrapped, place] = rowsOf(kind, value);
  return rows.map((row, index) => {
    const [found, faults] = readOne(kind, wrapped(row), limits);
    const moved = faults.map((fault) => {
      const inside = fault.path.startsWith(place(0)) ? fault.path.slice(place(0).length) : "";
      return new MMRawError(fault.code, fault.reason, place(index) + inside);
    });
    return { index, text: urlOf(row), value: found === null ? null : { ...found, index }, faults: moved };
  });
}

type Rows = readonly [readonly JsonValue[], (row: JsonValue) => JsonValue, (index: number) => string];

/** The rows of a list, a list of one of them, and the path of a row. */
function rowsOf(kind: ListKind, value: JsonValue): Rows {
  if (kind === "content_parts") {
    return [isArray(value) ? value : [], (row) => [row], (index) => `$[${index}]`];
  }
  if (isArray(value)) {
    const [inner] = value;
    return [isArray(inner) ? inner : [], (row) => [[row]], (index) => `$[0][${index}]`];
  }
  const images = isObject(value) ? get(value, "images") : undefined;
  const wrap = (row: JsonValue): JsonValue => ({ images: [row] });
  return [isArray(images) ? images : [], wrap, (index) => `$.images[${index}]`];
}

function readOne(
  kind: ListKind,
  value: JsonValue,
  limits: Limits,
): readonly [ContentImage | PlacedImage | null, readonly MMRawError[]] {
  const faults = new Faults();
  try {
    const read = kind === "content_parts" ? readContentParts : readMmRefs;
    const [found = null] = read(value, limits, faults) ?? [];
    return [faults.found.length > 0 ? null : found, faults.found];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [null, [error, ...faults.found]];
  }
}

function urlOf(row: JsonValue): string {
  const url = isArray(row) ? row[0] : isObject(row) ? get(row, "url") : undefined;
  return typeof url === "string" ? url : "";
}
