/**
 * The verdict on a finding without a store and without a server: it follows the schema, and its hash,
 * grid, run and source agree with each other.
 */
import { canonicalJson } from "./codec/canonical.js";
import { has } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { getAdapter, isBuiltIn, presets } from "./families/index.js";
import type { Adapter } from "./families/index.js";
import { FAMILY_TABLE } from "./generated/families.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import type { Payload } from "./generated/types.js";
import { BLANK_REF, DEFAULT_DIALECT } from "./generated/wire.js";
import { inlineFacts } from "./inspect.js";
import type { Finding, InlineFacts } from "./inspect.js";
import { featureModality } from "./items.js";
import type { RawMMItem } from "./items.js";
import { normalizeRunId } from "./names.js";
import type { RawMMRef } from "./refs.js";
import { storedName } from "./sources.js";

export type State = "ok" | "contradicts" | "unchecked";
export type CheckName = "ref" | "hash" | "grid" | "run" | "source";

/** One check: its state, a sentence about it, and the error where it contradicts. */
export interface Check {
  readonly name: CheckName;
  readonly state: State;
  readonly text: string;
  readonly fault: MMRawError | null;
}

/** Five checks in the order ref, hash, grid, run, source, and the worst of their states. */
export interface Verdict {
  readonly state: "ok" | "contradicts" | "rejected";
  readonly checks: readonly Check[];
}

export interface VerdictOptions {
  /** The run that refs should name; without it the run is not checked. */
  readonly runId?: string | null;
  readonly limits?: Limits;
}

/** A ref, and the length of its placeholder where there is one. */
interface Subject {
  readonly ref: RawMMRef;
  readonly length: number | null;
  readonly path: string;
}

const NAMES = ["ref", "hash", "grid", "run", "source"] as const;
const WORST: readonly State[] = ["contradicts", "unchecked", "ok"];
/** Stems of stored names that are the beginning of a digest. */
const DIGEST_STEM = /^([0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})(\.|$)/;

/** The verdict on a finding; of several images each check is that of the worst one. */
export function verdictOf(finding: Finding, options: VerdictOptions = {}): Verdict {
  const { limits = DEFAULT_LIMITS } = options;
  const [fault] = finding.faults;
  if (fault !== undefined) {
    const more = finding.faults.length > 1 ? ` (and ${finding.faults.length - 1} more)` : "";
    const first: Check = { name: "ref", state: "contradicts", text: fault.reason + more, fault };
    const rest = NAMES.slice(1).map((name) => unchecked(name, ""));
    return { state: "rejected", checks: [first, ...rest] };
  }
  const well = ok("ref", `${finding.definition ?? "the text"} follows its schema`);
  const runId = options.runId ? normalizeRunId(options.runId, limits) : null;
  const all = subjectsOf(finding).map((subject) => checksOf(subject, runId, limits));
  const rest = NAMES.slice(1).map((name, index) => worst(name, all.map((checks) => checks[index])));
  const bad = rest.some(({ state }) => state === "contradicts");
  return { state: bad ? "contradicts" : "ok", checks: [well, ...rest] };
}

/** The refs of a finding; an envelope is one without hash and run. */
function subjectsOf(finding: Finding): Subject[] {
  if (finding.value === null) return [];
  if (finding.kind === "envelope") return [{ ref: refOf(finding.value), length: null, path: "$" }];
  if (finding.kind === "ref") return [{ ref: finding.value, length: null, path: "$" }];
  if (finding.kind !== "features") {
    return finding.value.flatMap((image) => {
      const length = "length" in image ? image.length : null;
      return image.ref === null ? [] : [{ ref: image.ref, length, path: `$[${image.index}]` }];
    });
  }
  const { refs, body } = finding.value;
  return Object.entries(refs).flatMap(([modality, rows]) =>
    rows.map((ref, index) => {
      const length = body.mm_placeholders[modality]?.[index]?.length ?? null;
      return { ref, length, path: `$.${modality}[${index}]` };
    }),
  );
}

function worst(name: CheckName, checks: readonly (Check | undefined)[]): Check {
  for (const state of WORST) {
    const found = checks.find((check) => check?.state === state);
    if (found !== undefined) return found;
  }
  return unchecked(name, "there is no ref in it");
}

/** The checks of one ref after its own: hash, grid, run, source. */
function checksOf({ ref, length, path }: Subject, runId: string | null, limits: Limits): Check[] {
  const facts = factsOf(ref, limits);
  if (facts instanceof MMRawError) {
    const rest = (["hash", "grid"] as const).map((name) => unchecked(name, "there are no bytes"));
    return [...rest, runCheck(ref, runId, path), contradicts("source", facts)];
  }
  return [
    hashCheck(ref, facts, path),
    gridCheck(ref, facts, length, path, limits),
    runCheck(ref, runId, path),
    sourceCheck(ref, facts),
  ];
}

function factsOf(ref: RawMMRef, limits: Limits): InlineFacts | MMRawError | null {
  return caught(() => inlineFacts(ref, limits));
}

