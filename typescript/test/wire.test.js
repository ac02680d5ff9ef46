import assert from "node:assert/strict";
import { test } from "node:test";

import {
  buildFeatures,
  convertRef,
  DIALECTS,
  encodeBase64,
  encodeBase64Url,
  fieldsOf,
  findImages,
  formatRef,
  getAdapter,
  mergeData,
  MMRawError,
  parseFeatures,
  parseItem,
  parseRef,
  promptText,
  sha256Hex,
} from "../dist/index.js";
import { failure } from "./failure.js";
import { data, layout } from "./samples.js";


test("an image goes from its size to the wire and back", () => {
  assert.deepEqual(layout.grid_thw, [1, 30, 40]);
  const body = buildFeatures(data, { runId: "run_exp42" });
  const text = JSON.stringify(body);
  const { refs } = parseFeatures(text);
  const [ref] = refs.image;
  assert.equal(ref.run_id, "exp42");
  assert.deepEqual(JSON.parse(JSON.stringify(ref.payload)), { image_grid_thw: [[1, 30, 40]] });
  assert.equal(formatRef(ref), body.kwargs_data.image[0]);
});

test("a ref moves between dialects and back without loss", () => {
  const v3 = buildFeatures(data, { runId: "exp42" }).kwargs_data.image[0];
  const v2 = convertRef(v3, { to: "v2" });
  const v1 = convertRef(v3, { to: "v1" });
  assert.equal(convertRef(v2), v3);
  assert.equal(convertRef(v1), v3);
  assert.equal(parseRef(v1).dialect, "v1");
  assert.equal(
    failure(() => convertRef(v3, { to: "v3-runless" })),
    "not_convertible $.run_id",
  );
  const runless = convertRef(v3, { to: "v3-runless", runId: "exp42" });
  assert.equal(convertRef(runless, { runId: "exp42" }), v3);
  assert.deepEqual(Object.keys(DIALECTS).length, 10);
});

test("inline bytes are stored, unless the store has just these under the name beside them", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const ref = {
    ...parseRef(buildFeatures(data, { runId: "exp42" }).kwargs_data.image[0]),
    mm_hash: sha256Hex(bytes),
    raw_uri: `data:image/png;base64,${encodeBase64(bytes)}`,
  };
  const converted = (kept) => {
    const store = {
      put: () => "new.png",
      get: () => {
        if (kept !== null) return kept;
        throw new MMRawError("source_unavailable", "no stored image of that name");
      },
      url: (name) => `file:///${name}`,
    };
    return parseRef(convertRef(formatRef(ref), { to: "v2", store })).raw_image_id;
  };
  assert.equal(converted(bytes), ref.raw_image_id);
  assert.equal(converted(Uint8Array.of(9, 2, 3)), "new.png");
  assert.equal(converted(null), "new.png");
  const other = { ...ref, mm_hash: "0".repeat(32) };
  assert.equal(
    failure(() => convertRef(formatRef(other), { to: "v2", store: { get: () => bytes } })),
    "hash_mismatch $.mm_hash",
  );
});

test("turns are merged, and neither is changed", () => {
  const before = JSON.stringify(data);
  const second = { ...data, mm_placeholders: { image: [{ offset: 400, length: 300 }] } };
  const merged = mergeData(data, second);
  assert.equal(merged.mm_items.image.length, 2);
  assert.equal(JSON.stringify(data), before);
  assert.equal(buildFeatures(merged, { runId: "exp42" }).mm_hashes.image.length, 2);
});

