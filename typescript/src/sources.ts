/** Where a ref or an envelope says that its image is. */
import { parseDataUri, parseFileLabel } from "./codec/datauri.js";
import { MMRawError } from "./errors.js";
import type { Limits } from "./generated/limits.js";
import { checkRawImageId } from "./names.js";

/** Source fields of a ref or an envelope. */
export interface Sourced {
  readonly raw_image_id: string | null;
  readonly raw_uri: string | null;
}

/** Whether the image's bytes stand in the ref or envelope itself. */
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
 * At least one source, each well-formed; a file: label agrees with raw_image_id.
 *
 * @param alone Allows a file: URL without raw_image_id (dialect unversioned-uri).
 */
export function checkSources(value: Sourced, limits: Limits, alone: boolean): void {
  const { raw_image_id, raw_uri } = value;
  if (raw_image_id !== null) checkRawImageId(raw_image_id, limits);
  if (raw_uri === null) {
    if (raw_image_id !== null) return;
    throw new MMRawError("missing_source", "neither raw_image_id nor raw_uri is given");
  }
  if (raw_uri.startsWith("data:")) {
    parseDataUri(raw_uri, limits);
    return;
  }
  const name = parseFileLabel(raw_uri);
  checkRawImageId(name, limits, "$.raw_uri");
  if (!alone && name !== raw_image_id) {
    const reason = "a file: label must stand beside a raw_image_id equal to its last segment";
    throw new MMRawError("invalid_raw_uri", reason, "$.raw_uri");
  }
}
