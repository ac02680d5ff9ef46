/**
 * Moving a ref from one dialect to another, without loss or not at all.
 *
 * Source: spec/README.md, section "Conversion".
 */
import { encodeBase64 } from "./codec/base64.js";
import { parseDataUri } from "./codec/datauri.js";
import { sha256Hex } from "./codec/sha256.js";
import { isObject } from "./codec/values.js";
import type { JsonObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { getAdapter, layoutFingerprint } from "./families/index.js";
import type { ConfigLike } from "./families/index.js";
import { lostFields, wireOf, writeRef } from "./format.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { DEFAULT_DIALECT, DIALECTS } from "./generated/wire.js";
import type { WireDialect } from "./generated/wire.js";
import { formatOf } from "./images/structure.js";
import { normalizeRunId } from "./names.js";
import { hasPlace, parseRef } from "./refs.js";
import type { RawMMRef } from "./refs.js";
import { isInline, storedName } from "./sources.js";

/** A store of images. Names are raw_image_ids. */
export interface AssetStore {
  put(data: Uint8Array): string;
  get(name: string): Uint8Array;
  url(name: string): string;
}

export interface ConvertOptions {
  /** Any dialect; by default the one that `formatRef` writes. */
  readonly to?: string;
  /** The run's label, where the source names none, or where the target has no place for it. */
  readonly runId?: string | null;
  /** The layout parameters, where the fingerprint must move to the other hashing scheme. */
  readonly config?: ConfigLike;
  /** With a store, inline bytes may be offloaded on the way and stored images inlined. */
  readonly store?: AssetStore | null;
  /**
   * The way in which a ref carries its image, if its dialect can carry both sources: `offload` stores inline
   * bytes, `inline` takes stored ones in. By default the source stays as it is.
   */
  readonly storage?: Storage | null;
  readonly limits?: Limits;
}

export type Storage = "offload" | "inline";

const STORAGES: readonly string[] = ["offload", "inline"];

/** Fields whose loss depends on more than the table of dialects. */
const HANDLED = ["fingerprint", "payload", "raw_image_id", "raw_uri", "run_id"];

/** The fields that a ref lacks or would lose in its target dialect. */
interface Losses {
  readonly missing: string[];
  readonly lost: string[];
}

type Places = Pick<RawMMRef, "raw_uri" | "raw_image_id">;

/**
 * The ref `text` in another dialect, canonical.
 *
 * @throws MMRawError not_convertible, naming each field that is missing or would be lost;
 *   unsupported_option; what `parseRef` throws; what the store throws.
 */
export function convertRef(text: string, options: ConvertOptions = {}): string {
  const { to = DEFAULT_DIALECT, runId = null, config, store = null } = options;
  const { storage = null, limits = DEFAULT_LIMITS } = options;
  const wire = wireOf(to);
  checkStorage(storage, wire);
  const label = runId === null ? null : normalizeRunId(runId, limits);
  const ref = parseRef(text, limits);
  const losses: Losses = { missing: [], lost: [] };
  const run_id = runIdOf(ref, wire, label, losses);
  let { fingerprint } = ref;
  if (wire.family !== null && ref.family !== wire.family) losses.lost.push("family", "payload");
  else fingerprint = fingerprintOf(ref, wire, config, losses);
  const kind = wantedSource(ref, wire, storage);
  if (kind !== null && store === null) noteLosses(ref, wire, kind, losses);
  losses.missing.push(...missingFields(ref, wire).filter((name) => !HANDLED.includes(name)));
  losses.lost.push(...lostFields(ref, wire).filter((name) => !HANDLED.includes(name)));
  raise(losses, to);
  let places: Places = { raw_uri: ref.raw_uri, raw_image_id: null };
  if (kind !== null && store !== null) places = throughStore(ref, kind, store, limits);
  else if (hasPlace(wire, "raw_image_id")) places = { ...places, raw_image_id: storedName(ref) };
  return write({ ...ref, run_id, fingerprint, ...places }, wire, limits);
}

function checkStorage(storage: string | null, wire: WireDialect): void {
  const carriesBoth = hasPlace(wire, "raw_image_id") && hasPlace(wire, "raw_uri");
  if (storage === null || (STORAGES.includes(storage) && carriesBoth)) return;
  const message = "expected storage offload or inline, with a dialect that carries both sources";
  throw new MMRawError("unsupported_option", message);
}

/** The text; a payload that is too long for a ref of parts is a loss. */
function write(ref: RawMMRef, wire: WireDialect, limits: Limits): string {
  try {
    return writeRef(ref, wire, limits);
  } catch (error) {
    const tooLong = error instanceof MMRawError && error.code === "limit_exceeded";
    if (!tooLong || wire.encoding !== "segments") throw error;
    const reason = `${wire.dialect} would lose payload: a ref of it is too short for it`;
    throw new MMRawError("not_convertible", reason, "$.payload");
  }
}

function raise({ missing, lost }: Losses, to: string): void {
  const parts: string[] = [];
  if (missing.length > 0) parts.push(`${to} needs ${missing.join(", ")}`);
  if (lost.length > 0) parts.push(`${to} would lose ${lost.join(", ")}`);
  const name = [...missing, ...lost][0]?.split(" ")[0];
  if (name !== undefined) throw new MMRawError("not_convertible", parts.join("; "), `$.${name}`);
}

/** The fields that a dialect needs and a ref lacks, by the names of the model. */
function missingFields(ref: RawMMRef, { fields, required }: WireDialect): string[] {
  const values = ref as unknown as JsonObject;
  const absent = fields.filter(
    ([name, attribute]) => required.includes(name) && (values[attribute] ?? null) === null,
  );
  return absent.map(([, attribute]) => attribute).sort();
}

function runIdOf(
  ref: RawMMRef,
  wire: WireDialect,
  label: string | null,
  losses: Losses,
): string | null {
  if (hasPlace(wire, "run_id")) {
    if (ref.run_id === null && label === null) losses.missing.push("run_id");
    return ref.run_id ?? label;
  }
  if (ref.run_id !== null && ref.run_id !== label) losses.lost.push("run_id");
  return null;
}

/** The fingerprint under the target's hashing scheme, which layout parameters give. */
function fingerprintOf(
  ref: RawMMRef,
  wire: WireDialect,
  config: ConfigLike,
  losses: Losses,
): string | null {
  const source = DIALECTS[ref.dialect];
  if (source.fingerprintScheme === wire.fingerprintScheme) return ref.fingerprint;
  const carried = hasPlace(wire, "fingerprint");
  // The defaults say nothing of a ref without a fingerprint: the caller has to.
  const said = (ref.fingerprint !== null && carried) || (config !== undefined && config !== null);
  const known =
    said && (ref.fingerprint === null || ofConfig(ref, source, config) === ref.fingerprint);
  const found = known && carried ? ofConfig(ref, wire, config) : null;
  if (carried && found === null) losses.missing.push("fingerprint (pass the layout's config)");
  if (!carried && !known) losses.lost.push("fingerprint");
  return found;
}

/** The fingerprint of a configuration in a dialect; null if nothing gives it. */
function ofConfig(ref: RawMMRef, wire: WireDialect, config: ConfigLike): string | null {
  try {
    return getAdapter(ref.family, config).fingerprint(wire.dialect);
  } catch (error) {
    if (!(error instanceof MMRawError) || error.code !== "unknown_family") throw error;
  }
  if (!isObject(config) || wire.fingerprintScheme === "positional") return null;
  return layoutFingerprint(ref.family, config, wire.dialect);
}

/** A source of another kind than the ref's own: a stored name, the bytes, or a file: label. */
type Kind = "raw_image_id" | "data" | "label";

/** The kind that the source must change to, or null if the target holds it as it is. */
function wantedSource(ref: RawMMRef, wire: WireDialect, storage: Storage | null): Kind | null {
  const inline = isInline(ref);
  switch (wire.uri?.[1]) {
    case "raw_uri":
      if (storage === "offload" && inline) return "raw_image_id";
      return storage === "inline" && !inline ? "data" : null;
    case "data_url":
      return inline && ref.raw_image_id === null ? null : "data";
    case "file_label":
      return ref.raw_uri !== null && !inline ? null : "label";
    default:
      return ref.raw_uri === null ? null : "raw_image_id";
  }
}

/** Without a store no source can change its kind. */
function noteLosses(ref: RawMMRef, wire: WireDialect, wanted: Kind, losses: Losses): void {
  const uri = DIALECTS[ref.dialect].uri?.[0] ?? "raw_uri";
  const inline = isInline(ref);
  if (wanted === "raw_image_id") {
    if (storedName(ref) === null) losses.missing.push("raw_image_id (pass a store)");
    losses.lost.push(uri);
    return;
  }
  if (wanted === "label" || !inline) {
    losses.missing.push(`${wire.uri?.[0] ?? "raw_uri"} (pass a store)`);
  }
  if (ref.raw_image_id !== null) losses.lost.push("raw_image_id");
  if (ref.raw_uri !== null && !(wanted === "data" && inline)) losses.lost.push(uri);
}

/** The source in another kind, its bytes read once and verified. */
function throughStore(
  ref: RawMMRef,
  wanted: Kind,
  store: AssetStore,
  limits: Limits,
): Places {
  const inline = isInline(ref);
  const data = inline
    ? parseDataUri(ref.raw_uri as string, limits).data
    : store.get(storedName(ref) as string);
  checkHash(data, ref.mm_hash);
  if (wanted === "data") {
    const made = `data:image/${formatOf(data) ?? "png"};base64,${encodeBase64(data)}`;
    return { raw_uri: inline ? ref.raw_uri : made, raw_image_id: null };
  }
  const found = storedName(ref);
  const kept = found !== null && (!inline || isStored(store, found, data));
  const name = kept ? found : store.put(data);
  if (wanted === "label") return { raw_uri: store.url(name), raw_image_id: null };
  return { raw_uri: null, raw_image_id: name };
}

/** True if the store holds just these bytes under `name`. */
function isStored(store: AssetStore, name: string, data: Uint8Array): boolean {
  try {
    const found = store.get(name);
    return found.length === data.length && found.every((byte, at) => byte === data[at]);
  } catch (error) {
    const codes = ["source_unavailable", "object_corrupt", "limit_exceeded"];
    if (!(error instanceof MMRawError) || !codes.includes(error.code)) throw error;
    return false;
  }
}

/** mm_hash must name the bytes: 32 or 64 leading digits of their sha256. */
export function checkHash(data: Uint8Array, mmHash: string): void {
  const long = mmHash.length === 32 || mmHash.length === 64;
  if (!long || !sha256Hex(data).startsWith(mmHash)) {
    throw new MMRawError(
      "hash_mismatch",
      "expected the bytes that mm_hash names, got others",
      "$.mm_hash",
    );
  }
}
