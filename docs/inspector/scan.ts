/**
 * Everything of this protocol in a text or a file: how much there is, and the worst of it.
 *
 * Files of lines are read as they stream, one line at a time; other texts as a whole.
 */
import { canonicalJson, isRef, MMRawError, parseJson } from "../../typescript/src/index.js";
import type { ErrorCode, JsonObject } from "../../typescript/src/index.js";
import { inspectFeatures, inspectItem, inspectList, inspectRef, inspectText } from "../../typescript/src/inspect.js";
import type { Finding } from "../../typescript/src/inspect.js";
import { DIALECTS } from "../../typescript/src/generated/wire.js";
import { verdictOf } from "../../typescript/src/verdict.js";
import type { Verdict } from "../../typescript/src/verdict.js";

export type Outcome = Verdict["state"];

/** A finding of a report, and the line that it stands on; null where the text is one document. */
export interface Row {
  readonly finding: Finding;
  readonly place: string | null;
  readonly outcome: Outcome;
}

export interface Report {
  readonly counts: Readonly<Record<Outcome, number>>;
  /** The worst of what was found, rejected ones first. */
  readonly rows: readonly Row[];
  readonly lines: number;
}

export interface Progress {
  readonly bytes: number;
  readonly counts: Readonly<Record<Outcome, number>>;
}

/** So many of each outcome are kept; a page with more of them helps nobody. */
const MOST_KEPT = 50;
const ORDER: readonly Outcome[] = ["rejected", "contradicts", "ok"];
/** Bytes between two reports of progress. */
const STEP = 1 << 20;

/** Lines that are meant as JSON; others without a ref are words of a log. */
const BEGINS_JSON = /^\s*[[{"]/;

class Collector {
  readonly counts = { rejected: 0, contradicts: 0, ok: 0 };
  readonly #rows: Record<Outcome, Row[]> = { rejected: [], contradicts: [], ok: [] };
  lines = 0;

  constructor(readonly runId: string | null) {}

  add(finding: Finding, place: string | null): void {
    const outcome = verdictOf(finding, { runId: this.runId }).state;
    this.counts[outcome] += 1;
    const rows = this.#rows[outcome];
    if (rows.length < MOST_KEPT) rows.push({ finding, place, outcome });
  }

  /** A line of a file: a document, or text with refs in it. */
  addLine(text: string): void {
    this.lines += 1;
    if (text.trim() === "") return;
    const found = inspectText(text);
    const isText = found[0]?.kind === "document";
    const inText = isText ? refsIn(text) : [];
    if (inText.length === 0 && (!isText || BEGINS_JSON.test(text))) for (const one of found) this.add(one, `line ${this.lines}`);
    for (const [ref, column] of inText) this.add(inspectRef(ref), `line ${this.lines}, column ${column}`);
  }

  report(): Report {
    const rows = ORDER.flatMap((outcome) => this.#rows[outcome]).slice(0, 2 * MOST_KEPT);
    return { counts: this.counts, rows, lines: this.lines };
  }
}

const escaped = Object.values(DIALECTS).map(({ prefix }) => prefix.replace(/[^\w:]/g, "\\$&"));
const REF = new RegExp(`(?:${[...new Set(escaped)].join("|")})[\\w:.=+/-]+`, "g");

/** The refs in a line of a log, each with its column; the dots of an ellipsis are not theirs. */
function refsIn(line: string): [string, number][] {
  return [...line.matchAll(REF)].map((found) => [found[0].replace(/[.,:;]+$/, ""), found.index + 1]);
}

/** The report on a text: one document, or one per line where it is none. */
export function scanText(text: string, runId: string | null): Report {
  const all = new Collector(runId);
  const whole = inspectText(text);
  const lines = text.split("\n");
  const isOne = whole[0]?.kind !== "document" || (lines.length < 2 && refsIn(text).length === 0);
  if (!isOne) {
    const many = new Collector(runId);
    for (const line of lines) many.addLine(line);
    // If no line has anything, the fault of the whole says more than one fault per line.
    if (many.report().rows.some(({ finding }) => finding.kind !== "document")) return many.report();
  }
  for (const finding of whole) all.add(finding, null);
  return all.report();
}

/** The report on a file, which may be larger than memory where it is lines. */
export async function scanFile(file: Blob, runId: string | null, tell: (progress: Progress) => void): Promise<Report> {
  const all = new Collector(runId);
  const reader = file.stream().getReader();
  const decoder = new TextDecoder();
  /** The part of a line whose end was not read yet. */
  let open: string[] = [];
  let [bytes, told] = [0, 0];
  for (;;) {
    const { done, value } = await reader.read();
    bytes += value?.length ?? 0;
    const [head = "", ...more] = decoder.decode(value, { stream: !done }).split("\n");
    open.push(head);
    const rest = done ? undefined : more.pop();
    const ended = more.length > 0 || rest !== undefined || (done && open.some((part) => part !== ""));
    const lines = ended ? [open.join(""), ...more] : [];
    if (lines.length > 0) open = rest === undefined ? [] : [rest];
    const [first] = lines;
    if (all.lines === 0 && first !== undefined && !isDocument(first)) {
      await reader.cancel();
      return scanText(await file.text(), runId);
    }
    for (const line of lines) all.addLine(line);
    if (done) return all.report();
    if (bytes - told < STEP) continue;
    told = bytes;
    tell({ bytes, counts: { ...all.counts } });
  }
}

function isDocument(line: string): boolean {
  if (isRef(line.trim())) return true;
  try {
    parseJson(line);
    return true;
  } catch {
    return false;
  }
}

/** A row as it travels from the worker to the page, which reads its text again. */
export interface SentRow {
  readonly kind: Finding["kind"];
  readonly path: string;
  readonly text: string | null;
  readonly faults: readonly (readonly [ErrorCode, string, string])[];
  readonly place: string | null;
  readonly outcome: Outcome;
}

export function sent({ finding, place, outcome }: Row): SentRow {
  const { kind, path, json } = finding;
  const faults = finding.faults.map((fault) => [fault.code, fault.reason, fault.path] as const);
  return { kind, path, text: kind === "ref" ? finding.text : written(json), faults, place, outcome };
}

/** Some documents that are read leniently have no canonical text; their faults are shown without it. */
function written(json: Finding["json"]): string | null {
  try {
    return canonicalJson(json);
  } catch {
    return null;
  }
}

export function received({ kind, path, text, faults, place, outcome }: SentRow): Row {
  return { finding: text === null || kind === "document" ? blank() : again(), place, outcome };

  function blank(): Finding {
    const found = faults.map(([code, reason, at]) => new MMRawError(code, reason, at));
    return { kind: "document", path, json: null, definition: null, fields: [], faults: found, value: null };
  }
  function again(): Finding {
    if (kind === "ref") return inspectRef(text as string, path);
    const json = parseJson(text as string);
    if (kind === "envelope") return inspectItem(json as JsonObject, path);
    if (kind === "features") return inspectFeatures(json as JsonObject, path);
    return kind === "document" ? blank() : inspectList(kind, json, path);
  }
}
