/**
 * Images of messages put into a store, taken back, and packed for features.
 *
 * Source: spec/README.md, section "Messages".
 */
import { encodeBase64 } from "../codec/base64.js";
import type { AssetStore } from "../convert.js";
import { MMRawError, within } from "../errors.js";
import { getAdapter } from "../families/index.js";
import type { Adapter, ConfigLike } from "../families/index.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import { declaresAlpha } from "../images/alpha.js";
import { describeImage, readHeader } from "../images/index.js";
import type { ImageDescription } from "../images/index.js";
import { orientationOf } from "../images/orientation.js";
import { makeItem, MODALITY } from "../items.js";
import type { RawMMItem } from "../items.js";
import { imageBytes, storedUrl } from "./opening.js";
import { put, valueAt, write } from "./places.js";
import { findImages } from "./reader.js";
import type { MessageImage, Skipped } from "./reader.js";

/** Options for reading and writing the images of messages. */
export interface MessageOptions {
  /** The store of images; its own URLs, and refs of stored images, are read through it. */
  readonly store?: AssetStore | null;
  readonly limits?: Limits;
  /** As for `findImages`. */
  readonly skipped?: Skipped | null;
}

/**
 * A note on a packed image: its alpha was dropped; it is not turned as its EXIF says; or its
 * EXIF is in compressed text, which nothing here reads.
 */
export type Note = "alpha_dropped" | "orientation_kept" | "orientation_unknown";

/** An image of a conversation, ready for features. */
export interface PackedImage {
  readonly where: MessageImage;
  readonly item: RawMMItem;
  readonly description: ImageDescription;
  readonly data: Uint8Array;
  readonly notes: readonly Note[];
}

/**
 * The messages with every image stored and its part rewritten to the store's URL. All images are
 * read and stored before anything is rewritten; `messages` is never changed.
 */
export function offloadMessages(
  messages: unknown,
  store: AssetStore,
  options: MessageOptions = {},
): unknown {
  return rewritten(messages, { ...options, store }, (image, data) => {
    const url = stored(image, data, store);
    const media_type = valueAt(image.part, image.place.media_type);
    const known = typeof media_type === "string" ? media_type : null;
    return replaced(image, image.place.url, { "{url}": url, "{media_type}": known });
  });
}

/** The messages with every image in them, as its spelling has it; `messages` is never changed. */
export function inlineMessages(messages: unknown, options: MessageOptions = {}): unknown {
  return rewritten(messages, options, (image, data) => {
    const media_type = mediaType(data);
    const text = encodeBase64(data);
    const bytes = image.source instanceof Uint8Array ? data : text;
    const url = `data:${media_type};base64,${text}`;
    return replaced(image, image.place.data, {
      "{url}": url,
      "{media_type}": media_type,
      "{base64}": text,
      "{bytes}": bytes,
      "{blob}": bytes,
    });
  });
}

/** Options for packing images. */
export interface PackOptions extends MessageOptions {
  /** The place of the bytes: in the store, or in the envelope. */
  readonly storage?: "offload" | "inline";
  /**
   * Of an image whose header declares alpha: reject it (nothing here decodes, so nothing tells
   * whether it is opaque), or drop its alpha.
   */
  readonly alpha?: "refuse" | "drop";
}

/**
 * An envelope for every image of a conversation, with its bytes in it or in the store. Pictures are
 * packed as they are stored, since nothing here turns one; `notes` of an image say that its EXIF or
 * XMP does. Layout parameters in a part are those of its image.
 */
export function packImages(
  messages: unknown,
  adapter: Adapter,
  options: PackOptions = {},
): PackedImage[] {
  const { storage = "offload", store = null, limits = DEFAULT_LIMITS, skipped = null } = options;
  if (storage === "offload" && store === null) {
    throw new MMRawError("store_invalid", "expected a store, which offloading needs; got none");
  }
  const read = findImages(messages, skipped).map((where) => {
    const data = imageBytes(where, store, limits);
    const own = ownAdapter(adapter, where);
    const description = within(where.path, () => describeImage(data, own, limits));
    const hasAlpha = declaresAlpha(data);
    if (options.alpha !== "drop" && hasAlpha) {
      const reason = "the image declares alpha, and nothing here decodes it; alpha 'drop' packs it";
      throw new MMRawError("image_transparent", reason, where.path);
    }
    const notes: Note[] = hasAlpha ? ["alpha_dropped"] : [];
    const orientation = orientationOf(data);
    if (orientation !== 1) {
      notes.push(orientation === null ? "orientation_unknown" : "orientation_kept");
    }
    return { where, data, description, own, notes };
  });
  return read.map(({ where, data, description, own, notes }) => {
    const inline = storage === "inline" || store === null;
    const url = inline
      ? `data:${mediaType(data)};base64,${encodeBase64(data)}`
      : stored(where, data, store);
    const item = makeItem(
      {
        family: adapter.family,
        layout_fingerprint: own.fingerprint(),
        payload: description.payload,
        // A label is only allowed where it is a local file: URL; an object store's is left out.
        raw_uri: /^(data|file):/.test(url) ? url : null,
        raw_image_id: inline ? null : url.slice(url.lastIndexOf("/") + 1),
        vllm_modality: adapter.featureModality === MODALITY ? null : adapter.featureModality,
      },
      limits,
    );
    return { where, item, description, data, notes };
  });
}

/** The adapter under the layout parameters that an image's part names. */
function ownAdapter(adapter: Adapter, { layoutParameters, path }: MessageImage): Adapter {
  const own = Object.keys(layoutParameters);
  for (const name of own) {
    if (!(name in adapter.parameters)) {
      const reason = `family ${adapter.family} has no layout parameter ${name}`;
      throw new MMRawError("unsupported_option", reason, path);
    }
  }
  if (own.length === 0) return adapter;
  const config = { ...adapter.parameters, ...layoutParameters } as ConfigLike;
  try {
    return getAdapter(adapter.family, config);
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    throw new MMRawError(error.code, error.message, path);
  }
}

function rewritten(
  messages: unknown,
  options: MessageOptions,
  made: (image: MessageImage, data: Uint8Array) => unknown,
): unknown {
  const { store = null, limits = DEFAULT_LIMITS, skipped = null } = options;
  const images = findImages(messages, skipped);
  const parts = images.map((image) => {
    const data = imageBytes(image, store, limits);
    within(image.path, () => readHeader(data, limits));
    return { steps: image.steps, part: made(image, data) };
  });
  return parts.reduce((held: unknown, { steps, part }) => put(held, steps, part), messages);
}

/** The URL of an image in the store; what is there already is not stored again. */
function stored(image: MessageImage, data: Uint8Array, store: AssetStore): string {
  const known = storedUrl(image.source, store) !== null;
  return known ? (image.source as string) : store.url(within(image.path, () => store.put(data)));
}

function replaced(
  { part, place }: MessageImage,
  template: MessageImage["place"]["url"],
  values: { readonly [name: string]: unknown },
): unknown {
  return place.at.length === 0 ? values["{url}"] : write(part, place, template, values);
}

function mediaType(data: Uint8Array): string {
  return `image/${readHeader(data).format}`;
}
