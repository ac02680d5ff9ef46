/**
 * Image parts of chat messages.
 *
 * Source: spec/README.md, section "Messages".
 */
import { get, isArray, isObject, JsonFloat } from "./codec/values.js";
import { MMRawError } from "./errors.js";

const TYPES: readonly unknown[] = ["image", "image_url"];

function field(part: unknown, name: string): unknown {
  return isObject(part) ? (get(part, name) ?? null) : null;
}

/** Whether a content part is an image: by its type, or by a truthy source where it has none. */
export function isImagePart(part: unknown): boolean {
  const kind = field(part, "type");
  if (kind !== null) return TYPES.includes(kind);
  return isSet(field(part, "image")) || isSet(field(part, "image_url"));
}

function isSet(value: unknown): boolean {
  if (value instanceof JsonFloat) return value.value !== 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return typeof value === "object" ? value !== null : Boolean(value);
}

/**
 * The source of an image part, or null where there is none: `image`, else `image_url` (text, or its
 * `url`), else `url`, else `path`; null counts as absent.
 */
export function imageSource(part: unknown): unknown {
  if (!isImagePart(part)) return null;
  for (const name of ["image", "image_url", "url", "path"]) {
    const value = field(part, name);
    const source = name === "image_url" && isObject(value) ? field(value, "url") : value;
    if (source !== null) return source;
  }
  return null;
}

/** An image part: where it stands, the part itself, and its source (null where it has none). */
export interface MessageImage {
  readonly messageIndex: number;
  readonly partIndex: number;
  readonly part: unknown;
  readonly source: unknown;
}

/** Every image part of a conversation, in order. */
export function findImages(messages: unknown): MessageImage[] {
  if (!isArray(messages)) throw new MMRawError("invalid_type", "messages are a list");
  return messages.flatMap((message, messageIndex) => {
    const content = field(message, "content");
    if (!isArray(content)) return [];
    return content.flatMap((part, partIndex) =>
      isImagePart(part) ? [{ messageIndex, partIndex, part, source: imageSource(part) }] : [],
    );
  });
}
