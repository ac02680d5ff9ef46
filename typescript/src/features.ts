/**
 * The features body of a generate request: hashes, placeholders and refs, by feature modality.
 *
 * Source: spec/README.md, section "Features".
 */
import { checkJsonValue } from "./codec/canonical.js";
import { enforce, Faults, keyInPath } from "./codec/check.js";
import { parseJson } from "./codec/json.js";
import { compareCodePoints } from "./codec/strings.js";
import { get, has, isArray, isObject, keysOf } from "./codec/values.js";
import type { JsonObject } from "./codec/values.js";
import { MMRawError, within } from "./errors.js";
import { formatRef, isDialect, wireOf } from "./format.js";
import { checkFeatures, checkPlaceholderRange } from "./generated/checks.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import type { Features as FeaturesBody, PlaceholderRange } from "./generated/types.js";
import { BLANK_REF, DEFAULT_DIALECT, DEFAULT_ITEM } from "./generated/wire.js";
import { featureModality, itemToJson, MODALITY, parseItem } from "./items.js";
import type { RawMMItem } from "./items.js";
import { checkMaps, checkModality } from "./modality.js";
import { hasPlace, parseRef } from "./refs.js";
import type { RawMMRef } from "./refs.js";
import { isInline } from "./sources.js";

export type { FeaturesBody, PlaceholderRange };

const MAPS = ["kwargs_data", "mm_hashes", "mm_placeholders"] as const;
/** Values in a body for each image (hash, ref, placeholder and its two numbers), and others. */
const VALUES_AN_IMAGE = 5;
const VALUES_BESIDE = 256;

type ByModality<T> = { readonly [modality: string]: readonly T[] };

/** A checked features body: its three maps as they came, and the refs in it, by modality. */
export interface Features {
  readonly body: FeaturesBody;
  readonly refs: ByModality<RawMMRef>;
}

/** A renderer's knowledge of a conversation's images, keyed by source modality. */
export interface MultiModalData {
  readonly mm_hashes: ByModality<string>;
  readonly mm_placeholders: ByModality<PlaceholderRange>;
  readonly mm_items: ByModality<RawMMItem | JsonObject>;
}

function rowsOf<T>(map: ByModality<T>, modality: string): readonly T[] {
  return has(map, modality) ? (map[modality] as readonly T[]) : [];
}

/** The images of two turns, one after the other; neither is changed. */
export function mergeData(first: MultiModalData, second: MultiModalData): MultiModalData {
  const joined = <T>(a: ByModality<T>, b: ByModality<T>): ByModality<T> => {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return Object.fromEntries(keys.map((key) => [key, [...rowsOf(a, key), ...rowsOf(b, key)]]));
  };
  return {
    mm_hashes: joined(first.mm_hashes, second.mm_hashes),
    mm_placeholders: joined(first.mm_placeholders, second.mm_placeholders),
    mm_items: joined(first.mm_items, second.mm_items),
  };
}

export interface BuildOptions {
  /** A dialect of refs that is written. */
  readonly dialect?: string;
  /** Label of the run that the refs name; needed as soon as there is an image. */
  readonly runId?: string | null;
  readonly limits?: Limits;
}

/**
 * The features body for `data`, regrouped by feature modality.
 *
 * @throws MMRawError with the path of the image in `data`.
 */
export function buildFeatures(data: MultiModalData, options: BuildOptions = {}): FeaturesBody {
  const { dialect = DEFAULT_DIALECT, runId = null, limits = DEFAULT_LIMITS } = options;
  checkData(data);
  checkMaps(data, ["mm_items", "mm_hashes", "mm_placeholders"]);
  const body = {
    kwargs_data: emptyMap<string>(),
    mm_hashes: emptyMap<string>(),
    mm_placeholders: emptyMap<PlaceholderRange>(),
  };
  let count = 0;
  for (const source of sourceModalities(data)) {
    rowsOf(data.mm_items, source).forEach((item, index) => {
      checkCount(++count, limits);
      const slot = `${keyInPath(source)}[${index}]`;
      const place = `$.mm_items${slot}`;
      const hash = data.mm_hashes[source]?.[index];
      const ref = refOf(item, source, hash, runId, limits, place);
      const text = formatAt(ref, dialect, limits, place);
      const range = placeholder(data.mm_placeholders[source]?.[index], `$.mm_placeholders${slot}`);
      (body.kwargs_data[ref.modality] ??= []).push(text);
      (body.mm_hashes[ref.modality] ??= []).push(ref.mm_hash);
      (body.mm_placeholders[ref.modality] ??= []).push(range);
    });
  }
  checkOverlap(body.mm_placeholders);
  return body;
}

