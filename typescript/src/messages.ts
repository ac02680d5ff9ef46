/**
 * Image parts of chat messages.
 *
 * Source: spec/README.md, section "Messages".
 */
import { get, isArray, isObject, JsonFloat } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import {
  MEDIA_NAMES,
  MEDIA_PARTS,
  MEDIA_TYPES,
  MEDIA_WITHIN,
  PARTS,
} from "./generated/modalities.js";
import { unsupported } from "./modality.js";

const TYPES: readonly unknown[] = ["image", "image_url"];

function field(part: unknown, name: string): unknown {
  return isObject(part) ? (get(part, name) ?? null) : null;
}

/**
 * Whether a content part is an image: by its type, or by a truthy source where it has none.
 *
 * @throws MMRawError modality_unsupported with `path`: the part is a video or audio.
 */
export function isImagePart(part: unknown, path = "$"): boolean {
  const kind = field(part, "type");
  const modality = refusedModality(part, kind);
  if (modality !== null) throw unsupported(modality, path);
  if (kind !== null) return TYPES.includes(kind);
  return isSet(field(part, "image")) || isSet(field(part, "image_url"));
}

/** Video or audio, where a part is that: by its type, its keys, or its media type. */
function refusedModality(part: unknown, kind: unknown): string | null {
  if (kind === null) {
    for (const [name, modality] of PARTS) if (isSet(field(part, name))) return modality;
  } else if (typeof kind !== "string" || !MEDIA_PARTS.includes(kind)) {
    return PARTS.get(kind as string) ?? null;
  }
  for (const holder of [part, ...MEDIA_WITHIN.map((name) => field(part, name))]) {
    for (const name of MEDIA_NAMES) {
      const declared = field(holder, name);
      if (typeof declared !== "string") continue;
      for (const [start, modality] of MEDIA_TYPES) {
        if (declared.slice(0, start.length).toLowerCase() === start) return modality;
      }
    }
  }
  return null;
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

/**
 * Every image part of a conversation, in order.
 *
 * @throws MMRawError modality_unsupported with the path of a part that is a video or audio.
 */
export function findImages(messages: unknown): MessageImage[] {
  if (!isArray(messages)) throw new MMRawError("invalid_type", "messages are a list");
  return messages.flatMap((message, messageIndex) => {
    const content = field(message, "content");
    if (!isArray(content)) return [];
    return content.flatMap((part, partIndex) =>
      isImagePart(part, `$[${messageIndex}].content[${partIndex}]`)
        ? [{ messageIndex, partIndex, part, source: imageSource(part) }]
        : [],
    );
  });
}
