/** Findings as cards: what a thing is, its faults, its picture beside its fields, its other forms. */
import { DEFAULT_DIALECT, gridOf, isBuiltIn } from "../../typescript/src/index.js";
import type { MMRawError, RawMMItem, RawMMRef } from "../../typescript/src/index.js";
import { ERROR_TEXTS, inlineFacts } from "../../typescript/src/inspect.js";
import type { Finding, ListFinding, PartFinding } from "../../typescript/src/inspect.js";
import { publishedAdapters, verdictOf } from "../../typescript/src/verdict.js";
import { itemConversions, refConversions } from "./conversions.js";
import { code, el, pairs, prose, row, rule, shorten, size, table } from "./dom.js";
import type { Child } from "./dom.js";
import { pictureOf } from "./picture.js";
import type { Row } from "./scan.js";
import { badge, checks } from "./strip.js";
import { gridText, plainText } from "./values.js";

const KINDS = { ref: "Ref", envelope: "Envelope", features: "Features body", content_parts: "Content parts", mm_refs: "mm_refs", document: "Document" } as const;
/** Images of one body that can be opened. */
const MOST_OPENED = 20;

/** One card; beside others it has a strip of its own. */
export function card({ finding, place, outcome }: Row, runId: string | null, alone: boolean): HTMLElement {
  const at = [place, place !== null && finding.path === "$" ? null : shorten(finding.path)].filter((text) => text !== null).join(", ");
  const title = el("h2", {}, KINDS[finding.kind], ...dialectOf(finding), " ", badge(outcome));
  const where = at === "$" ? [] : [el("p", { class: "soft small" }, "at ", el("code", {}, at))];
  const head = el("header", {}, title, ...where);
  const found = verdictOf(finding, { runId }).checks;
  const told = [...finding.faults, ...found.flatMap(({ fault }) => (fault === null || finding.faults.includes(fault) ? [] : [fault]))];
  const parts: HTMLElement[] = [head];
  if (!alone && finding.faults.length === 0) parts.push(checks(found));
  if (told.length > 0) parts.push(faults(told));
  parts.push(...body(finding, runId));
  return el("article", { class: "card", "data-outcome": outcome }, ...parts);
}

function dialectOf(finding: Finding): Child[] {
  const value = finding.kind === "ref" || finding.kind === "envelope" ? finding.value : null;
  const text = value === null ? finding.definition : value.dialect;
  return text === null ? [] : [" ", el("span", { class: "tag" }, text)];
}

function body(finding: Finding, runId: string | null): HTMLElement[] {
  const parts: HTMLElement[] = finding.fields.length > 0 ? [fields(finding)] : [];
  if (finding.kind === "features" && finding.value !== null) return [...featuresParts(finding.value, runId), ...parts];
  if (finding.kind === "content_parts" || finding.kind === "mm_refs") return [...listParts(finding, runId), ...parts];
  if (finding.value === null) return parts;
  if (finding.kind === "ref") {
    return [beside(facts(finding.value), parts), refConversions(finding.text, finding.value, runId)];
  }
  if (finding.kind === "envelope") return [beside(itemFacts(finding.value), parts), itemConversions(finding.value, runId)];
  return parts;
}

function beside(left: readonly HTMLElement[], right: readonly HTMLElement[]): HTMLElement {
  return el("div", { class: "beside" }, el("div", { class: "side" }, ...left), el("div", {}, ...right));
}

function faults(found: readonly MMRawError[]): HTMLElement {
  const rows = found.map((fault) => {
    const { meaning, remedy } = ERROR_TEXTS[fault.code];
    const head = el("p", {}, rule(fault.code), " at ", el("code", {}, shorten(fault.path, 200)));
    return el("li", {}, head, el("p", { class: "reason" }, ...prose(fault.reason)), el("p", { class: "soft" }, ...prose(`${meaning} `), el("strong", {}, "What to do: "), ...prose(remedy)));
  });
  return el("ul", { class: "faults" }, ...rows);
}

function fields(finding: Finding): HTMLElement {
  const rows = finding.fields.map((field) => {
    const name = shorten(field.name, 80);
    const unknown = field.title === null && finding.faults.some(({ code: rule }) => rule === "unknown_field");
    const isFault = unknown || finding.faults.some((fault) => isAt(fault, field.name));
    const meaning = field.title === null ? ["Not defined by the schema."] : prose(`${field.title}. ${field.description ?? ""}`);
    const value = el("dd", {}, code(plainText(field.value), name), el("p", { class: "soft small" }, ...meaning));
    return el("div", isFault ? { class: "fault" } : {}, el("dt", {}, el("code", {}, name)), value);
  });
  return el("section", {}, el("h3", {}, "Fields"), el("dl", { class: "fields" }, ...rows));
}

function isAt(fault: MMRawError, name: string): boolean {
  const place = `$.${name}`;
  const next = fault.path.startsWith(place) ? (fault.path[place.length] ?? "") : null;
  return next === "" || next === "." || next === "[";
}

