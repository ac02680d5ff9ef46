/**
 * Content parts: the images of a generate request by their URLs, refs among them.
 *
 * Source: spec/README.md, section "Refs as URLs".
 */
import { Faults } from "./codec/check.js";
import { get, isArray, isObject } from "./codec/values.js";
import type { JsonValue } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { checkContentParts } from "./generated/checks.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { PARTS } from "./generated/modalities.js";
import type { ContentPart, ContentParts } from "./generated/types.js";
import { checkBounds, checkSlots, documentOf, readUrl } from "./imageUrls.js";
import type { ImageByUrl } from "./imageUrls.js";
import { unsupported } from "./modality.js";

const WHAT = "content parts";

/** One image of a request; `uuid` is the key under which the server caches it, null for its own. */
export interface ContentImage extends ImageByUrl {
  readonly uuid: string | null;
}

/**
 * Reads the content parts of a request, from JSON text or the decoded list, and their refs.
 *
 * @throws MMRawError with the path of the part.
 */
export function parseContentParts(
  parts: ContentParts | JsonValue | Uint8Array,
  limits: Limits = DEFAULT_LIMITS,
): ContentImage[] {
  const faults = new Faults();
  const found = readContentParts(parts, limits, faults);
  faults.raise();
  return found as ContentImage[];
}

/** As `parseContentParts`, but faults against the schema are noted in `faults`. */
export function readContentParts(
  value: unknown,
  limits: Limits,
  faults: Faults,
): ContentImage[] | null {
  const document = documentOf(value, limits, WHAT);
  checkMedia(document);
  checkSlots(document, "$");
  checkContentParts(document, "$", limits, faults);
  if (faults.found.length > 0) return null;
  const rows = document as ContentParts;
  const urls = rows.map((row) => row.url);
  checkBounds(urls, limits, WHAT);
  return rows.map((row, index) => imageOf(row, index, limits));
}

/** Refuses parts that are videos or audio, before anything else. */
function checkMedia(document: unknown): void {
  if (!isArray(document)) return;
  document.forEach((row, index) => {
    const type = isObject(row) ? get(row, "type") : undefined;
    const modality = typeof type === "string" ? PARTS.get(type) : undefined;
    if (modality !== undefined) throw unsupported(modality, `$[${index}]`);
  });
}

function imageOf(row: ContentPart, index: number, limits: Limits): ContentImage {
  const found = readUrl(row.url, index, limits, `$[${index}].url`);
  const uuid = row.uuid ?? null;
  if (found.ref !== null && uuid !== null && uuid !== found.ref.mm_hash) {
    const reason =
      "expected the ref's mm_hash as its uuid, the key in every cache; got another";
    throw new MMRawError("hash_mismatch", reason, `$[${index}].uuid`);
  }
  return { ...found, uuid };
}
