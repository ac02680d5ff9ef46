import assert from "node:assert/strict";
import { test } from "node:test";

import { write } from "../dist/codec/canonical.js";
import { openStore, readFile } from "../dist/conformance/folder.js";
import { OPERATIONS } from "../dist/conformance/operations.js";
import { readVectors } from "./vectors.js";

const MACHINE = { openStore, readFile };
const vectors = [...readVectors()];

function answer({ op, input }) {
  try {
    return { result: write(OPERATIONS[op](input, MACHINE)) };
  } catch (error) {
    if (error.code === undefined) throw error;
    return { error };
  }
}

for (const op of new Set(vectors.map((vector) => vector.op))) {
  const rows = vectors.filter((vector) => vector.op === op);
  const skip = op in OPERATIONS ? false : "no decoder of pixels here";
  test(`every vector of ${op} holds, its error code too`, { skip }, () => {
    for (const vector of rows) {
      const { result, error } = answer(vector);
      if (vector.error === undefined) {
        assert.equal(error?.message, undefined, vector.id);
        assert.equal(result, write(vector.result), vector.id);
      } else {
        assert.equal(error?.code, vector.error.code, vector.id);
        assert.match(error.reason, /^[\x20-\x7e]{1,200}$/, vector.id);
      }
    }
  });
}
