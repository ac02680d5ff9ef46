/** Findings as cards: what a thing is, its faults, its fields, its picture, its other forms. */
import { MMRawError, featureModality, getAdapter, gridOf, isBuiltIn, parseDataUri, readHeader } from "../../typescript/src/index.js";
import type { Adapter, BuiltInFamily, RawMMItem, RawMMRef } from "../../typescript/src/index.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import { ERROR_TEXTS, hasDefaultLayout, inlineFacts } from "../../typescript/src/inspect.js";
import type { Finding, ListFinding, PartFinding } from "../../typescript/src/inspect.js";
import { itemConversions, refConversions } from "./conversions.js";
import { el, row, shorten, size, table } from "./dom.js";
import { drawing, pictureUrl } from "./picture.js";
import { gridText, plainText } from "./values.js";

const KINDS = { ref: "Ref", envelope: "Envelope", features: "Features body", content_parts: "Content parts", mm_refs: "mm_refs", document: "Document" } as const;

/** One card. */
export function card(finding: Finding, runId: string | null): HTMLElement {
  const good = finding.faults.length === 0;
  const verdict = el("span", { class: good ? "good" : "bad" }, good ? "accepted" : "refused");
  const title = el("h2", {}, `${KINDS[finding.kind]}${dialectOf(finding)} at ${shorten(finding.path, 120)}: `, verdict);
  const parts: HTMLElement[] = [title];
  if (!good) parts.push(faults(finding));
  if (finding.fields.length > 0) parts.push(el("h3", {}, "Fields"), fields(finding));
  if (finding.kind === "ref" && finding.value !== null) {
    parts.push(...refParts(finding.value), refConversions(finding.text, finding.value, runId));
  } else if (finding.kind === "envelope" && finding.value !== null) {
    parts.push(...itemParts(finding.value), itemConversions(finding.value, runId));
  } else if (finding.kind === "features" && finding.value !== null) {
    parts.push(...featuresParts(finding.value, runId));
  } else if (finding.kind === "content_parts" || finding.kind === "mm_refs") {
    parts.push(...listParts(finding, runId));
  }
  return el("article", { class: "card" }, ...parts);
}

function dialectOf(finding: Finding): string {
  const value = finding.kind === "ref" || finding.kind === "envelope" ? finding.value : null;
  if (value !== null) return `, dialect ${value.dialect}`;
  return finding.definition === null ? "" : `, read as ${finding.definition}`;
}

function faults(finding: Finding): HTMLElement {
  const rows = finding.faults.map((fault) => {
    const { meaning, remedy } = ERROR_TEXTS[fault.code];
    const link = el("a", { href: `../reference/wire/errors.html#${fault.code}` }, fault.code);
    return row(link, el("code", {}, shorten(fault.path, 200)), fault.reason, `${meaning} ${remedy}`);
  });
  return table(["rule", "where", "what is wrong", "meaning and remedy"], rows);
}

function fields(finding: Finding): HTMLElement {
  const rows = finding.fields.map((field) => {
    const value = el("td", { class: "value" }, el("code", {}, shorten(plainText(field.value))));
    const text = field.title === null ? "not defined by the schema" : `${field.title}. ${field.description ?? ""}`;
    const line = el("tr", {}, el("td", {}, el("code", {}, shorten(field.name, 80))), value, el("td", {}, text));
    const unknown = field.title === null && finding.faults.some(({ code }) => code === "unknown_field");
    if (unknown || finding.faults.some((fault) => isAt(fault, field.name))) line.className = "fault";
    return line;
  });
  return table(["field", "value", "meaning"], rows);
}

function isAt(fault: MMRawError, name: string): boolean {
  const place = `$.${name}`;
  const next = fault.path.startsWith(place) ? (fault.path[place.length] ?? "") : null;
  return next === "" || next === "." || next === "[";
}

function refParts(ref: RawMMRef): HTMLElement[] {
  const facts = inlineFacts(ref);
  const parts = [summary(ref, layoutText(ref))];
  if (facts === null) {
    const where = `The image is stored: looked up in run ${ref.run_id ?? "(none named)"} as ${ref.raw_image_id ?? "the last segment of its label"}.`;
    return [...parts, el("p", { class: "soft" }, where)];
  }
  const mismatch = facts.faults[0];
  const verdict =
    mismatch === undefined
      ? el("span", { class: "good" }, "the hash is verified: these are the bytes that were meant")
      : el("span", { class: "bad" }, `${mismatch.code}: ${mismatch.reason}`);
  parts.push(el("p", {}, `${size(facts.data.length)}, sha256 `, el("code", {}, facts.sha256), ": ", verdict));
  if (facts.header !== null) {
    const { format, width, height } = facts.header;
    parts.push(...picture(facts.data, format, width, height, ref.family, gridOf(ref.family, ref.payload)));
  }
  return parts;
}

