/**
 * The narrow rule of image parts, which stock code has; `findImages` knows all spellings.
 *
 * Source: spec/README.md, section "Messages".
 */
import { isObject } from "../codec/values.js";
import {
  MEDIA_NAMES,
  MEDIA_PARTS,
  MEDIA_TYPES,
  MEDIA_WITHIN,
  PARTS,
} from "../generated/modalities.js";
import { unsupported } from "../modality.js";
import { field, isSet } from "./places.js";

const TYPES: readonly unknown[] = ["image", "image_url"];

/**
 * True if a content part is an image: by its type, or by a truthy source where it has none.
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
export function refusedModality(part: unknown, kind: unknown): string | null {
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

/**
 * The source of an image part, or null if there is none: `image`, else `image_url` (text, or its
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
