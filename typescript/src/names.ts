/** Run labels and names of stored images. */
import { Faults } from "./codec/check.js";
import type { Check } from "./codec/check.js";
import { MMRawError } from "./errors.js";
import { checkRawImageId as checkNamePattern, checkRunId } from "./generated/checks.js";
import type { ErrorCode } from "./generated/errors.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";

/** A run label with one leading `run_` taken off. */
export function normalizeRunId(
  text: string,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.run_id",
): string {
  checkString(text, checkRunId, "invalid_run_id", "a plain run label", path);
  if (text.length > limits.name_chars) {
    const reason = `run_id is longer than ${limits.name_chars} characters`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
  return text.replace(/^run_/, "");
}

/** `text` if it is a safe file name for a stored image. */
export function checkRawImageId(
  text: string,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.raw_image_id",
): string {
  checkString(text, checkNamePattern, "invalid_raw_image_id", "a plain file name", path);
  if (text.length > limits.raw_image_id_bytes) {
    const reason = `raw_image_id is longer than ${limits.raw_image_id_bytes} bytes`;
    throw new MMRawError("limit_exceeded", reason, path);
  }
  return text;
}

function checkString(
  text: unknown,
  check: Check,
  code: ErrorCode,
  hint: string,
  path: string,
): void {
  if (typeof text !== "string") throw new MMRawError("invalid_type", "expected a string", path);
  const faults = new Faults();
  check(text, path, { code, hint: `${hint} of A-Z a-z 0-9 _ . - (see the schema)` }, faults);
  faults.raise();
}
