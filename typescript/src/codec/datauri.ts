/** data: images and file: labels. */
import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import { decodeBase64 } from "./base64.js";

const HEAD = /^data:image\/(png|jpeg|jpg|webp|gif);base64,/;
const LABEL = /^file:\/\/(?:localhost)?(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*\/([A-Za-z0-9_.-]+)$/;
const LONGEST_LABEL = 4096;

/** A parsed data: image. */
export interface DataUri {
  readonly mediaType: string;
  readonly data: Uint8Array;
}

/** The bytes of `data:image/(png|jpeg|jpg|webp|gif);base64,` and strict base64. */
export function parseDataUri(
  text: unknown,
  limits: Limits = DEFAULT_LIMITS,
  path = "$.raw_uri",
): DataUri {
  checkString(text, path);
  const head = HEAD.exec(text);
  if (head === null) {
    const reason = "expected data:image/(png|jpeg|jpg|webp|gif);base64,... in lower case";
    throw new MMRawError("invalid_raw_uri", reason, path);
  }
  const size = text.length - head[0].length;
  if (size === 0) throw new MMRawError("empty_source", "expected bytes in the data: URL, got none", path);
  const tooLarge = (): MMRawError => {
    const reason = `expected an inline image of at most ${limits.inline_image_bytes} bytes, got more`;
    return new MMRawError("limit_exceeded", reason, path);
  };
  // The length gives the size before decoding; padding hides at most two bytes.
  if (Math.floor(size / 4) * 3 - 2 > limits.inline_image_bytes) throw tooLarge();
  const data = decodeBase64(text, path, head[0].length);
  if (data.length > limits.inline_image_bytes) throw tooLarge();
  return { mediaType: `image/${head[1] ?? ""}`, data };
}

function checkString(value: unknown, path: string): asserts value is string {
  if (typeof value === "string") return;
  throw new MMRawError("invalid_raw_uri", "expected a data: or file: URL, a string", path);
}

/** The last path segment of a file: label (its raw_image_id). The path is never opened. */
export function parseFileLabel(text: unknown, path = "$.raw_uri"): string {
  checkString(text, path);
  const match = text.length <= LONGEST_LABEL ? LABEL.exec(text) : null;
  if (match === null || match[1] === undefined) {
    const reason = "expected a local file: URL that ends in the stored image's name";
    throw new MMRawError("invalid_raw_uri", reason, path);
  }
  return match[1];
}
