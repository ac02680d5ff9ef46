/** A ref or envelope in every form that it can take. */
import {
  DEFAULT_DIALECT,
  DIALECTS,
  MMRawError,
  convertRef,
  itemToJson,
  makeItem,
  mmHashOf,
  parseDataUri,
  refFromFields,
  sha256Hex,
} from "../../typescript/src/index.js";
import type { RawMMItem, RawMMRef } from "../../typescript/src/index.js";
import { canonicalJson, featureModality, writeAny } from "../../typescript/src/index.js";
import { el, row, shorten, table } from "./dom.js";

/** Longer texts are offered by a button and not laid out. */
const MOST_SHOWN = 600;

/** The ref in each dialect, or why it cannot be written there. */
export function refConversions(text: string, ref: RawMMRef, runId: string | null): HTMLElement {
  const rows = Object.keys(DIALECTS).map((to) => {
    const own = to === ref.dialect ? " (this one)" : "";
    const cell = attempt(() => convertRef(text, { to, runId: runId ?? ref.run_id }));
    return row(`${to}${own}`, cell);
  });
  rows.push(row("envelope", attempt(() => canonicalJson(itemToJson(envelopeOf(ref))))));
  return el("details", {}, el("summary", {}, "In all other dialects"), table(["dialect", "text"], rows));
}

function envelopeOf(ref: RawMMRef): RawMMItem {
  if (ref.fingerprint === null) {
    throw new MMRawError("not_convertible", "an envelope needs a fingerprint, and this ref names none", "$.layout_fingerprint");
  }
  return makeItem({
    family: ref.family,
    layout_fingerprint: ref.fingerprint,
    payload: ref.payload,
    raw_uri: ref.raw_uri,
    raw_image_id: ref.raw_image_id,
    vllm_modality: ref.modality === "image" ? null : ref.modality,
  });
}

/** The refs that an envelope becomes; an inline one has its hash in itself. */
export function itemConversions(item: RawMMItem, runId: string | null): HTMLElement {
  const rows = Object.keys(DIALECTS).map((to) => row(to, attempt(() => refText(item, to, runId))));
  return el("details", {}, el("summary", {}, "As a ref, in all dialects"), table(["dialect", "text"], rows));
}

function refText(item: RawMMItem, to: string, runId: string | null): string {
  if (item.raw_uri === null || !item.raw_uri.startsWith("data:")) {
    throw new MMRawError("not_convertible", "a ref needs mm_hash, which only the stored bytes can give", "$.mm_hash");
  }
  const { data } = parseDataUri(item.raw_uri);
  const run_id = runId ?? "inline";
  const fields = {
    family: item.family,
    fingerprint: item.layout_fingerprint,
    mm_hash: mmHashOf(sha256Hex(data)),
    modality: featureModality(item),
    payload: item.payload,
    raw_image_id: item.raw_image_id,
    raw_uri: item.raw_uri,
    run_id,
  };
  const text = writeAny(refFromFields(fields, DEFAULT_DIALECT), DEFAULT_DIALECT);
  return to === DEFAULT_DIALECT ? text : convertRef(text, { to, runId: run_id });
}

/** The text that `make` gives with a button to copy it, or its refusal. */
function attempt(make: () => string): HTMLElement {
  try {
    const text = make();
    const copy = el("button", { type: "button" }, "Copy");
    copy.addEventListener("click", () => void navigator.clipboard.writeText(text));
    return el("div", { class: "row" }, el("code", {}, shorten(text, MOST_SHOWN)), copy);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return el("span", { class: "soft" }, `${error.code}: ${error.reason}`);
  }
}
