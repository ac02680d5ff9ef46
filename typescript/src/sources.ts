/** The sources that a ref or an envelope names. */
import { parseFileLabel } from "./codec/datauri.js";
import { MMRawError } from "./errors.js";

/** Source fields of a ref or an envelope. */
export interface Sourced {
  readonly raw_image_id: string | null;
  readonly raw_uri: string | null;
}

/** True if the ref or envelope carries the image's bytes. */
export function isInline(value: Sourced): boolean {
  return value.raw_uri !== null && value.raw_uri.startsWith("data:");
}

/** The name to look up in a store: raw_image_id, else the last segment of a file: URL. */
export function storedName(value: Sourced): string | null {
  if (value.raw_image_id !== null || value.raw_uri === null || isInline(value)) {
    return value.raw_image_id;
  }
  return parseFileLabel(value.raw_uri);
}

/**
 * A file: label ends in the raw_image_id next to it.
 *
 * @param named Whether the dialect has a raw_image_id; else the label alone names the image.
 */
export function checkLabelNames({ raw_image_id, raw_uri }: Sourced, named: boolean): void {
  if (!named || raw_uri === null || !raw_uri.startsWith("file:")) return;
  if (parseFileLabel(raw_uri) !== raw_image_id) {
    const reason = "expected a file: label with a raw_image_id equal to its last segment";
    throw new MMRawError("invalid_raw_uri", reason, "$.raw_uri");
  }
}
