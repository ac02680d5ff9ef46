/** The operations of the conformance protocol, answered by this package's functions. */
import { parseDataUri } from "../codec/datauri.js";
import { sha256Hex } from "../codec/sha256.js";
import { get, has, isObject } from "../codec/values.js";
import type { JsonObject } from "../codec/values.js";
import { parseContentParts } from "../contentParts.js";
import { convertRef } from "../convert.js";
import type { Storage } from "../convert.js";
import type { AssetStore } from "../convert.js";
import { MMRawError } from "../errors.js";
import { buildFeatures, parseFeatures } from "../features.js";
import type { FeaturesBody, MultiModalData } from "../features.js";
import { getAdapter, layoutFingerprint, namedGrid } from "../families/index.js";
import type { Adapter, ConfigLike } from "../families/index.js";
import { fieldsOf, refFromFields, writeAny } from "../format.js";
import { describeImage } from "../images/index.js";
import type { ImageByUrl } from "../imageUrls.js";
import { itemToJson, parseItem } from "../items.js";
import { checkSource } from "../messages/opening.js";
import { imageSource, isImagePart } from "../messages/parts.js";
import { findImages } from "../messages/reader.js";
import { parseMmRefs } from "../mmRefs.js";
import { checkRawImageId } from "../names.js";
import { parseRef } from "../refs.js";
import type { RawMMRef } from "../refs.js";
import { compact, expand } from "./prompts.js";

/** Functions of the machine that operations need; a browser has none of them. */
export interface Machine {
  readFile(path: string): Uint8Array;
  openStore(directory: string, create: boolean): AssetStore;
}

type Operation = (input: JsonObject, machine: Machine) => object;

function text(input: JsonObject, name: string): string {
  const value = get(input, name);
  if (typeof value === "string") return value;
  throw new MMRawError("invalid_type", `expected a string in ${name}`, `$.${name}`);
}

function refResult(ref: RawMMRef): object {
  return { dialect: ref.dialect, fields: fieldsOf(ref) };
}

function imageResult({ index, url_kind, ref }: ImageByUrl): object {
  return { index, url_kind, ...(ref === null ? {} : { ref: refResult(ref) }) };
}

function adapterOf(input: JsonObject): Adapter {
  return getAdapter(text(input, "family"), get(input, "config") as ConfigLike);
}

function store(input: JsonObject, machine: Machine): AssetStore | null {
  const directory = get(input, "directory") ?? null;
  return directory === null ? null : machine.openStore(text(input, "directory"), false);
}

function runId(input: JsonObject): string | null {
  return (get(input, "run_id") as string | null | undefined) ?? null;
}

export const OPERATIONS: { readonly [name: string]: Operation } = {
  parse_ref: (input) => refResult(parseRef(text(input, "ref"))),

  format_ref: (input) => {
    const dialect = text(input, "dialect");
    return { ref: writeAny(refFromFields(get(input, "fields"), dialect), dialect) };
  },

  convert_ref: (input, machine) => ({
    ref: convertRef(text(input, "ref"), {
      store: store(input, machine),
      to: text(input, "to"),
      runId: runId(input),
      config: get(input, "config") as ConfigLike,
      storage: get(input, "storage") as Storage | null,
    }),
  }),

  parse_item: (input) => {
    const given = get(input, has(input, "text") ? "text" : "item");
    return { item: itemToJson(parseItem(given as JsonObject | string)) };
  },

  fingerprint: (input) => {
    const values = get(input, "values");
    if (!isObject(values)) {
      throw new MMRawError("invalid_type", "expected an object in values", "$.values");
    }
    return {
      fingerprint: layoutFingerprint(text(input, "family"), values, text(input, "dialect")),
    };
  },

  layout: (input) => {
    const adapter = adapterOf(input);
    const found = adapter.layout(get(input, "width") as number, get(input, "height") as number);
    const { num_tokens, placeholder_length, payload } = found;
    return { ...namedGrid(adapter.family, payload), num_tokens, placeholder_length, payload };
  },

  describe: (input, machine) => {
    const data = has(input, "path")
      ? machine.readFile(text(input, "path"))
      : parseDataUri(text(input, "data_uri"), undefined, "$.data_uri").data;
    const found = describeImage(data, adapterOf(input));
    const { width, height, format, sha256, mm_hash, payload, placeholder_length } = found;
    return { width, height, format, sha256, mm_hash, payload, placeholder_length };
  },

  image_part: (input) => {
    const part = get(input, "part") ?? null;
    return { is_image_part: isImagePart(part), source: imageSource(part) };
  },

  find_images: (input) => {
    // A row has its images beside its messages.
    const given = Object.keys(input).length > 1 || !has(input, "messages") ? input : input["messages"];
    const images = findImages(given);
    images.forEach(checkSource);
    return { images: images.map(({ path, spelling, source }) => ({ path, spelling, source })) };
  },

  parse_data_uri: (input) => {
    const { mediaType, data } = parseDataUri(text(input, "data_uri"), undefined, "$.data_uri");
    return { media_type: mediaType, byte_count: data.length, sha256: sha256Hex(data) };
  },

  check_raw_image_id: (input) => ({ raw_image_id: checkRawImageId(text(input, "raw_image_id")) }),

  offload: (input, machine) => {
    const { data } = parseDataUri(text(input, "data_uri"), undefined, "$.data_uri");
    const raw_image_id = machine.openStore(text(input, "directory"), true).put(data);
    return { raw_image_id, byte_count: data.length, sha256: sha256Hex(data) };
  },

  build_features: (input) => {
    const data = get(input, "mm_data") as unknown as MultiModalData;
    return {
      features: buildFeatures(data, { dialect: text(input, "dialect"), runId: runId(input) }),
    };
  },

  parse_features: (input) => {
    const given = get(input, has(input, "text") ? "text" : "features");
    const { body, refs } = parseFeatures(given as unknown as FeaturesBody | string);
    const rows = Object.entries(refs).map(([name, found]) => [name, found.map(refResult)]);
    return { features: body, refs: Object.fromEntries(rows) as object };
  },

  expand_prompt: expand,
  compact_prompt: compact,
  parse_content_parts: (input) => {
    const given = get(input, has(input, "text") ? "text" : "content_parts") ?? null;
    const images = parseContentParts(given).map((image) => ({
      ...imageResult(image),
      ...(image.uuid === null ? {} : { uuid: image.uuid }),
    }));
    return { images };
  },

  parse_mm_refs: (input) => {
    const given = get(input, has(input, "text") ? "text" : "mm_refs") ?? null;
    const images = parseMmRefs(given).map((image) => ({
      ...imageResult(image),
      offset: image.offset,
      length: image.length,
    }));
    return { images };
  },
};
