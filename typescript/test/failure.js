import assert from "node:assert/strict";

import { MMRawError } from "../dist/index.js";

/** Code and path of what `work` throws; null where it throws nothing. */
export function failure(work) {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof MMRawError, String(error));
    return `${error.code} ${error.path}`;
  }
  return null;
}
