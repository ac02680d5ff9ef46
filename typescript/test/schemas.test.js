/** The generated checks against ajv, an independent validator, on documents that are made by the schemas. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Ajv2020 } from "ajv/dist/2020.js";

import { Faults } from "../dist/codec/check.js";
import * as checks from "../dist/generated/checks.js";
import { HTTP_STATUS } from "../dist/generated/errors.js";
import { buildFeatures, DEFAULT_LIMITS, toPlain } from "../dist/index.js";
import { data } from "./samples.js";
import { readVectors } from "./vectors.js";

const SPEC = fileURLToPath(new URL("../../spec/", import.meta.url));
const CASES = 400;

const schemas = readdirSync(SPEC, { recursive: true })
  .filter((name) => name.endsWith(".schema.json") && !name.startsWith("bundled"))
  .map((name) => JSON.parse(readFileSync(join(SPEC, name), "utf8")));
const read = (name) => JSON.parse(readFileSync(join(SPEC, name), "utf8"));
const annotations = read("meta/annotations.json");
/** A keyword that ajv does not know is an error, and so is one beside another type than its own. */
const STRICT = { strict: true, allowUnionTypes: true };
const ajv = new Ajv2020(STRICT);
// The vocabulary's keywords are known, and their values are checked.
for (const [keyword, value] of Object.entries(annotations.properties)) {
  ajv.addKeyword({ keyword, metaSchema: { ...value, $defs: annotations.$defs } });
}
ajv.addSchema(schemas);
const definitions = schemas.flatMap(({ $id, $defs }) =>
  Object.entries($defs).map(([name, node]) => ({ name, node, id: `${$id}#/$defs/${name}` })),
);

/** Fields of refs and envelopes that vectors name, as seeds beside the schemas' own examples. */
const recorded = [...readVectors()].flatMap(({ result }) =>
  [result?.fields, result?.item, result?.features].filter(Boolean).map(toPlain),
);

/** Numbers that look random and are the same in each run. */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const VALUES = [
  null,
  true,
  0,
  1,
  2,
  -1,
  0.5,
  "",
  "a",
  "run_",
  "run_run_x",
  "..",
  "a.png",
  "con.png",
  "f".repeat(16),
  "image",
  "qwen_vl",
  "kimi_k25",
  "other",
  "raw_image",
  [],
  [[1, 2, 2]],
  [[0, 2, 2]],
  [[1, 2]],
  {},
  { grid_thws: [[1, 2, 2]] },
  { image_grid_thw: [[1, 2, 2]] },
  { image_grid_thw: [[1, 2, 2]], x: 1 },
  "data:image/png;base64,QQ==",
  "data:image/png;base64,QQ=",
  "data:image/png;base64,QR==",
  "file:///a.png",
  "file:///tmp/CON.png",
  "file://host/a.png",
  "http://a/b",
  { pixel_values: 1 },
  [{ x: { image_embeds: null } }],
];
const KEYS = [
  "payload",
  "family",
  "raw_uri",
  "raw_image_id",
  "run_id",
  "version",
  "x",
  "__proto_",
  "num_media_tokens",
  "offset",
  "pixel_values",
  "mm_metadata",
];

/** A copy with one value, key or row changed, anywhere in it. */
function changed(document, roll) {
  const copy = structuredClone(document);
  const places = [];
  const visit = (item) => {
    if (item === null || typeof item !== "object") return;
    places.push(item);
    Object.values(item).forEach(visit);
  };
  visit(copy);
  if (places.length === 0) return VALUES[roll(VALUES.length)];
  const place = places[roll(places.length)];
  const keys = Object.keys(place);
  const value = structuredClone(VALUES[roll(VALUES.length)]);
  const kind = roll(4);
  if (kind === 0 && Array.isArray(place)) place.push(value);
  else if (kind === 0 || keys.length === 0) place[KEYS[roll(KEYS.length)]] = value;
  else if (kind === 1 && Array.isArray(place)) place.pop();
  else if (kind === 1) delete place[keys[roll(keys.length)]];
  else place[keys[roll(keys.length)]] = value;
  return copy;
}

/** The result of the generated check. */
function accepted({ name }, document) {
  const faults = new Faults();
  checks[`check${name}`](document, "$", DEFAULT_LIMITS, faults);
  return faults.found.length === 0;
}

for (const definition of definitions) {
  // ByFamily is a part of the checks of refs and envelopes, OpaqueValue of that of OpaquePayload.
  if (definition.name === "ByFamily" || definition.name === "OpaqueValue") continue;
  test(`${definition.name}: the generated check and ajv agree`, () => {
    const validate = ajv.getSchema(definition.id);
    const fits = recorded.filter((document) => validate(document)).slice(0, 50);
    const seeds = [...(definition.node.examples ?? []), ...fits];
    if (seeds.length === 0) seeds.push(2, [1, 2, 4], [0.5, 0.5, 0.5]);
    const roll = dice(definition.name.length);
    const verdicts = { true: 0, false: 0 };
    for (let index = 0; index < CASES; index++) {
      let document = seeds[index % seeds.length];
      for (let times = index < seeds.length ? 0 : 1 + roll(2); times > 0; times--) {
        document = changed(document, roll);
      }
      const wanted = validate(document);
      verdicts[wanted]++;
      assert.equal(accepted(definition, document), wanted, JSON.stringify(document));
    }
    assert.ok(verdicts.true > 0 && verdicts.false > 0, JSON.stringify(verdicts));
  });
}