test("faults name their place", () => {
  const base = JSON.parse(JSON.stringify(buildFeatures(data, { runId: "exp42" })));
  const broken = (change) => {
    const body = structuredClone(base);
    change(body);
    return failure(() => parseFeatures(body));
  };
  assert.equal(
    broken((b) => (b.mm_hashes.image[0] = "zz")),
    "invalid_value $.mm_hashes.image[0]",
  );
  assert.equal(
    broken((b) => (b.kwargs_data.image[0] = null)),
    "missing_slot $.kwargs_data.image[0]",
  );
  assert.equal(
    broken((b) => (b.mm_placeholders.image[0].length = 0)),
    "placeholder_invalid $.mm_placeholders.image[0].length",
  );
  assert.equal(
    broken((b) => (b.extra = 1)),
    "unknown_field $",
  );
  assert.equal(
    broken((b) => (b.mm_hashes.image[0] = "0".repeat(32))),
    "hash_mismatch $.kwargs_data.image[0]",
  );
  assert.equal(
    failure(() => parseItem({ kind: 1 })),
    "invalid_type $.kind",
  );
  assert.equal(
    failure(() => parseRef("mmraw:v9:x")),
    "unsupported_dialect $",
  );
});

test("a payload of any other family passes as it is", () => {
  const text = JSON.stringify({
    family: "mine",
    fingerprint: "0".repeat(16),
    mm_hash: "0".repeat(32),
    modality: "image",
    raw_image_id: "a.png",
    run_id: "r",
  });
  const body = `${text.slice(0, -1)},"payload":{"z":1.0,"a":[1,-0.0]}}`;
  const ref = parseRef(`mmraw:v3:${encodeBase64Url(new TextEncoder().encode(body))}`);
  const again = parseRef(formatRef(ref));
  assert.deepEqual(fieldsOf(again), fieldsOf(ref));
  assert.match(atob(formatRef(ref).slice(9)), /"payload":\{"a":\[1,-0\.0\],"z":1\.0\}/);
});

test("configurations are read from a checkpoint's preprocessor_config.json", () => {
  const older = getAdapter("qwen_vl", {
    image_processor_type: "Qwen2VLImageProcessor",
    patch_size: 14,
    size: { shortest_edge: 3136, longest_edge: 12845056 },
  });
  assert.deepEqual(older.parameters, getAdapter("qwen_vl", "qwen2_vl").parameters);
  const kimi = getAdapter(
    "kimi_k25",
    { image_processor_type: "KimiK25VisionProcessor", media_proc_cfg: { in_patch_limit: 4096 } },
    { placeholder: "expanded" },
  );
  assert.equal(kimi.layout(4000, 3000).placeholder_length, kimi.layout(4000, 3000).num_tokens);
  assert.equal(
    failure(() => getAdapter("qwen_vl", { patch_size: "16" })),
    "invalid_config $.patch_size",
  );
  assert.equal(
    promptText("kimi_k25", 1),
    "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>",
  );
});

test("image parts are found in every spelling", () => {
  const parts = [
    { type: "text", text: "x" },
    { type: "image_url", image_url: { url: "data:" } },
    { image: "a" },
  ];
  const found = findImages([
    { role: "user", content: parts },
    { role: "assistant", content: "y" },
  ]);
  assert.deepEqual(
    found.map(({ partIndex, source }) => [partIndex, source]),
    [
      [1, "data:"],
      [2, "a"],
    ],
  );
});

test("an image moves into the store or out of it where a dialect carries either", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const stored = formatRef({
    ...parseRef(buildFeatures(data, { runId: "exp42" }).kwargs_data.image[0]),
    mm_hash: sha256Hex(bytes),
    raw_image_id: "kept.png",
  });
  const store = { put: () => "new.png", get: () => bytes, url: (name) => `file:///${name}` };
  const inline = convertRef(stored, { store, storage: "inline" });
  assert.equal(parseRef(inline).raw_uri, `data:image/png;base64,${encodeBase64(bytes)}`);
  assert.equal(parseRef(convertRef(inline, { store, storage: "offload" })).raw_image_id, "new.png");
  assert.equal(convertRef(stored, { store }), stored);
  assert.equal(
    failure(() => convertRef(stored, { to: "v2", store, storage: "inline" })),
    "unsupported_option $",
  );
});
