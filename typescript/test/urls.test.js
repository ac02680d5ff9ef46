import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { DEFAULT_LIMITS, parseContentParts, parseMmRefs, parseRef, urlKindOf } from "../dist/index.js";
import { failure } from "./failure.js";

const REF =
  "mmraw:v2:exp42:qwen_vl:c2f096345b0d84e6bd2ee38b815cc329:image:67f463a70fcc80e6b6c13d2563a723f2:" +
  "67f463a70fcc80e6.png:eyJpbWFnZV9ncmlkX3RodyI6W1sxLDE2LDE2XV19";
const part = (more = {}) => ({ type: "image_url", url: REF, ...more });

test("content parts hold refs beside other URLs", () => {
  const parts = [part({ uuid: parseRef(REF).mm_hash }), part({ url: "s3://bucket/a.png" })];
  for (const given of [parts, JSON.stringify(parts)]) {
    const [first, second] = parseContentParts(given);
    assert.equal(first.url_kind, "ref");
    assert.equal(first.ref.run_id, "exp42");
    assert.equal(first.uuid, first.ref.mm_hash);
    assert.deepEqual({ ...second }, {
      index: 1,
      url: "s3://bucket/a.png",
      url_kind: "store",
      ref: null,
      uuid: null,
    });
  }
});

test("content parts are refused at the part that is wrong", () => {
  const refusals = [
    [[part(), part({ uuid: "0".repeat(32) })], "hash_mismatch $[1].uuid"],
    [[part(), { type: "text", text: "x" }], "invalid_value $[1].type"],
    [[part(), { type: "video_url", url: "x" }], "modality_unsupported $[1]"],
    [[part(), null], "missing_slot $[1]"],
    [[part({ url: REF.slice(0, -3) })], "invalid_base64 $[0].url.payload"],
  ];
  for (const [parts, said] of refusals) {
    assert.equal(
      failure(() => parseContentParts(parts)),
      said,
    );
  }
  const few = { ...DEFAULT_LIMITS, features_images: 1 };
  assert.equal(
    failure(() => parseContentParts([part(), part()], few)),
    "limit_exceeded $",
  );
});

test("mm_refs have two forms that say the same", () => {
  const rows = [
    [REF, 5, 64],
    ["data:image/png;base64,AAAA", 69, 4],
  ];
  const images = rows.map(([url, offset, length]) => ({ url, offset, length }));
  const found = parseMmRefs([rows]);
  assert.deepEqual(parseMmRefs({ images }), found);
  assert.deepEqual(parseMmRefs(JSON.stringify({ images })), found);
  assert.deepEqual(
    found.map((image) => [image.index, image.url_kind, image.offset, image.length]),
    [
      [0, "ref", 5, 64],
      [1, "data", 69, 4],
    ],
  );
  assert.equal(
    failure(() => parseMmRefs([rows.toReversed()])),
    "placeholder_invalid $[0][1]",
  );
});

test("mm_refs as MessagePack are read as strictly as JSON", () => {
  const file = new URL("../../spec/vectors/msgpack/mm_refs.json", import.meta.url);
  for (const row of JSON.parse(readFileSync(file, "utf8"))) {
    const data = new Uint8Array(Buffer.from(row.base64, "base64"));
    if (row.error === undefined) {
      assert.deepEqual(parseMmRefs(data), parseMmRefs(row.mm_refs), row.name);
    } else {
      assert.equal(failure(() => parseMmRefs(data)).split(" ")[0], row.error, row.name);
    }
  }
});

test("the scheme decides the kind of a URL", () => {
  assert.equal(urlKindOf("mmraw:v3:x"), "ref");
  assert.equal(urlKindOf("DATA:image/png;base64,AAAA"), "data");
  assert.equal(urlKindOf("constructor:x"), "other");
  assert.equal(urlKindOf("https://example.org/a.png"), "other");
});
