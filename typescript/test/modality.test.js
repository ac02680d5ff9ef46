/** Video and audio are rejected by name, with their place, wherever images are looked for. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { PARTS, UNSUPPORTED } from "../dist/generated/modalities.js";
import {
  buildFeatures,
  findImages,
  formatRef,
  isImagePart,
  parseFeatures,
  parseItem,
  parseRef,
} from "../dist/index.js";
import { inspectText } from "../dist/inspect.js";
import { failure } from "./failure.js";

const HASH = "0".repeat(32);
const RANGE = { offset: 0, length: 1 };
const ITEM = {
  family: "qwen_vl",
  kind: "prime_raw_mm_item",
  layout_fingerprint: "0".repeat(32),
  modality: "image",
  payload: { image_grid_thw: [[1, 2, 2]] },
  raw_image_id: "a.png",
  version: 1,
};
const body = (modality, text) => ({
  kwargs_data: { [modality]: [text] },
  mm_hashes: { [modality]: [HASH] },
  mm_placeholders: { [modality]: [RANGE] },
});
const data = (modality, item = ITEM) => ({
  mm_hashes: { [modality]: [HASH] },
  mm_placeholders: { [modality]: [RANGE] },
  mm_items: { [modality]: [item] },
});
const build = (given) => failure(() => buildFeatures(given, { runId: "x" }));

for (const [word, modality] of PARTS) {
  test(`a part ${word} is refused as ${modality}`, () => {
    for (const part of [{ type: word }, { [word]: "x" }]) {
      assert.throws(() => isImagePart(part), {
        code: "modality_unsupported",
        reason: `${modality} is not supported, only images are; ${UNSUPPORTED.get(modality)}`,
      });
    }
    assert.equal(isImagePart({ type: "image", image: "a.png", [word]: null }), true);
    assert.equal(isImagePart({ type: "text", text: "x", [word]: "x" }), false);
  });
}

test("a conversation is refused with the place of the part", () => {
  const messages = [
    { role: "user", content: [{ type: "image", image: "a.png" }] },
    { role: "user", content: [{ type: "text", text: "this?" }, { type: "video", video: "b.mp4" }] },
  ];
  assert.equal(failure(() => findImages(messages)), "modality_unsupported $[1].content[1]");
});

for (const modality of UNSUPPORTED.keys()) {
  test(`features and what a builder takes are refused under ${modality}`, () => {
    const place = `modality_unsupported $.kwargs_data.${modality}`;
    assert.equal(failure(() => parseFeatures(body(modality, null))), place);
    assert.equal(failure(() => parseFeatures(JSON.stringify(body(modality, "gAAA")))), place);
    assert.equal(build(data(modality)), `modality_unsupported $.mm_items.${modality}`);
    const place2 = "modality_unsupported $.mm_items.image[0].vllm_modality";
    assert.equal(build(data("image", { ...ITEM, vllm_modality: modality })), place2);
  });

  test(`an envelope of ${modality} is refused, and a ref is not`, () => {
    const item = { extra: 1, ...ITEM, modality };
    assert.equal(failure(() => parseItem(item)), "modality_unsupported $.modality");
    const { kwargs_data } = buildFeatures(data("image"), { runId: "x" });
    const ref = { ...parseRef(kwargs_data.image[0]), modality };
    assert.equal(parseRef(formatRef(ref)).modality, modality);
  });
}

test("the inspector names a video in a request", () => {
  const [found] = inspectText(JSON.stringify({ features: body("video", "gAAA") }));
  assert.deepEqual(found.faults.map((fault) => fault.code), ["modality_unsupported"]);
});

test("an empty list is no video", () => {
  const maps = { kwargs_data: { video: [] }, mm_hashes: { video: [] }, mm_placeholders: { video: [] } };
  assert.deepEqual(parseFeatures(maps).refs.video, []);
});