/** The parts of the picture side of a ref or an envelope. */
type PictureSide = Pick<RawMMRef, "family" | "fingerprint" | "dialect" | "payload" | "mm_hash" | "raw_image_id" | "raw_uri">;

/** The picture side of a ref. */
function facts(ref: PictureSide): HTMLElement[] {
  const inline = inlineFacts(ref);
  const rows: [string, Child][] = [...layoutFacts(ref)];
  if (inline === null) {
    rows.push(["Stored as", ref.raw_image_id ?? "the last segment of its label"]);
    const none = el("div", { class: "no-picture" }, "The picture is in a store, and this page has none. ", el("code", {}, "mmraw inspect --store"), " looks it up.");
    return [none, pairs(rows)];
  }
  rows.push(["Size", size(inline.data.length)], ["sha256", code(inline.sha256, "sha256")]);
  return [...pictureOf(ref, inline.data, inline.header), pairs(rows)];
}

function itemFacts(item: RawMMItem): HTMLElement[] {
  return facts({ ...item, fingerprint: item.layout_fingerprint, mm_hash: "", dialect: DEFAULT_DIALECT });
}

function layoutFacts(ref: PictureSide): [string, Child][] {
  if (!isBuiltIn(ref.family)) return [["Family", `${shorten(ref.family, 60)}, not built in: its payload is opaque here`]];
  const found = publishedAdapters(ref);
  const [adapter] = found;
  const lines = found.map(({ line }) => line).join(", ");
  const layout = ref.fingerprint === null ? "not named" : adapter === undefined ? "of no published configuration" : `published for ${lines}`;
  const tokens = adapter === undefined ? [] : [["Tokens", adapter.expandedSpan(ref.payload).length.toLocaleString("en")] as [string, Child]];
  return [["Family", ref.family], ["Grid", gridText(ref.family, ref.payload)], ...tokens, ["Layout parameters", layout]];
}

type FeaturesValue = NonNullable<Extract<Finding, { kind: "features" }>["value"]>;

function featuresParts(features: FeaturesValue, runId: string | null): HTMLElement[] {
  const parts: HTMLElement[] = [];
  for (const [modality, refs] of Object.entries(features.refs)) {
    const rows = refs.map((ref, index) => {
      const place = features.body.mm_placeholders[modality]?.[index];
      return row(`${index}`, ref.dialect, shorten(ref.family, 60), gridCell(ref), `${place?.offset}+${place?.length}`, ref.raw_image_id ?? "inline");
    });
    const title = `Images under ${modality}`;
    parts.push(el("h3", {}, title), table(["image", "dialect", "family", "grid", "placeholder", "source"], rows, title));
    const texts = features.body.kwargs_data[modality] ?? [];
    parts.push(...refs.slice(0, MOST_OPENED).map((ref, index) => opened(index, ref, texts[index] ?? "", runId)));
  }
  return parts;
}

function gridCell(ref: RawMMRef): string {
  const grid = gridOf(ref.family, ref.payload);
  return grid === null ? "opaque" : grid.join("×");
}

/** One image of a list, laid out when it is opened. */
function opened(index: number, ref: RawMMRef, text: string, runId: string | null): HTMLElement {
  const details = el("details", { class: "more-of" }, el("summary", {}, `Image ${index}`));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(...facts(ref), refConversions(text, ref, runId));
  });
  return details;
}

/** Each image of content parts or mm_refs with its own verdict; refs can be opened. */
function listParts({ kind, parts }: ListFinding, runId: string | null): HTMLElement[] {
  if (parts.length === 0) return [];
  const rows = parts.map(({ index, text, value, faults: own }) => {
    const [fault] = own;
    const state = fault === undefined ? "ok" : "rejected";
    const verdict = el("span", {}, badge(state), ...(fault === undefined ? [] : [" ", rule(fault.code), ` ${fault.reason}`]));
    const ref = value?.ref ?? null;
    const what = ref === null ? (value === null ? "" : `${value.url_kind} URL`) : `${ref.dialect}, ${shorten(ref.family, 60)}`;
    const source = ref === null ? shorten(text, 60) : (ref.raw_image_id ?? "inline");
    return row(`${index}`, verdict, what, ref === null ? "" : gridCell(ref), value === null ? "" : placeOf(value), source);
  });
  const heads = ["image", "verdict", "URL", "grid", kind === "mm_refs" ? "placeholder" : "uuid", "source"];
  const more = parts.slice(0, MOST_OPENED).flatMap(({ index, text, value }) => {
    const ref = value?.ref ?? null;
    return ref === null ? [] : [opened(index, ref, text, runId)];
  });
  return [el("h3", {}, "Images"), table(heads, rows, "Images"), ...more];
}

function placeOf(image: NonNullable<PartFinding["value"]>): string {
  if ("offset" in image) return `${image.offset}+${image.length}`;
  if (image.uuid === null) return "none";
  return image.ref === null ? shorten(image.uuid) : "the ref's mm_hash";
}