for (const { $id, $ref } of schemas.filter((schema) => "$ref" in schema)) {
  const name = $id.replace("urn:mmraw:", "").replace(":", "-");
  test(`the bundle ${name} alone gives the verdict of the schemas`, async () => {
    const path = `mmraw-protocol/schemas/${name}.schema.json`;
    const bundle = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve(path)), "utf8"));
    assert.notEqual(bundle.$id, $id);
    const alone = new Ajv2020(STRICT).compile(bundle);
    const together = ajv.getSchema($id);
    const fits = recorded.filter((document) => together(document)).slice(0, 50);
    const seeds = [...(bundle.$defs[$ref.split("/").at(-1)].examples ?? []), ...fits];
    const roll = dice(name.length);
    const verdicts = { true: 0, false: 0 };
    for (let index = 0; index < CASES; index++) {
      let document = seeds[index % seeds.length];
      for (let times = index < seeds.length ? 0 : 1 + roll(2); times > 0; times--) {
        document = changed(document, roll);
      }
      const wanted = together(document);
      verdicts[wanted]++;
      assert.equal(alone(document), wanted, JSON.stringify(document));
    }
    assert.ok(verdicts.true > 0 && verdicts.false > 0, JSON.stringify(verdicts));
  });
}

test("a keyword that no vocabulary describes, or with a wrong value, is an error", () => {
  assert.throws(() => ajv.compile({ type: "string", "x-mmraw-hnt": "a text" }), /unknown keyword/);
  assert.throws(() => ajv.compile({ type: "string", "x-mmraw-hint": 1 }), /"x-mmraw-hint" value is invalid/);
});

test("the conformance program is asked and answers by the schemas of its messages", () => {
  const [isRequest, isAnswer] = ["request", "answer"].map((side) => messageCheck(`conformance-${side}-v1.json`));
  const vectors = [...readVectors()].map(toPlain);
  const chosen = vectors.filter(({ op, error }, index) => {
    return index === vectors.findIndex((other) => other.op === op && !other.error === !error);
  });
  const requests = [
    { cmd: "start", version: 1 },
    ...chosen.map(({ op, input }, seq) => ({ cmd: "run", seq, op, input })),
    { cmd: "run", seq: "s", op: "unheard_of", input: {} },
  ];
  for (const request of requests) assert.ok(isRequest(request), JSON.stringify(request));
  const lines = [...requests.map((request) => JSON.stringify(request)), "no request", '{"cmd":"stop"}'];
  const program = fileURLToPath(new URL("../dist/conformance.js", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "mmraw-"));
  const options = { input: lines.join("\n") + "\n", cwd: folder };
  const output = execFileSync(process.execPath, [program], options);
  rmSync(folder, { recursive: true });
  const answers = output.toString().trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(answers.length, requests.length + 1);
  for (const answer of answers) assert.ok(isAnswer(answer), JSON.stringify(answer));
});

/** The validator of a message, which may refer to the schemas above. */
function messageCheck(name) {
  const message = read(`messages/${name}`);
  return ajv.getSchema(message.$id) ?? ajv.compile(message);
}

test("features and URLs that the package writes are those of a generate request", () => {
  const isRequest = messageCheck("generate-request-v1.json");
  const features = JSON.parse(JSON.stringify(buildFeatures(data, { runId: "exp42" })));
  const url = features.kwargs_data.image[0];
  const content_parts = [{ type: "image_url", url }];
  for (const images of [{ features }, { content_parts }, {}]) {
    assert.ok(isRequest({ token_ids: [1], ...images }), JSON.stringify(isRequest.errors));
    assert.ok(!isRequest(images));
  }
  assert.ok(!isRequest({ token_ids: [1], features: { ...features, mm_hashes: undefined } }));
});

test("every error code and its status fit the body of a refusal", () => {
  const isRefusal = messageCheck("error-body-v1.json");
  for (const [code, status] of Object.entries(HTTP_STATUS)) {
    const error = { code: status, message: `${code}: expected a ref`, param: null, type: "any" };
    assert.ok(isRefusal({ error }), code);
    const mmraw = { code, index: 0, modality: "image", path: "$" };
    assert.ok(isRefusal({ error: { ...error, mmraw } }), code);
    assert.ok(!isRefusal({ error: { ...error, code } }), code);
  }
});

for (const name of readdirSync(join(SPEC, "messages"))) {
  test(`${name} compiles strictly`, () => {
    assert.equal(typeof messageCheck(name), "function");
  });
}
