/** The bytes of a message's image, independent of its declared type. */
import { parseDataUri } from "../codec/datauri.js";
import { decodeDataUrl, decodeText } from "../codec/encoded.js";
import { sha256Hex } from "../codec/sha256.js";
import type { AssetStore } from "../convert.js";
import { MMRawError, within } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import { checkModality } from "../modality.js";
import { isRef, parseRef } from "../refs.js";
import { isInline, storedName } from "../sources.js";
import { isBase64Image } from "./looks.js";
import { isUrl } from "./places.js";
import type { MessageImage } from "./reader.js";

/** Rejects a source that no reader of this project takes, by its form alone. */
export function checkSource({ source, path }: MessageImage): void {
  if (source === null) {
    throw new MMRawError("missing_source", "expected a part with an image source, got one without", path);
  }
  if (source === "") throw new MMRawError("empty_source", "expected an image source, got an empty text", path);
  if (typeof source === "string" && /^https?:/i.test(source)) {
    const reason = "expected the image or a URL of its store, got http, which is never fetched";
    throw new MMRawError("source_unsupported", reason, path);
  }
}

/** The name under which a store has the image that a URL of its own names; null for others. */
export function storedUrl(source: unknown, store: AssetStore | null): string | null {
  if (typeof source !== "string" || store === null || !source.slice(0, 16).includes("://")) return null;
  const name = source.slice(source.lastIndexOf("/") + 1);
  try {
    return store.url(name) === source ? name : null;
  } catch (error) {
    if (error instanceof MMRawError) return null;
    throw error;
  }
}

/**
 * The bytes of an image: bytes, base64, a data: URL, a ref, or a URL of the store's own.
 *
 * @throws MMRawError missing_source, source_unsupported (files are not opened, nothing is fetched),
 *   and what reading a ref or the store throws, with the part's path.
 */
export function imageBytes(
  image: MessageImage,
  store: AssetStore | null,
  limits: Limits,
): Uint8Array {
  checkSource(image);
  const { source, place, path } = image;
  if (source instanceof Uint8Array) return source;
  if (typeof source !== "string") {
    throw new MMRawError("source_unsupported", "expected bytes or a string", path);
  }
  if (isRef(source)) return within(path, () => bytesOfRef(source, store, limits));
  const name = storedUrl(source, store);
  if (name !== null && store !== null) return within(path, () => store.get(name));
  if (/^[ \t\r\n\f\v]*data:/i.test(source)) return decodeDataUrl(source, limits, path);
  if (isBase64Image(source) || (place.encoded && !isUrl(source))) {
    return decodeText(source, limits, path);
  }
  const reason = "expected bytes, a data: URL, base64, a ref or a URL of the store, got another text";
  throw new MMRawError("source_unsupported", reason, path);
}

function bytesOfRef(text: string, store: AssetStore | null, limits: Limits): Uint8Array {
  const ref = parseRef(text, limits);
  checkModality(ref.modality, "$.modality");
  const name = storedName(ref);
  if (!isInline(ref) && (name === null || store === null)) {
    throw new MMRawError("source_unavailable", "the ref names a stored image and no store was given", "$.raw_image_id");
  }
  const data = isInline(ref)
    ? parseDataUri(ref.raw_uri, limits).data
    : (store as AssetStore).get(name as string);
  if (ref.mm_hash !== null && !sha256Hex(data).startsWith(ref.mm_hash)) {
    throw new MMRawError("hash_mismatch", "the bytes are not those of the ref", "$.mm_hash");
  }
  return data;
}
