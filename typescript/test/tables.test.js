/** The library takes its facts on dialects and families from the generated tables. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  DEFAULT_DIALECT,
  DIALECTS,
  FAMILIES,
  formatRef,
  getAdapter,
  layoutFingerprint,
  parseRef,
  presets,
  promptText,
  WRITABLE,
} from "../dist/index.js";
import { failure } from "./failure.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SPEC = join(ROOT, "spec/families");

/** Files of the package and of the inspector that people write. */
function handWritten() {
  const found = [];
  for (const folder of ["typescript/src", "docs/inspector"]) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true })) {
      if (name.endsWith(".ts") && !name.startsWith("generated")) found.push(join(folder, name));
    }
  }
  return found;
}

function naming(pattern) {
  return handWritten().filter((path) => pattern.test(readFileSync(join(ROOT, path), "utf8")));
}

test("every family of spec/ has its module, and nothing else names a family", () => {
  const folders = readdirSync(SPEC, { withFileTypes: true }).filter((one) => one.isDirectory());
  const names = folders.map(({ name }) => name);
  assert.deepEqual([...FAMILIES].sort(), names.sort());
  for (const name of names) {
    const schemas = ["layout", "payload"].map((kind) =>
      JSON.parse(readFileSync(join(SPEC, name, `${kind}.schema.json`), "utf8")),
    );
    const types = schemas.map(({ $ref }) => basename($ref));
    const words = [name, ...types].join("|");
    const module = `typescript/src/families/${name}.ts`;
    assert.deepEqual(naming(new RegExp(words)), [module], words);
  }
});

test("nothing names a dialect that is written: the table does", () => {
  const words = [...WRITABLE].map((name) => `\\b${name}\\b`).join("|");
  // A sample text, as people paste them.
  assert.deepEqual(naming(new RegExp(words)), [join("docs/inspector", "example.ts")]);
  assert.equal(WRITABLE[0], DEFAULT_DIALECT);
  assert.deepEqual(
    [...WRITABLE].sort(),
    Object.keys(DIALECTS).filter((name) => DIALECTS[name].write).sort(),
  );
});

test("hand-written files stay short", () => {
  for (const path of handWritten()) {
    const lines = readFileSync(join(ROOT, path), "utf8").split("\n").length;
    assert.ok(lines < 400, `${relative(ROOT, path)} has ${lines} lines`);
  }
  assert.ok(existsSync(SPEC));
});

const ADAPTER = getAdapter(FAMILIES[0]);
const REF = {
  dialect: DEFAULT_DIALECT,
  family: ADAPTER.family,
  fingerprint: ADAPTER.fingerprint(),
  mm_hash: "0".repeat(32),
  modality: ADAPTER.featureModality,
  payload: ADAPTER.layout(64, 64).payload,
  raw_image_id: "a.png",
  raw_uri: null,
  run_id: "r",
};

for (const dialect of WRITABLE) {
  test(`${dialect} carries what its table says, and names what it cannot carry`, () => {
    const carried = DIALECTS[dialect].fields.map(([, attribute]) => attribute);
    const text = formatRef(REF, dialect);
    assert.ok(text.startsWith(DIALECTS[dialect].prefix));
    assert.deepEqual(JSON.parse(JSON.stringify(parseRef(text))), { ...REF, dialect });
    const labelled = { ...REF, raw_uri: "file:///a.png" };
    const expected = carried.includes("raw_uri") ? null : "not_convertible $.raw_uri";
    assert.equal(
      failure(() => formatRef(labelled, dialect)),
      expected,
    );
  });
}

test("a dialect that is not written is for conversions", () => {
  for (const dialect of Object.keys(DIALECTS).filter((name) => !DIALECTS[name].write)) {
    assert.equal(
      failure(() => formatRef(REF, dialect)),
      "invalid_dialect $",
    );
  }
});

for (const family of FAMILIES) {
  const facts = JSON.parse(readFileSync(join(SPEC, family, "family.json"), "utf8"));
  test(`${family} is what its family.json says`, () => {
    const adapter = getAdapter(family);
    const { before, token, after, conventions } = facts.placeholder;
    assert.equal(adapter.featureModality, facts.feature_modality);
    assert.equal(promptText(family, 2), before + token + token + after);
    assert.deepEqual(presets(family), Object.keys(facts.lines));
    for (const [name, { parameters = {} }] of Object.entries(facts.lines)) {
      const found = getAdapter(family, name);
      assert.equal(found.fingerprint(), getAdapter(family, parameters).fingerprint());
      assert.deepEqual(found.parameters, { ...adapter.parameters, ...parameters });
    }
    for (const placeholder of conventions) getAdapter(family, undefined, { placeholder });
    assert.equal(
      failure(() => getAdapter(family, undefined, { placeholder: "other" })),
      "unsupported_option $",
    );
  });
}

test("an absent parameter of a fingerprint is reported before a number that none can have", () => {
  const far = { do_resize: 2n ** 64n };
  assert.equal(failure(() => layoutFingerprint("qwen_vl", far, "v1")), "missing_field $.values");
  assert.equal(failure(() => layoutFingerprint("qwen_vl", far)), "invalid_value $");
});
