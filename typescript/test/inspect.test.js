import assert from "node:assert/strict";
import { test } from "node:test";

import { convertRef, DIALECTS, formatRef, parseRef } from "../dist/index.js";
import { ERROR_TEXTS, hasDefaultLayout, inlineFacts, inspectText } from "../dist/inspect.js";

const V2 =
  "mmraw:v2:exp42:qwen_vl:c2f096345b0d84e6bd2ee38b815cc329:image:67f463a70fcc80e6b6c13d2563a723f2:67f463a70fcc80e6.png:eyJpbWFnZV9ncmlkX3RodyI6W1sxLDE2LDE2XV19";
const codes = (finding) => finding.faults.map((fault) => `${fault.code} ${fault.path}`);

test("a ref is explained field by field", () => {
  const [found] = inspectText(` ${V2}\n`);
  assert.equal(found.kind, "ref");
  assert.equal(found.definition, "RefV2");
  assert.deepEqual(found.faults, []);
  assert.equal(found.value.family, "qwen_vl");
  assert.deepEqual(
    found.fields.map(({ name }) => name),
    ["run_id", "family", "fingerprint", "modality", "mm_hash", "raw_image_id", "payload"],
  );
  assert.ok(found.fields.every(({ title, description }) => title && description !== null));
  assert.equal(hasDefaultLayout(found.value), true);
});

test("each dialect is explained by its own definition, also where only its fields tell it", () => {
  for (const [to, wire] of Object.entries(DIALECTS)) {
    if (wire.uri?.[1] === "data_url" || wire.uri?.[1] === "file_label") continue;
    const [found] = inspectText(convertRef(V2, { to, runId: "exp42" }));
    assert.deepEqual([found.definition, found.faults], [wire.schema, []]);
  }
});

test("every fault is reported, not only the first, and the fields all the same", () => {
  const broken = V2.replace("exp42", "run_run_x")
    .replace(":image:", ":im age:")
    .replace("c2f0", "C2F0");
  const [found] = inspectText(broken);
  assert.equal(found.value, null);
  assert.deepEqual(codes(found), [
    "invalid_run_id $.run_id",
    "invalid_value $.fingerprint",
    "invalid_value $.modality",
  ]);
  assert.equal(found.fields.length, 7);
  for (const fault of found.faults) assert.ok(ERROR_TEXTS[fault.code].remedy);
});

test("things are found at any depth of a request or a rollout line", () => {
  const item = {
    kind: "prime_raw_mm_item",
    version: 1,
    modality: "image",
    family: "qwen_vl",
    layout_fingerprint: "c2f096345b0d84e6bd2ee38b815cc329",
    payload: { image_grid_thw: [[1, 16, 16]] },
  };
  const body = {
    kwargs_data: { image: [V2] },
    mm_hashes: { image: ["67f463a70fcc80e6b6c13d2563a723f2"] },
    mm_placeholders: { image: [{ offset: 0, length: 64 }] },
  };
  const found = inspectText(
    JSON.stringify({ turns: [{ item }, { ref: V2 }], request: { features: body } }),
  );
  assert.deepEqual(
    found.map(({ kind, path }) => `${kind} ${path}`),
    ["envelope $.turns[0].item", "ref $.turns[1].ref", "features $.request.features"],
  );
  assert.deepEqual(found.map(codes), [["missing_source $"], [], []]);
});

test("what is no JSON is one document with its fault", () => {
  const [found] = inspectText('{"a":1,"a":2}');
  assert.deepEqual([found.kind, codes(found)], ["document", ["duplicate_key $"]]);
  assert.deepEqual(codes(inspectText("<script>")[0]), ["invalid_json $"]);
  assert.deepEqual(inspectText("{}"), []);
});

test("an inline image is verified against its hash", () => {
  const png =
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
  const ref = { ...parseRef(V2), dialect: "v3", raw_image_id: null, raw_uri: png };
  const facts = inlineFacts(parseRef(formatRef(ref)));
  assert.deepEqual([facts.header.width, facts.header.height, facts.header.format], [1, 1, "png"]);
  assert.deepEqual(
    facts.faults.map(({ code }) => code),
    ["hash_mismatch"],
  );
  assert.deepEqual(inlineFacts({ ...ref, mm_hash: facts.mm_hash }).faults, []);
  assert.equal(inlineFacts(parseRef(V2)), null);
});

test("content parts and mm_refs are one finding each, with a verdict on every image", () => {
  const hash = "67f463a70fcc80e6b6c13d2563a723f2";
  const row = {
    content_parts: [
      { type: "image_url", url: V2, uuid: hash },
      { type: "image_url", url: "https://example.org/a.png" },
      { type: "image_url", url: V2, uuid: "another" },
      { type: "image_url", url: V2.slice(0, -1) },
    ],
    mm_refs: [[[V2, 5, 64], [V2, 69, 0]]],
    kept: { images: [V2] },
  };
  const [parts, refs, kept] = inspectText(JSON.stringify({ row }));
  assert.deepEqual([parts, refs, kept].map(({ kind, path }) => `${kind} ${path}`), [
    "content_parts $.row.content_parts",
    "mm_refs $.row.mm_refs",
    "ref $.row.kept.images[0]",
  ]);
  assert.deepEqual(parts.parts.map(codes), [[], [], ["hash_mismatch $[2].uuid"], ["invalid_base64 $[3].url.payload"]]);
  assert.deepEqual(parts.parts.map(({ value }) => value?.url_kind ?? null), ["ref", "other", null, null]);
  assert.deepEqual(codes(parts), ["hash_mismatch $[2].uuid", "invalid_base64 $[3].url.payload"]);
  assert.deepEqual(refs.parts.map(codes), [[], ["placeholder_invalid $[0][1][2]"]]);
  assert.deepEqual([refs.value, refs.definition], [null, "MmRefsArray"]);
  const images = (spans) => ({ images: spans.map(([offset, length]) => ({ url: V2, offset, length })) });
  const [good] = inspectText(JSON.stringify(images([[5, 64], [69, 64]])));
  assert.deepEqual([good.kind, good.faults, good.parts.length], ["mm_refs", [], 2]);
  // A fault that only the list shows is no image's own.
  const [bad] = inspectText(JSON.stringify(images([[5, 64], [60, 64]])));
  assert.deepEqual([codes(bad), bad.parts.map(codes)], [["placeholder_invalid $.images[1]"], [[], []]]);
});

test("lists are found as documents and, in the array form of mm_refs, at any depth", () => {
  const kinds = (value) => inspectText(JSON.stringify(value)).map(({ kind, path }) => `${kind} ${path}`);
  assert.deepEqual(kinds([{ type: "image_url", url: V2 }]), ["content_parts $"]);
  assert.deepEqual(kinds({ a: [1, [[[V2, 5, 64]]]] }), ["mm_refs $.a[1]"]);
  assert.deepEqual(kinds([[["a word", 5, 64]]]), []);
  assert.deepEqual(kinds({ mm_refs: V2 }), ["ref $.mm_refs"]);
  assert.deepEqual(kinds({ mm_refs: {} }), ["mm_refs $.mm_refs"]);
});

test("a ref to processed features is rejected by name, wherever it stands", () => {
  for (const text of ["mmfile:v1:x", '{"image": "mmfile:v1:x"}']) {
    const [found] = inspectText(text);
    assert.equal(found.faults[0].code, "unsupported_dialect");
    assert.match(found.faults[0].message, /mmfile/);
  }
});