function hashCheck(ref: RawMMRef, facts: InlineFacts | null, path: string): Check {
  if (ref.mm_hash === "") return unchecked("hash", "an envelope names none");
  const fault = facts?.faults.find(({ code }) => code === "hash_mismatch");
  if (fault !== undefined) return contradicts("hash", fault.withPathPrefix(path));
  const name = storedName(ref);
  const [, stem] = DIGEST_STEM.exec(name ?? "") ?? [];
  if (stem !== undefined && !stem.startsWith(ref.mm_hash) && !ref.mm_hash.startsWith(stem)) {
    const reason = "mm_hash contradicts raw_image_id: the two name different images";
    return contradicts("hash", new MMRawError("hash_mismatch", reason, `${path}.mm_hash`));
  }
  if (facts !== null) return ok("hash", "the inline bytes have this sha256");
  const agrees = stem === undefined ? "" : "it agrees with the stored name; ";
  return unchecked("hash", `${agrees}the bytes are in a store`);
}

function gridCheck(
  ref: RawMMRef,
  facts: InlineFacts | null,
  length: number | null,
  path: string,
  limits: Limits,
): Check {
  if (!isBuiltIn(ref.family)) return unchecked("grid", "the payload of this family is opaque");
  const [adapter] = publishedAdapters(ref);
  if (adapter === undefined) {
    const why = ref.fingerprint === null ? "no fingerprint is named" : "the fingerprint is not published";
    return unchecked("grid", why);
  }
  const fault = caught(() => checkLength(adapter, ref, length, path, limits));
  if (fault instanceof MMRawError) return contradicts("grid", fault);
  const header = facts?.header ?? null;
  const placed = length === null ? "" : `${length} placeholder tokens fit; `;
  if (header === null) return unchecked("grid", `${placed}the picture's sides are in the store`);
  const layout = caught(() => adapter.layout(header.width, header.height, limits));
  if (layout instanceof MMRawError) return contradicts("grid", layout.withPathPrefix(path));
  if (!agrees(ref.payload, layout.payload)) {
    const { width, height } = header;
    const reason = `expected the payload of an image of ${width} x ${height} pixels, got another`;
    return contradicts("grid", new MMRawError("grid_mismatch", reason, `${path}.payload`));
  }
  const tokens = layout.num_tokens.toLocaleString("en");
  return ok("grid", `${placed}${header.width} by ${header.height} pixels give it, ${tokens} tokens`);
}

function checkLength(
  adapter: Adapter,
  ref: RawMMRef,
  length: number | null,
  path: string,
  limits: Limits,
): null {
  if (length === null) return null;
  const expected = adapter.expandedSpan(ref.payload, limits).length;
  const single = FAMILY_TABLE[adapter.family].conventions.length > 0 && length === 1;
  if (length === expected || single) return null;
  const reason = `placeholder length ${length}, the grid gives ${expected} tokens`;
  throw new MMRawError("placeholder_mismatch", reason, path);
}

/** True if every field of a payload has its value in that of the layout. */
function agrees(given: Payload, expected: Payload): boolean {
  const [fields, wanted] = [given, expected] as unknown as [JsonObject, JsonObject];
  return Object.entries(fields).every(
    ([name, value]) => has(wanted, name) && canonicalJson(wanted[name] as JsonValue) === canonicalJson(value),
  );
}

function runCheck(ref: RawMMRef, runId: string | null, path: string): Check {
  if (ref.run_id === null) return unchecked("run", "no run is named");
  if (runId === null) return unchecked("run", `${ref.run_id}; no expected run was given`);
  const named = caught(() => normalizeRunId(ref.run_id as string));
  if (named === runId) return ok("run", `${runId}, as expected`);
  const reason = "the ref names another run than the expected one";
  return contradicts("run", new MMRawError("run_mismatch", reason, `${path}.run_id`));
}

function sourceCheck(ref: RawMMRef, facts: InlineFacts | null): Check {
  if (facts === null) return unchecked("source", `stored as ${storedName(ref) ?? "nothing"}`);
  const fault = facts.faults.find(({ code }) => code !== "hash_mismatch");
  if (fault !== undefined) return contradicts("source", fault);
  const { format = "image", frames = 1 } = facts.header ?? {};
  const many = frames === 1 ? "" : ` of ${frames} frames`;
  return ok("source", `inline ${format}${many}, ${facts.data.length.toLocaleString("en")} bytes`);
}

/** The content of an envelope as a ref that names neither hash nor run. */
function refOf(item: RawMMItem): RawMMRef {
  const { family, layout_fingerprint, payload, raw_image_id, raw_uri } = item;
  const modality = featureModality(item);
  const fields = { family, fingerprint: layout_fingerprint, modality, payload, raw_image_id, raw_uri };
  return { ...BLANK_REF, ...fields, dialect: DEFAULT_DIALECT, mm_hash: "", run_id: null };
}

/** The published configurations whose fingerprint a ref names; none of a family without layouts. */
export function publishedAdapters({
  family,
  fingerprint,
  dialect,
}: Pick<RawMMRef, "family" | "fingerprint" | "dialect">): Adapter[] {
  if (!isBuiltIn(family) || fingerprint === null) return [];
  return presets(family)
    .map((preset) => getAdapter(family, preset))
    .filter((adapter) => adapter.fingerprint(dialect) === fingerprint);
}

function caught<T>(work: () => T): T | MMRawError {
  try {
    return work();
  } catch (error) {
    if (error instanceof MMRawError) return error;
    throw error;
  }
}

function ok(name: CheckName, text: string): Check {
  return { name, state: "ok", text, fault: null };
}

function unchecked(name: CheckName, text: string): Check {
  return { name, state: "unchecked", text, fault: null };
}

function contradicts(name: CheckName, fault: MMRawError): Check {
  return { name, state: "contradicts", text: fault.reason, fault };
}
