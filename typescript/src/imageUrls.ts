/**
 * Images by their URLs, a ref being one: content parts of requests, and refs of rollouts.
 *
 * Source: spec/README.md, section "Refs as URLs".
 */
import { checkJsonValue } from "./codec/canonical.js";
import { parseJson } from "./codec/json.js";
import { isMsgpack, parseMsgpack } from "./codec/msgpack.js";
import { isArray } from "./codec/values.js";
import { MMRawError, within } from "./errors.js";
import { checkCount } from "./features.js";
import type { Limits } from "./generated/limits.js";
import { checkModality } from "./modality.js";
import { isRef, parseRef } from "./refs.js";
import type { RawMMRef } from "./refs.js";

export type UrlKind = "ref" | "data" | "file" | "store" | "other";

/** One image by its URL; `ref` is what the URL says where it is one, else null. */
export interface ImageByUrl {
  readonly index: number;
  readonly url: string;
  readonly url_kind: UrlKind;
  readonly ref: RawMMRef | null;
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]{0,15}):/;
const KINDS: { readonly [scheme: string]: UrlKind } = {
  data: "data",
  file: "file",
  s3: "store",
  gs: "store",
  az: "store",
  memory: "store",
};
/** Values in a document for each image (itself, its URL and two more), and others. */
const VALUES_AN_IMAGE = 5;
const VALUES_BESIDE = 256;

/** The kind of a URL, by its start. */
export function urlKindOf(url: string): UrlKind {
  if (isRef(url)) return "ref";
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(KINDS, scheme) ? (KINDS[scheme] as UrlKind) : "other";
}

/** The image of a URL; a ref is read. */
export function readUrl(url: string, index: number, limits: Limits, path: string): ImageByUrl {
  const url_kind = urlKindOf(url);
  const ref = url_kind === "ref" ? within(path, () => imageRef(url, limits)) : null;
  return { index, url, url_kind, ref };
}

function imageRef(url: string, limits: Limits): RawMMRef {
  const ref = parseRef(url, limits);
  checkModality(ref.modality, "$");
  return ref;
}

/** A decoded value that a text could say, or that of a JSON text, of MessagePack where `packed`. */
export function documentOf(
  value: unknown,
  limits: Limits,
  what: string,
  packed = false,
): unknown {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    checkJsonValue(value);
    return value;
  }
  if (value.length > limits.features_bytes) throw tooLong(limits, what);
  const maxValues = VALUES_AN_IMAGE * limits.features_images + VALUES_BESIDE;
  if (packed && typeof value !== "string" && isMsgpack(value)) {
    return parseMsgpack(value, maxValues);
  }
  return parseJson(value, { maxValues });
}

function tooLong(limits: Limits, what: string): MMRawError {
  const reason = `expected at most ${limits.features_bytes} bytes in ${what}, got more`;
  return new MMRawError("limit_exceeded", reason);
}

/** An empty slot has a code of its own, as in a features body. */
export function checkSlots(rows: unknown, path: string): void {
  const index = isArray(rows) ? rows.indexOf(null) : -1;
  if (index < 0) return;
  const reason = "expected a URL in each slot, got null; carry every image's URL";
  throw new MMRawError("missing_slot", reason, `${path}[${index}]`);
}

/** As many images as a features body may have, and as many characters. */
export function checkBounds(urls: readonly string[], limits: Limits, what: string): void {
  checkCount(urls.length, limits);
  if (urls.reduce((sum, url) => sum + url.length, 0) > limits.features_bytes) {
    throw tooLong(limits, what);
  }
}
