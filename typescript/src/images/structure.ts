/** Facts from the first bytes, and the result of every format's walk. */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import { spells } from "./bytes.js";

export type Format = "png" | "jpeg" | "webp" | "gif";

/** Size of the picture and number of its frames. */
export interface Size {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
}

/** The format by the first bytes; a file's name and media type are never asked. */
export function formatOf(data: Uint8Array): Format | null {
  if (spells(data, 0, "\x89PNG\r\n\x1a\n")) return "png";
  if (spells(data, 0, "\xff\xd8\xff")) return "jpeg";
  if (spells(data, 0, "GIF87a") || spells(data, 0, "GIF89a")) return "gif";
  return spells(data, 0, "RIFF") && spells(data, 8, "WEBP") ? "webp" : null;
}

/** First bytes of formats that are rejected by name rather than as broken. */
const OTHER_FORMATS = [
  "BM",
  "II*\x00",
  "MM\x00*",
  "\x00\x00\x01\x00",
  "%PDF",
  "%!PS",
  "icns",
  "\x00\x00\x00\x0cjP  ",
  "<svg",
  "<?xml",
  "SIMPLE  =",
];

/** Why bytes without a readable header are refused. */
export function unreadable(data: Uint8Array): MMRawError {
  const other =
    OTHER_FORMATS.some((start) => spells(data, 0, start)) ||
    spells(data, 4, "ftypavif") ||
    spells(data, 4, "ftypheic");
  if (other) return new MMRawError("unsupported_format", "expected PNG, JPEG, WebP or GIF, got another image format");
  return new MMRawError("image_undecodable", "the bytes have no readable image header");
}

export function broken(reason: string): MMRawError {
  return new MMRawError("image_undecodable", reason);
}

export function tooManyParts(limits: Limits): MMRawError {
  const reason = `expected at most ${limits.image_parts} parts other than picture data, got more`;
  return new MMRawError("limit_exceeded", reason);
}

/** Both sides and their product, checked against the limits. */
export function checkSize(width: number, height: number, limits: Limits): void {
  if (width < 1 || height < 1) throw broken("the image has no pixels");
  if (Math.max(width, height) > limits.image_side) {
    throw new MMRawError("limit_exceeded", `expected sides of at most ${limits.image_side} pixels, got ${width} x ${height}`);
  }
  if (width * height > limits.image_pixels) {
    throw new MMRawError("limit_exceeded", `expected at most ${limits.image_pixels} pixels, got ${width} x ${height}`);
  }
}