function emptyMap<T>(): { [key: string]: T[] } {
  return Object.create(null) as { [key: string]: T[] };
}

function checkData(data: unknown): void {
  const names = ["mm_hashes", "mm_placeholders", "mm_items"];
  if (!isObject(data)) throw new MMRawError("invalid_type", "expected an object");
  if (Object.keys(data).some((key) => !names.includes(key))) {
    throw new MMRawError("unknown_field", `expected no other fields than ${names.join(", ")}`);
  }
  for (const name of names) {
    if (!has(data, name)) throw new MMRawError("missing_field", `expected field ${name}, which is absent`);
    const value = data[name];
    if (!isObject(value)) {
      throw new MMRawError("invalid_type", "expected an object keyed by modality", `$.${name}`);
    }
    for (const key of keysOf(value)) {
      if (!isArray(value[key])) {
        throw new MMRawError("invalid_type", "expected a list", `$.${name}${keyInPath(key)}`);
      }
    }
  }
}

/** The modalities that hold images, after the check that the lists are parallel. */
function sourceModalities(data: MultiModalData): string[] {
  const maps: ByModality<unknown>[] = [data.mm_items, data.mm_hashes, data.mm_placeholders];
  const names = [...new Set(maps.flatMap((map) => keysOf(map)))];
  for (const name of names) {
    if (new Set(maps.map((map) => rowsOf(map, name).length)).size !== 1) {
      const reason = "mm_items, mm_hashes and mm_placeholders must have the same length";
      throw new MMRawError("lengths_differ", reason, `$.mm_items${keyInPath(name)}`);
    }
  }
  return names.filter((name) => rowsOf(data.mm_items, name).length > 0);
}

/** At most so many images as a body, a request or a rollout may have. */
export function checkCount(count: number, limits: Limits): void {
  if (count > limits.features_images) {
    const reason = `expected at most ${limits.features_images} images, got ${count}`;
    throw new MMRawError("limit_exceeded", reason);
  }
}

function refOf(
  item: RawMMItem | JsonObject | null,
  source: string,
  hash: string | null | undefined,
  runId: string | null,
  limits: Limits,
  place: string,
): RawMMRef {
  if (item === null || hash === null || hash === undefined) {
    const reason = "expected an envelope and a hash in each slot, got null";
    throw new MMRawError("missing_slot", reason, place);
  }
  const parsed = parseItem(isItem(item) ? itemToJson(item) : item, limits, place);
  if (source !== MODALITY) {
    const reason = "the envelope's modality differs from the key it is listed under";
    throw new MMRawError("modality_mismatch", reason, place);
  }
  checkModality(parsed.vllm_modality, `${place}.vllm_modality`);
  if (parsed.dialect !== DEFAULT_ITEM) {
    const reason = "only envelopes of version 1 become refs; convert older ones first";
    throw new MMRawError("not_convertible", reason, place);
  }
  if (runId === null) throw new MMRawError("missing_field", "expected a run_id, which refs need; got none", "$.run_id");
  return {
    ...BLANK_REF,
    dialect: DEFAULT_DIALECT,
    family: parsed.family,
    fingerprint: parsed.layout_fingerprint,
    mm_hash: hash,
    modality: featureModality(parsed),
    payload: parsed.payload,
    raw_image_id: parsed.raw_image_id,
    raw_uri: parsed.raw_uri,
    run_id: runId,
  };
}

function isItem(item: RawMMItem | JsonObject): item is RawMMItem {
  return isObject(item) && has(item, "marked") && has(item, "dialect");
}

function formatAt(ref: RawMMRef, dialect: string, limits: Limits, place: string): string {
  // A file: URL next to raw_image_id is only a label, which not every dialect carries.
  const isLabel = ref.raw_image_id !== null && !isInline(ref);
  const drops = isLabel && isDialect(dialect) && !hasPlace(wireOf(dialect), "raw_uri");
  try {
    return formatRef(drops ? { ...ref, raw_uri: null } : ref, dialect, limits);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    const whole = error.code === "invalid_dialect" || error.code === "invalid_run_id";
    throw whole ? error : error.withPathPrefix(place);
  }
}

function placeholder(value: unknown, place: string): PlaceholderRange {
  if (value === null || value === undefined) {
    throw new MMRawError("missing_slot", "expected a placeholder in each slot, got null", place);
  }
  checkJsonValue(value, { path: place });
  enforce(checkPlaceholderRange, value, place, DEFAULT_LIMITS);
  const range = value as unknown as PlaceholderRange;
  return { length: range.length, offset: range.offset };
}

