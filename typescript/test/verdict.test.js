import assert from "node:assert/strict";
import { test } from "node:test";

import { FAMILIES, formatRef, getAdapter, makeItem, itemToJson, mmHashOf, parseRef, sha256Hex } from "../dist/index.js";
import { inspectText } from "../dist/inspect.js";
import { verdictOf } from "../dist/verdict.js";

/** One pixel, as a data: URL with its hash. */
const PNG = (() => {
  const bytes = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
    "base64",
  );
  return { uri: `data:image/png;base64,${bytes.toString("base64")}`, mm_hash: mmHashOf(sha256Hex(bytes)) };
})();
const V2 =
  "mmraw:v2:exp42:qwen_vl:c2f096345b0d84e6bd2ee38b815cc329:image:67f463a70fcc80e6b6c13d2563a723f2:67f463a70fcc80e6.png:eyJpbWFnZV9ncmlkX3RodyI6W1sxLDE2LDE2XV19";
const STORED = parseRef(V2);
const { payload } = getAdapter(STORED.family).layout(1, 1);
const OTHER = getAdapter(STORED.family).layout(320, 200).payload;
const INLINE = { ...STORED, mm_hash: PNG.mm_hash, payload, raw_image_id: null, raw_uri: PNG.uri };

/** The states of the five checks, and the codes of those that contradict. */
function told(finding, options) {
  const { state, checks } = verdictOf(finding, options);
  assert.deepEqual(checks.map(({ name }) => name), ["ref", "hash", "grid", "run", "source"]);
  for (const { state: one, fault } of checks) assert.equal(fault !== null, one === "contradicts");
  return [state, ...checks.map((check) => check.fault?.code ?? check.state)];
}
const ofRef = (ref, options) => told(inspectText(formatRef(ref))[0], options);

test("an inline ref is checked against its own bytes", () => {
  assert.deepEqual(ofRef(INLINE), ["ok", "ok", "ok", "ok", "unchecked", "ok"]);
  const other = { ...INLINE, mm_hash: STORED.mm_hash };
  assert.deepEqual(ofRef(other), ["contradicts", "ok", "hash_mismatch", "ok", "unchecked", "ok"]);
  const grid = { ...INLINE, payload: OTHER };
  assert.deepEqual(ofRef(grid), ["contradicts", "ok", "ok", "grid_mismatch", "unchecked", "ok"]);
});

test("without bytes the hash is compared with the stored name, and nothing is called verified", () => {
  assert.deepEqual(ofRef(STORED), ["ok", "ok", "unchecked", "unchecked", "unchecked", "unchecked"]);
  const named = { ...STORED, raw_image_id: "0123456789abcdef.png" };
  assert.equal(ofRef(named)[2], "hash_mismatch");
  const longer = { ...STORED, raw_image_id: `${STORED.mm_hash}${"0".repeat(32)}.png` };
  assert.equal(ofRef(longer)[2], "unchecked");
  assert.equal(ofRef({ ...STORED, raw_image_id: "coffee.png" })[2], "unchecked");
});

test("the run is checked where one is expected", () => {
  assert.equal(ofRef(STORED, { runId: "exp42" })[4], "ok");
  assert.equal(ofRef(STORED, { runId: "run_exp42" })[4], "ok");
  assert.deepEqual(ofRef(STORED, { runId: "exp7" }).slice(0, 5), ["contradicts", "ok", "unchecked", "unchecked", "run_mismatch"]);
});

test("a placeholder must have the tokens of its grid", () => {
  const body = (length) => ({
    kwargs_data: { image: [V2, formatRef({ ...STORED, mm_hash: "0".repeat(32), raw_image_id: "a.png" })] },
    mm_hashes: { image: [STORED.mm_hash, "0".repeat(32)] },
    mm_placeholders: { image: [{ offset: 0, length: 64 }, { offset: 64, length }] },
  });
  const features = (length) => told(inspectText(JSON.stringify(body(length)))[0]);
  assert.deepEqual(features(64), ["ok", "ok", "unchecked", "unchecked", "unchecked", "unchecked"]);
  assert.equal(features(10)[3], "placeholder_mismatch", "the worst image decides");
  const list = (length) => told(inspectText(JSON.stringify({ mm_refs: [[[V2, 5, length]]] }))[0]);
  assert.equal(list(63)[3], "placeholder_mismatch");
  assert.equal(list(64)[3], "unchecked");
});

test("a family with several conventions takes one token for the image", () => {
  for (const family of FAMILIES) {
    const adapter = getAdapter(family);
    const layout = adapter.layout(320, 200);
    const ref = { ...STORED, family, fingerprint: adapter.fingerprint(), payload: layout.payload };
    for (const length of new Set([layout.placeholder_length, adapter.expandedSpan(layout.payload).length])) {
      const list = { mm_refs: [[[formatRef(ref), 5, length]]] };
      assert.equal(told(inspectText(JSON.stringify(list))[0])[3], "unchecked", `${family} ${length}`);
    }
  }
});

test("what is rejected is rejected, and the rest unchecked", () => {
  const [found] = inspectText(V2.slice(0, -3));
  assert.deepEqual(told(found), ["rejected", "invalid_base64", "unchecked", "unchecked", "unchecked", "unchecked"]);
});

test("a fingerprint of no published configuration leaves the grid unchecked", () => {
  assert.equal(ofRef({ ...INLINE, payload: OTHER, fingerprint: "0".repeat(32) })[3], "unchecked");
});

test("an envelope names neither hash nor run; its grid and bytes are checked", () => {
  const fields = { family: INLINE.family, layout_fingerprint: INLINE.fingerprint, raw_uri: INLINE.raw_uri };
  const text = (payload) => JSON.stringify(itemToJson(makeItem({ ...fields, payload })));
  assert.deepEqual(told(inspectText(text(INLINE.payload))[0]), ["ok", "ok", "unchecked", "ok", "unchecked", "ok"]);
  assert.equal(told(inspectText(text(OTHER))[0])[3], "grid_mismatch");
});
