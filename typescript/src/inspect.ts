/**
 * Explains the contents of a text for people: every field with its meaning, every fault at
 * its place. Works on whole requests and rollout lines: what is found at any depth is explained.
 */
import { decodeBase64Url } from "./codec/base64.js";
import { parseDataUri } from "./codec/datauri.js";
import { Faults } from "./codec/check.js";
import { parseJson } from "./codec/json.js";
import { mmHashOf, sha256Hex } from "./codec/sha256.js";
import { get, has, isArray, isObject, keysOf } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { readContentParts } from "./contentParts.js";
import type { ContentImage } from "./contentParts.js";
import { checkHash } from "./convert.js";
import { MMRawError } from "./errors.js";
import { getAdapter } from "./families/index.js";
import { readFeatures } from "./features.js";
import type { Features } from "./features.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { DEFINITION_TEXTS } from "./generated/texts.js";
import { namedList, partsOf, plainList } from "./imageLists.js";
import type { ListKind, PartFinding } from "./imageLists.js";
import { readHeader } from "./images/index.js";
import type { ImageHeader } from "./images/index.js";
import { itemWireOf, KIND, readItem } from "./items.js";
import type { RawMMItem } from "./items.js";
import { readMmRefs } from "./mmRefs.js";
import type { PlacedImage } from "./mmRefs.js";
import { dialectsOf, dialectWithin, isRef, readRef } from "./refs.js";
import type { RawMMRef } from "./refs.js";

export type { ListKind, PartFinding } from "./imageLists.js";
export { DEFINITION_TEXTS, ERROR_TEXTS } from "./generated/texts.js";

/** Faults reported of one thing; more of them say nothing new. */
const MOST_FAULTS = 50;
/** A field as it is there, and what it means. Unknown fields have no text. */
export interface FieldFinding {
  readonly name: string;
  readonly value: JsonValue;
  readonly title: string | null;
  readonly description: string | null;
  /** The expectation there. */
  readonly hint: string | null;
}

interface Common {
  /** Its path in the document; `$` is the whole. */
  readonly path: string;
  /** The value as it is there; the text of a ref. */
  readonly json: JsonValue;
  /** Its definition in spec/, for example `RefV3`; null if unknown. */
  readonly definition: string | null;
  readonly fields: readonly FieldFinding[];
  /** Why it is refused, paths seen from the thing itself; none where it is accepted. */
  readonly faults: readonly MMRawError[];
}

/** Images by their URLs: the verdict on the list, and on each image by itself. */
export interface ListFinding extends Common {
  readonly kind: ListKind;
  readonly value: readonly (ContentImage | PlacedImage)[] | null;
  readonly parts: readonly PartFinding[];
}

/** One thing of this protocol. Where it is refused, its value is null. */
export type Finding =
  | (Common & { readonly kind: "ref"; readonly text: string; readonly value: RawMMRef | null })
  | (Common & { readonly kind: "envelope"; readonly value: RawMMItem | null })
  | (Common & { readonly kind: "features"; readonly value: Features | null })
  | ListFinding
  | (Common & { readonly kind: "document"; readonly value: null });

/**
 * Everything of this protocol in a text: a bare ref, or a JSON document with refs, envelopes,
 * features, content parts and mm_refs at any depth. A text that is neither is one `document` with its fault.
 */
export function inspectText(text: string, limits: Limits = DEFAULT_LIMITS): Finding[] {
  const trimmed = text.trim();
  if (isRef(trimmed)) return [inspectRef(trimmed, "$", limits)];
  try {
    const document = parseJson(trimmed);
    return [...search(document, "$", limits, plainList(document, true))];
  } catch (error) {
    return [
      {
        kind: "document",
        path: "$",
        json: null,
        definition: null,
        fields: [],
        faults: [asFault(error)],
        value: null,
      },
    ];
  }
}

function* search(
  value: JsonValue,
  path: string,
  limits: Limits,
  list: ListKind | null,
): Generator<Finding> {
  if (list !== null) yield inspectList(list, value, path, limits);
  else if (isRef(value)) yield inspectRef(value, path, limits);
  else if (isArray(value)) {
    for (const [index, row] of value.entries()) {
      yield* search(row, `${path}[${index}]`, limits, plainList(row, false));
    }
  } else if (isObject(value)) {
    if (get(value, "kind") === KIND) yield inspectItem(value, path, limits);
    else if (has(value, "kwargs_data") && has(value, "mm_hashes")) {
      yield inspectFeatures(value, path, limits);
    } else {
      for (const key of keysOf(value)) {
        const child = value[key] as JsonValue;
        const kind = namedList(key, child) ?? plainList(child, false);
        yield* search(child, `${path}.${key}`, limits, kind);
      }
    }
  }
}

function asFault(error: unknown): MMRawError {
  if (error instanceof MMRawError) return error;
  throw error;
}

/** Returns the result of `read`, or null and the fault. */
function attempt<T>(
  read: (faults: Faults) => T | null,
): readonly [T | null, readonly MMRawError[]] {
  const faults = new Faults(MOST_FAULTS);
  try {
    const value = read(faults);
    return [faults.found.length > 0 ? null : value, faults.found];
  } catch (error) {
    return [null, [asFault(error), ...faults.found]];
  }
}

