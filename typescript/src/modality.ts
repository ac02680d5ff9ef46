/**
 * Video and audio where images are looked for: rejected by name, never skipped.
 *
 * Source: spec/modalities.json, spec/README.md, section "Modalities".
 */
import { get, isArray, isObject } from "./codec/values.js";
import { MMRawError } from "./errors.js";
import { UNSUPPORTED } from "./generated/modalities.js";

/** The error for a modality of spec/modalities.json. */
export function unsupported(modality: string, path: string): MMRawError {
  const reason = `${modality} is not supported, only images are; ${UNSUPPORTED.get(modality)}`;
  return new MMRawError("modality_unsupported", reason, path);
}

/** Refuses video and audio; any other name is left to the caller. */
export function checkModality(modality: unknown, path: string): void {
  if (typeof modality === "string" && UNSUPPORTED.has(modality)) throw unsupported(modality, path);
}

/** Refuses a body whose maps of these names list something under video or audio. */
export function checkMaps(body: unknown, names: readonly string[]): void {
  for (const name of names) {
    const map = isObject(body) ? get(body, name) : undefined;
    if (!isObject(map)) continue;
    for (const modality of UNSUPPORTED.keys()) {
      const rows = get(map, modality);
      if (isArray(rows) && rows.length > 0) throw unsupported(modality, `$.${name}.${modality}`);
    }
  }
}
