/** Run labels and names of stored images. */
import { enforce } from "./codec/check.js";
import { checkRawImageId as checkName, checkRunId } from "./generated/checks.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";

/** A run label with one leading `run_` removed. */
export function normalizeRunId(
  text: string,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.run_id",
): string {
  enforce(checkRunId, text, path, limits);
  return text.replace(/^run_/, "");
}

/** `text` if it is a safe file name for a stored image. */
export function checkRawImageId(
  text: string,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.raw_image_id",
): string {
  enforce(checkName, text, path, limits);
  return text;
}
