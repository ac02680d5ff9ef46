/** Rules that the generated checks and the readers keep, each with its code and its path. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Faults } from "../dist/codec/check.js";
import { checkRefV3 } from "../dist/generated/checks.js";
import {
  canonicalJson,
  DEFAULT_LIMITS,
  encodeBase64Url,
  formatRef,
  JsonFloat,
  parseFeatures,
  parseItem,
  parseRef,
} from "../dist/index.js";
import { failure } from "./failure.js";

const FIELDS = {
  family: "qwen_vl",
  fingerprint: "0".repeat(16),
  mm_hash: "0".repeat(32),
  modality: "image",
  payload: { image_grid_thw: [[1, 2, 2]] },
  raw_image_id: "a.png",
  run_id: "r",
};
const encoder = new TextEncoder();
const refOfText = (text) => `mmraw:v3:${encodeBase64Url(encoder.encode(text))}`;
const refusal = (changes, limits) =>
  failure(() => parseRef(refOfText(canonicalJson({ ...FIELDS, ...changes })), limits));

const RULES = [
  [{ run_id: 1 }, "invalid_run_id $.run_id"],
  [{ family: 1 }, "invalid_type $.family"],
  [{ modality: "a b" }, "invalid_value $.modality"],
  [{ modality: "a".repeat(129) }, "limit_exceeded $.modality"],
  [{ raw_image_id: "com1.png" }, "invalid_raw_image_id $.raw_image_id"],
  [{ raw_image_id: "a".repeat(256) }, "limit_exceeded $.raw_image_id"],
  [{ raw_image_id: null }, "missing_source $"],
  [{ raw_uri: 1 }, "invalid_raw_uri $.raw_uri"],
  [{ raw_uri: "http://a/a.png" }, "invalid_raw_uri $.raw_uri"],
  [{ raw_uri: "data:image/png;base64," }, "empty_source $.raw_uri"],
  [{ raw_uri: "data:image/png;base64,QR==" }, "invalid_base64 $.raw_uri"],
  [{ raw_uri: "file:///con.png" }, "invalid_raw_image_id $.raw_uri"],
  [{ raw_uri: "file:///b.png" }, "invalid_raw_uri $.raw_uri"],
  [{ payload: {} }, "missing_field $.payload"],
  [{ payload: { image_grid_thw: [[1, 3, 2]] } }, "invalid_grid $.payload.image_grid_thw[0][1]"],
  [
    { payload: { image_grid_thw: [[1, 2048, 2048]] } },
    "limit_exceeded $.payload.image_grid_thw[0]",
  ],
  [{ payload: { image_grid_thw: [[1, 2, new JsonFloat(2)]] } }, "invalid_grid $.payload.image_grid_thw[0][2]"],
  [{ family: "kimi_k25" }, "unknown_field $.payload"],
  [{ payload: { image_grid_thw: [[0, 2, 2]], pixel_values: 1 } }, "processed_payload $"],
  [{ payload: [[{ image_embeds: 1 }]] }, "processed_payload $"],
];

for (const [changes, expected] of RULES) {
  test(`${JSON.stringify(changes).slice(0, 60)} is ${expected}`, () => {
    assert.equal(refusal(changes), expected);
  });
}

test("a limit that is set holds in reading and in writing", () => {
  const set = (changes) => ({ ...DEFAULT_LIMITS, ...changes });
  assert.equal(refusal({}, set({ name_chars: 7 })), null);
  assert.equal(refusal({}, set({ name_chars: 6 })), "limit_exceeded $.family");
  assert.equal(refusal({}, set({ raw_image_id_bytes: 4 })), "limit_exceeded $.raw_image_id");
  assert.equal(
    refusal({}, set({ grid_patches: 3 })),
    "limit_exceeded $.payload.image_grid_thw[0]",
  );
  const inline = { raw_uri: "data:image/png;base64,QUJD" };
  assert.equal(refusal(inline, set({ inline_image_bytes: 3 })), null);
  assert.equal(refusal(inline, set({ inline_image_bytes: 2 })), "limit_exceeded $.raw_uri");
  const ref = parseRef(refOfText(canonicalJson(FIELDS)));
  assert.equal(
    failure(() => formatRef(ref, undefined, set({ name_chars: 6 }))),
    "limit_exceeded $.family",
  );
});

test("keys are checked in their order, then absent fields are named, then sources", () => {
  const faults = new Faults(10);
  const { run_id: _, raw_image_id: __, ...rest } = FIELDS;
  checkRefV3({ x: 1, ...rest, mm_hash: "A" }, "$", DEFAULT_LIMITS, faults);
  assert.deepEqual(
    faults.found.map(({ code, path }) => `${code} ${path}`),
    ["unknown_field $", "invalid_value $.mm_hash", "missing_field $", "missing_source $"],
  );
});

test("an opaque payload counts by its canonical text, whatever spelling was received", () => {
  const text = (payload) => canonicalJson({ ...FIELDS, family: "mine" }).replace(/\{"image_grid.*?\}/, payload);
  const read = (payload, changes) =>
    failure(() => parseRef(refOfText(text(payload)), { ...DEFAULT_LIMITS, ...changes }));
  assert.equal(read(`{"a":"${" ".repeat(10)}"}`, { payload_bytes: 18 }), null);
  assert.equal(read(`{ "\\u0061" :  "${" ".repeat(10)}" }`, { payload_bytes: 18 }), null);
  assert.equal(read('{"a":"\u00e9"}', { payload_bytes: 14 }), null);
  assert.equal(read('{"a":"\u00e9"}', { payload_bytes: 13 }), "limit_exceeded $.payload");
  assert.equal(read('{"a":[[]]}', { payload_depth: 3 }), null);
  assert.equal(read('{"a":[[1]]}', { payload_depth: 3 }), null);
  assert.equal(read('{"a":[[]]}', { payload_depth: 2 }), "limit_exceeded $.payload");
  assert.equal(read('{"a":[1,2]}', { payload_nodes: 4 }), null);
  assert.equal(read('{"a":[1,2]}', { payload_nodes: 3 }), "limit_exceeded $.payload");
  const ref = parseRef(refOfText(text('{"a":"\u00e9"}')));
  assert.equal(
    failure(() => formatRef(ref, undefined, { ...DEFAULT_LIMITS, payload_bytes: 13 })),
    "limit_exceeded $.payload",
  );
});

test("a document of a built-in family holds few values, whatever else is wrong in it", () => {
  const many = (text) => canonicalJson(FIELDS).replace("[[1,2,2]]", `[${"1,".repeat(99)}1]${text}`);
  const code = (text) => failure(() => parseRef(refOfText(text)));
  assert.equal(code(many("")), "limit_exceeded $");
  assert.equal(code(many(',"pixel_values":0')), "processed_payload $");
  assert.equal(code(many(',"pixel_value\\u0073":0')), "limit_exceeded $");
  assert.equal(code(many(',"a":1e999')), "limit_exceeded $");
  assert.equal(code(many(',"a":0,"a":0')), "limit_exceeded $");
  const other = many(',"pixel_values":0').replace("qwen_vl", "mine");
  assert.equal(code(other), "processed_payload $");
});

test("an envelope's faults are seen from where it stands", () => {
  const item = {
    family: "qwen_vl",
    kind: "prime_raw_mm_item",
    layout_fingerprint: "0".repeat(16),
    modality: "image",
    payload: FIELDS.payload,
    raw_image_id: "a.png",
    version: 1,
  };
  const code = (changes) => failure(() => parseItem({ ...item, ...changes }, undefined, "$.x[0]"));
  assert.equal(code({}), null);
  assert.equal(code({ raw_uri: "file:///b.png" }), "invalid_raw_uri $.x[0].raw_uri");
  assert.equal(code({ version: 2 }), "invalid_value $.x[0].version");
  assert.equal(code({ version: "1" }), "invalid_type $.x[0].version");
  assert.equal(code({ raw_image_id: null }), "missing_source $.x[0]");
  assert.equal(code({ payload: { pixel_values: 1 } }), "processed_payload $.x[0]");
  let deep = 1;
  for (let level = 0; level < 253; level++) deep = [deep];
  const nested = { family: "mine", payload: { a: deep } };
  const limits = { ...DEFAULT_LIMITS, payload_depth: 1000 };
  assert.equal(parseItem({ ...item, ...nested }, limits).family, "mine");
  assert.equal(parseItem(canonicalJson({ ...item, ...nested }), limits).family, "mine");
});

test("servers may write mm_metadata: null beside the three maps, and nothing else there", () => {
  const body = { kwargs_data: {}, mm_hashes: {}, mm_placeholders: {} };
  assert.deepEqual(parseFeatures({ ...body, mm_metadata: null }).body, body);
  assert.equal(
    failure(() => parseFeatures({ ...body, mm_metadata: {} })),
    "unknown_field $.mm_metadata",
  );
});