/** No two placeholders may share a token, across all modalities. */
function checkOverlap(ranges: ByModality<PlaceholderRange>): void {
  const rows = Object.entries(ranges).flatMap(([modality, entries]) =>
    entries.map((entry, index) => ({
      start: entry.offset,
      end: entry.offset + entry.length,
      modality,
      index,
    })),
  );
  rows.sort(
    (a, b) =>
      a.start - b.start ||
      a.end - b.end ||
      compareCodePoints(a.modality, b.modality) ||
      a.index - b.index,
  );
  rows.forEach((row, at) => {
    const before = rows[at - 1];
    if (before !== undefined && row.start < before.end) {
      const place = `$.mm_placeholders${keyInPath(row.modality)}[${row.index}]`;
      throw new MMRawError("placeholder_invalid", "expected placeholders without overlap, got one that starts before another ends", place);
    }
  });
}

/**
 * Reads a features body, from JSON text or from the decoded object, and all refs in it.
 *
 * @throws MMRawError with the path of the image.
 */
export function parseFeatures(
  features: FeaturesBody | JsonObject | string | Uint8Array,
  limits: Limits = DEFAULT_LIMITS,
): Features {
  const faults = new Faults();
  const found = readFeatures(features, limits, faults);
  faults.raise();
  return found as Features;
}

/** As `parseFeatures`, but faults against the schema are noted in `faults`. */
export function readFeatures(value: unknown, limits: Limits, faults: Faults): Features | null {
  let document = value;
  if (typeof value === "string" || value instanceof Uint8Array) {
    if (value.length > limits.features_bytes) throw tooLong(limits);
    const maxValues = VALUES_AN_IMAGE * limits.features_images + VALUES_BESIDE;
    document = parseJson(value, { maxValues });
  } else {
    checkJsonValue(document);
  }
  checkMaps(document, MAPS);
  checkSlots(document);
  checkFeatures(document, "$", limits, faults);
  if (faults.found.length > 0) return null;
  const { kwargs_data, mm_hashes, mm_placeholders } = document as FeaturesBody;
  const body: FeaturesBody = { kwargs_data, mm_hashes, mm_placeholders };
  checkShape(body, limits);
  checkOverlap(mm_placeholders);
  const refs = emptyMap<RawMMRef>();
  for (const modality of keysOf(kwargs_data)) refs[modality] = refsOf(body, modality, limits);
  return { body, refs };
}

function tooLong(limits: Limits): MMRawError {
  const reason = `expected at most ${limits.features_bytes} bytes in a features body, got more`;
  return new MMRawError("limit_exceeded", reason);
}

/** An empty slot has a code of its own: it once stopped engines. */
function checkSlots(document: unknown): void {
  for (const name of MAPS) {
    const map = isObject(document) ? get(document, name) : undefined;
    if (!isObject(map)) continue;
    for (const key of keysOf(map)) {
      const rows = map[key];
      const index = isArray(rows) ? rows.indexOf(null) : -1;
      if (index < 0) continue;
      const reason = "expected a value in each slot, got null; carry every image's ref";
      throw new MMRawError("missing_slot", reason, `$.${name}${keyInPath(key)}[${index}]`);
    }
  }
}

function checkShape(body: FeaturesBody, limits: Limits): void {
  const modalities = keysOf(body.kwargs_data);
  for (const name of MAPS) {
    const keys = Object.keys(body[name]);
    if (keys.length !== modalities.length || !keys.every((key) => has(body.kwargs_data, key))) {
      const reason = "kwargs_data, mm_hashes and mm_placeholders must have the same modalities";
      throw new MMRawError("modality_mismatch", reason, `$.${name}`);
    }
  }
  for (const modality of modalities) {
    for (const name of MAPS) {
      if (body[name][modality]?.length !== body.kwargs_data[modality]?.length) {
        const reason = "kwargs_data, mm_hashes and mm_placeholders must have the same lengths";
        throw new MMRawError("lengths_differ", reason, `$.${name}${keyInPath(modality)}`);
      }
    }
  }
  const texts = Object.values(body.kwargs_data).flat();
  checkCount(texts.length, limits);
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  if (characters > limits.features_bytes) throw tooLong(limits);
}

function refsOf(body: FeaturesBody, modality: string, limits: Limits): RawMMRef[] {
  return (body.kwargs_data[modality] ?? []).map((text, index) => {
    const place = `$.kwargs_data${keyInPath(modality)}[${index}]`;
    const ref = within(place, () => parseRef(text, limits));
    if (ref.modality !== modality) {
      const reason = "the ref's modality differs from the key it is listed under";
      throw new MMRawError("modality_mismatch", reason, place);
    }
    if (ref.mm_hash !== body.mm_hashes[modality]?.[index]) {
      const reason = "the ref's mm_hash differs from the given one";
      throw new MMRawError("hash_mismatch", reason, place);
    }
    return ref;
  });
}