export function inspectRef(text: string, path = "$", limits: Limits = DEFAULT_LIMITS): Finding {
  const [value, faults] = attempt((noted) => readRef(text, limits, noted));
  const [definition, fields] = fieldsOfText(text);
  return {
    kind: "ref",
    path,
    json: text,
    text,
    definition,
    fields: explain(definition, fields),
    faults,
    value,
  };
}

export function inspectItem(
  item: JsonObject,
  path = "$",
  limits: Limits = DEFAULT_LIMITS,
): Finding {
  const [value, faults] = attempt((noted) => readItem(item, limits, "$", noted));
  const definition = itemWireOf(item).schema;
  const fields = explain(definition, item);
  return { kind: "envelope", path, json: item, definition, fields, faults, value };
}

export function inspectFeatures(
  body: JsonObject,
  path = "$",
  limits: Limits = DEFAULT_LIMITS,
): Finding {
  const [value, faults] = attempt((noted) => readFeatures(body, limits, noted));
  return {
    kind: "features",
    path,
    json: body,
    definition: "Features",
    fields: explain("Features", body),
    faults,
    value,
  };
}

export function inspectList(
  kind: ListKind,
  list: JsonValue,
  path = "$",
  limits: Limits = DEFAULT_LIMITS,
): Finding {
  const [value, whole] = attempt<ListFinding["value"]>((noted) =>
    kind === "content_parts"
      ? readContentParts(list, limits, noted)
      : readMmRefs(list, limits, noted),
  );
  const parts = partsOf(kind, list, limits);
  // The list stops at its first broken ref; each image has its own faults.
  const told = new Set<string>();
  const faults = [...whole, ...parts.flatMap((part) => part.faults)].filter((fault) => {
    const isNew = !told.has(fault.message) && told.size < MOST_FAULTS;
    told.add(fault.message);
    return isNew;
  });
  const array = isArray(list) ? "MmRefsArray" : "MmRefs";
  const definition = kind === "content_parts" ? "ContentParts" : array;
  const fields = isObject(list) ? explain(definition, list) : [];
  return { kind, path, json: list, definition, fields, faults, value, parts };
}

/** The fields of a ref as far as they can be made out, also of one that is refused. */
function fieldsOfText(text: string): readonly [string | null, JsonObject] {
  try {
    const candidates = dialectsOf(text);
    const [wire] = candidates;
    const body = text.slice(wire.prefix.length);
    if (wire.encoding === "segments") {
      const parts = body.split(":");
      const rows = wire.segments.map((name, index) => [name, partOf(name, parts[index] ?? "")]);
      return [wire.schema, Object.fromEntries(rows) as JsonObject];
    }
    const fields = parseJson(wire.encoding === "json" ? body : decodeBase64Url(body), {
      lenient: true,
    });
    return isObject(fields)
      ? [dialectWithin(fields, candidates).schema, fields]
      : [wire.schema, {}];
  } catch {
    return [null, {}];
  }
}

function partOf(name: string, text: string): JsonValue {
  if (name !== "payload") return text;
  try {
    return parseJson(decodeBase64Url(text), { lenient: true });
  } catch {
    return text;
  }
}

function explain(definition: string | null, fields: JsonObject): FieldFinding[] {
  const texts = definition === null ? undefined : DEFINITION_TEXTS[definition]?.fields;
  return keysOf(fields).map((name) => {
    const text = texts !== undefined && has(texts, name) ? texts[name] : undefined;
    const { title = null, description = null, hint = null } = text ?? {};
    return { name, value: fields[name] as JsonValue, title, description, hint };
  });
}

/** Facts about an inline image, and whether it is the one that mm_hash names. */
export interface InlineFacts {
  readonly data: Uint8Array;
  readonly sha256: string;
  readonly mm_hash: string;
  readonly header: ImageHeader | null;
  /** hash_mismatch, and what is wrong with the image's header. */
  readonly faults: readonly MMRawError[];
}

/** The facts of a ref's inline image; null if the ref carries none. */
export function inlineFacts(
  ref: Pick<RawMMRef, "raw_uri" | "mm_hash">,
  limits: Limits = DEFAULT_LIMITS,
): InlineFacts | null {
  if (ref.raw_uri === null || !ref.raw_uri.startsWith("data:")) return null;
  const { data } = parseDataUri(ref.raw_uri, limits);
  const [, mismatch] = attempt(() => checkHash(data, ref.mm_hash));
  const [header, unreadable] = attempt(() => readHeader(data, limits));
  const sha256 = sha256Hex(data);
  return { data, sha256, mm_hash: mmHashOf(sha256), header, faults: [...mismatch, ...unreadable] };
}

/** True if a ref's fingerprint is that of its family's published defaults; null of other families. */
export function hasDefaultLayout(ref: RawMMRef): boolean | null {
  try {
    return getAdapter(ref.family).fingerprint(ref.dialect) === ref.fingerprint;
  } catch (error) {
    return asFault(error).code === "unknown_family" ? null : false;
  }
}