function itemParts(item: RawMMItem): HTMLElement[] {
  const parts = [summary(item, ""), el("p", { class: "soft" }, `Feature modality: ${featureModality(item)}.`)];
  if (item.raw_uri === null || !item.raw_uri.startsWith("data:")) return parts;
  try {
    const { data } = parseDataUri(item.raw_uri);
    const { format, width, height } = readHeader(data);
    return [...parts, ...picture(data, format, width, height, item.family, gridOf(item.family, item.payload))];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [...parts, el("p", { class: "bad" }, `${error.code}: ${error.reason}`)];
  }
}

type FeaturesValue = NonNullable<Extract<Finding, { kind: "features" }>["value"]>;

function featuresParts(features: FeaturesValue, runId: string | null): HTMLElement[] {
  const parts: HTMLElement[] = [];
  for (const [modality, refs] of Object.entries(features.refs)) {
    const rows = refs.map((ref, index) => {
      const place = features.body.mm_placeholders[modality]?.[index];
      const grid = gridOf(ref.family, ref.payload);
      return row(`${index}`, ref.dialect, ref.family, grid === null ? "opaque" : grid.join("x"), `${place?.offset}+${place?.length}`, ref.raw_image_id ?? "inline");
    });
    parts.push(el("h3", {}, `Images under ${modality}`), table(["image", "dialect", "family", "grid", "placeholder", "source"], rows));
    for (const [index, ref] of refs.slice(0, 20).entries()) {
      const text = features.body.kwargs_data[modality]?.[index] ?? "";
      const inner = el("details", {}, el("summary", {}, `Image ${index}`), ...refParts(ref), refConversions(text, ref, runId));
      parts.push(inner);
    }
  }
  return parts;
}

/** Each image of content parts or mm_refs with its own verdict; refs can be opened. */
function listParts({ kind, parts }: ListFinding, runId: string | null): HTMLElement[] {
  if (parts.length === 0) return [];
  const rows = parts.map(({ index, text, value, faults }) => {
    const [fault] = faults;
    const verdict =
      fault === undefined
        ? el("span", { class: "good" }, "accepted")
        : el("span", { class: "bad" }, `${fault.code}: ${fault.reason}`);
    const ref = value?.ref ?? null;
    const grid = ref === null ? null : gridOf(ref.family, ref.payload);
    const what = ref === null ? `${value?.url_kind ?? "no"} URL` : `${ref.dialect}, ${ref.family}`;
    const source = ref === null ? shorten(text, 120) : (ref.raw_image_id ?? "inline");
    return row(`${index}`, verdict, what, grid === null ? "" : grid.join("x"), value === null ? "" : placeOf(value), source);
  });
  const place = kind === "mm_refs" ? "span" : "uuid";
  const heads = ["image", "verdict", "URL", "grid", place, "source"];
  const opened = parts.slice(0, 20).flatMap(({ index, text, value }) =>
    value === null || value.ref === null
      ? []
      : [el("details", {}, el("summary", {}, `Image ${index}`), ...refParts(value.ref), refConversions(text, value.ref, runId))],
  );
  return [el("h3", {}, "Images"), table(heads, rows), ...opened];
}

function placeOf(image: NonNullable<PartFinding["value"]>): string {
  if ("offset" in image) return `${image.offset}+${image.length}`;
  if (image.uuid === null) return "none";
  return image.ref === null ? shorten(image.uuid, 120) : "the ref's mm_hash";
}

function layoutText(ref: RawMMRef): string {
  const published = hasDefaultLayout(ref);
  if (published === null) return "";
  return published ? " Layout parameters: the published defaults." : " Layout parameters: not the published defaults of this family.";
}

function summary({ family, payload }: Pick<RawMMRef, "family" | "payload">, more: string): HTMLElement {
  const grid = gridOf(family, payload);
  if (grid === null || !isBuiltIn(family)) return el("p", {}, `Family ${family} is not built in: its payload is opaque here.`);
  return el("p", {}, `${gridText(family, payload)}${tokensText(family, grid)}.${more}`);
}

/** The tokens of a grid, where the grid alone tells them: not those of tiles. */
function tokensText(family: BuiltInFamily, [t, h, w]: readonly [number, number, number]): string {
  if ("num_patches" in FAMILY_TABLE[family].grid) return "";
  const { mergeSize } = getAdapter(family);
  return `, ${(t * h * w / mergeSize ** 2).toLocaleString("en")} tokens at merge size ${mergeSize}`;
}

function picture(
  data: Uint8Array,
  format: "png" | "jpeg" | "webp" | "gif",
  width: number,
  height: number,
  family: string,
  grid: readonly number[] | null,
): HTMLElement[] {
  let adapter: Adapter;
  try {
    adapter = getAdapter(family);
    const layout = adapter.layout(width, height);
    const same = grid !== null && layout.grid_thw.join() === grid.join();
    const text = same
      ? "the payload's grid is the one that the published layout parameters give"
      : `with the published layout parameters this picture has the grid ${layout.grid_thw.join("x")}`;
    const caption = el("figcaption", {}, `${width}x${height} ${format}; `, el("span", { class: same ? "good" : "bad" }, text));
    return [el("figure", {}, drawing(pictureUrl(data, format), layout, adapter), caption)];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [el("p", { class: "soft" }, `${width}x${height} ${format}; ${error.code}: ${error.reason}`)];
  }
}
