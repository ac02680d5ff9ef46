/**
 * mm_refs: the images of a rollout by their URLs, refs among them, and where their tokens are.
 *
 * Source: spec/README.md, section "Refs as URLs".
 */
import { Faults } from "./codec/check.js";
import { get, isArray, isObject } from "./codec/values.js";
import type { JsonValue } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { checkMmRefs, checkMmRefsArray } from "./generated/checks.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import type { MmRefs, MmRefsArray } from "./generated/types.js";
import { checkBounds, checkSlots, documentOf, readUrl } from "./imageUrls.js";
import type { ImageByUrl } from "./imageUrls.js";

const WHAT = "mm_refs";

/** One image of a rollout; its span in the expanded prompt is as the server answered it. */
export interface PlacedImage extends ImageByUrl {
  readonly offset: number;
  readonly length: number;
}

type Row = readonly [url: string, offset: number, length: number];

/**
 * Reads the `mm_refs` of a rollout and the refs in them: in the object or the array form, decoded,
 * as JSON text or as MessagePack.
 *
 * @throws MMRawError with the path of the image in the form that was given.
 */
export function parseMmRefs(
  value: MmRefs | MmRefsArray | JsonValue | Uint8Array,
  limits: Limits = DEFAULT_LIMITS,
): PlacedImage[] {
  const faults = new Faults();
  const found = readMmRefs(value, limits, faults);
  faults.raise();
  return found as PlacedImage[];
}

/** As `parseMmRefs`, but faults against the schema are noted in `faults`. */
export function readMmRefs(value: unknown, limits: Limits, faults: Faults): PlacedImage[] | null {
  const document = documentOf(value, limits, WHAT, true);
  const inArray = isArray(document);
  const rows = inArray ? rowsOfArray(document, limits, faults) : rowsOfObject(document, limits, faults);
  if (rows === null) return null;
  checkBounds(
    rows.map(([url]) => url),
    limits,
    WHAT,
  );
  let end = 0;
  return rows.map(([url, offset, length], index) => {
    const path = inArray ? `$[0][${index}]` : `$.images[${index}]`;
    if (offset < end) {
      const reason = "spans must be in the order of the prompt and must not overlap";
      throw new MMRawError("placeholder_invalid", reason, path);
    }
    end = offset + length;
    const found = readUrl(url, index, limits, inArray ? `${path}[0]` : `${path}.url`);
    return { ...found, offset, length };
  });
}

function rowsOfArray(
  document: readonly unknown[],
  limits: Limits,
  faults: Faults,
): readonly Row[] | null {
  if (document.length === 1) checkSlots(document[0], "$[0]");
  checkMmRefsArray(document, "$", limits, faults);
  return faults.found.length > 0 ? null : (document as unknown as MmRefsArray)[0];
}

function rowsOfObject(document: unknown, limits: Limits, faults: Faults): readonly Row[] | null {
  checkSlots(isObject(document) ? get(document, "images") : null, "$.images");
  checkMmRefs(document, "$", limits, faults);
  if (faults.found.length > 0) return null;
  return (document as MmRefs).images.map(({ url, offset, length }): Row => [url, offset, length]);
}
