/**
 * Reads an image's header without decoding a pixel.
 *
 * Source: spec/README.md, section "Images".
 */
import { parseDataUri } from "../codec/datauri.js";
import { mmHashOf, sha256Hex } from "../codec/sha256.js";
import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import type { Adapter, Layout } from "../families/index.js";
import { readGif } from "./gif.js";
import { readJpeg } from "./jpeg.js";
import { readPng } from "./png.js";
import { checkSize, formatOf, unreadable } from "./structure.js";
import type { Format, Size } from "./structure.js";
import { readWebp } from "./webp.js";

export { formatOf };
export type { Format };

/** Size and kind of an image; EXIF orientation is not applied. */
export interface ImageHeader extends Size {
  readonly format: Format;
}

/** All that a renderer needs to know of one image; pixels were not decoded. */
export interface ImageDescription extends Layout {
  readonly width: number;
  readonly height: number;
  readonly format: Format;
  readonly sha256: string;
  readonly mm_hash: string;
}

const READERS: { readonly [F in Format]: (data: Uint8Array, limits: Limits) => Size } = {
  png: readPng,
  jpeg: readJpeg,
  webp: readWebp,
  gif: readGif,
};

/** The header of an encoded image; a file cut off after its header still has one. */
export function readHeader(data: Uint8Array, limits: Limits = DEFAULT_LIMITS): ImageHeader {
  if (data.length === 0) throw new MMRawError("empty_source", "expected an image, got no bytes");
  if (data.length > limits.inline_image_bytes) {
    const reason = `expected at most ${limits.inline_image_bytes} bytes, got ${data.length}`;
    throw new MMRawError("limit_exceeded", reason);
  }
  const format = formatOf(data);
  if (format === null) throw unreadable(data);
  const size = READERS[format](data, limits);
  checkSize(size.width, size.height, limits);
  return { ...size, format };
}

/** Size, hash and layout of an image, from its bytes or its data: URL. */
export function describeImage(
  source: Uint8Array | string,
  adapter: Adapter,
  limits: Limits = DEFAULT_LIMITS,
): ImageDescription {
  const data = typeof source === "string" ? parseDataUri(source, limits, "$").data : source;
  const { width, height, format, frames } = readHeader(data, limits);
  if (frames !== 1) throw new MMRawError("multiple_frames", "expected an image of one frame, got an animation");
  const sha256 = sha256Hex(data);
  const layout = adapter.layout(width, height, limits);
  if (layout.num_tokens === 0) {
    throw new MMRawError("layout_refused", "the image is so thin that it becomes no token");
  }
  return { width, height, format, sha256, mm_hash: mmHashOf(sha256), ...layout };
}
