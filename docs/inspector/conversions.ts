/** A ref or envelope in every form that it can take. */
import { DEFAULT_DIALECT, DIALECTS, MMRawError, canonicalJson, convertRef, featureModality, itemToJson, makeItem } from "../../typescript/src/index.js";
import { mmHashOf, parseDataUri, refFromFields, sha256Hex, writeAny } from "../../typescript/src/index.js";
import type { RawMMItem, RawMMRef } from "../../typescript/src/index.js";
import { code, el, rule } from "./dom.js";

type Make = () => string;

/** The ref in each dialect, or why it cannot be written there. */
export function refConversions(text: string, ref: RawMMRef, runId: string | null): HTMLElement {
  const rows = Object.keys(DIALECTS).map((to): [string, boolean, Make] => [to, to === ref.dialect, () => convertRef(text, { to, runId: ref.run_id ?? runId })]);
  return list("In all dialects", [...rows, ["envelope", false, () => canonicalJson(itemToJson(envelopeOf(ref)))]]);
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
  const rows = Object.keys(DIALECTS).map((to): [string, boolean, Make] => [to, false, () => refText(item, to, runId)]);
  return list("As a ref, in all dialects", rows);
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

/** Closed until it is asked for: the conversions are made then. */
function list(title: string, rows: readonly (readonly [string, boolean, Make])[]): HTMLElement {
  const body = el("dl", { class: "fields dialects" });
  const details = el("details", { class: "more-of" }, el("summary", {}, title), body);
  details.addEventListener("toggle", () => {
    if (!details.open || body.childElementCount > 0) return;
    for (const [name, own, make] of rows) {
      const term = el("dt", {}, el("code", {}, name), ...(own ? [el("span", { class: "tag" }, "this one")] : []));
      body.append(el("div", {}, term, el("dd", {}, attempt(name, make))));
    }
  });
  return details;
}

/** The text that `make` gives with a button to copy it, or why there is none. */
function attempt(name: string, make: Make): HTMLElement {
  try {
    return code(make(), `the ${name} form`);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return el("span", { class: "soft small" }, rule(error.code), ` ${error.reason}`);
  }
}
