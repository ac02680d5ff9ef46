/**
 * Images as text where messages come in: data: URLs and base64 in all spellings.
 *
 * Images read here are encoded again before they go on; refs and envelopes have one spelling.
 */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import { MEDIA_TYPES } from "../generated/modalities.js";
import { unsupported } from "../modality.js";
import { decodeBase64 } from "./base64.js";

const LONGEST_HEAD = 1024;

/** The bytes of a data: URL of any media type but that of a video or audio, and blanks before it. */
export function decodeDataUrl(given: string, limits: Limits, path: string): Uint8Array {
  const text = given.trimStart();
  const comma = text.slice(0, LONGEST_HEAD).indexOf(",");
  const [kind = "", ...parameters] = text
    .slice("data:".length, Math.max(comma, 0))
    .toLowerCase()
    .split(";");
  if (comma < 0 || !parameters.some((one) => one.trim() === "base64")) {
    const what = comma < 0 ? "no comma after its head" : "no ;base64 before its comma";
    const reason = `expected a data: URL in base64, got one with ${what}`;
    throw new MMRawError("invalid_raw_uri", reason, path);
  }
  for (const [start, modality] of MEDIA_TYPES) {
    if (kind.trim().startsWith(start)) throw unsupported(modality, path);
  }
  return decodeText(text.slice(comma + 1), limits, path);
}

/** The bytes of base64 of either alphabet, with or without padding, blanks and line breaks. */
export function decodeText(text: string, limits: Limits, path: string): Uint8Array {
  const most = limits.inline_image_bytes;
  const tooLarge = (): MMRawError =>
    new MMRawError("limit_exceeded", `expected at most ${most} bytes, got more`, path);
  // Blanks, and the three characters of a percent escape, at most triple the length.
  if (text.length / 2 > Math.floor(most / 3) * 4 + 4) throw tooLarge();
  let body = text.includes("%") ? unescaped(text) : text;
  body = body.replace(/[ \t\r\n\f\v]/g, "").replace(/-/g, "+").replace(/_/g, "/");
  body = body.replace(/=+$/, "");
  body += "=".repeat((4 - (body.length % 4)) % 4);
  let data: Uint8Array | null = null;
  try {
    data = decodeBase64(body, path);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    throw new MMRawError(error.code, `expected an image in base64, got ${text.length} characters that are not base64 of either alphabet`, path);
  }
  if (data.length === 0) {
    throw new MMRawError("empty_source", "expected an image in base64, got no bytes", path);
  }
  if (data.length > most) throw tooLarge();
  return data;
}

function unescaped(text: string): string {
  return text.replace(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
