/** The operations on prompts. */
import { get, isArray, isInteger, isObject } from "../codec/values.js";
import type { JsonObject } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import { compactPrompt, expandPrompt } from "../expansion.js";
import type { Engine, ExpandOptions, ImagePrompt, Vocabulary } from "../expansion.js";
import { getAdapter } from "../families/index.js";
import type { Adapter, ConfigLike } from "../families/index.js";
import type { PlaceholderRange } from "../features.js";

/** The answer to `expand_prompt`. */
export function expand(input: JsonObject): object {
  const tokenIds = list(input, "token_ids", token);
  const refs = list(input, "refs", text);
  const [adapter, options] = optionsOf(input);
  return result(expandPrompt(tokenIds, refs, adapter, options));
}

/** The answer to `compact_prompt`. */
export function compact(input: JsonObject): object {
  const tokenIds = list(input, "token_ids", token);
  const refs = isAbsent(input, "refs") ? undefined : list(input, "refs", text);
  const placeholders = list(input, "placeholders", (row) => row as PlaceholderRange);
  const [adapter, options] = optionsOf(input);
  return result(compactPrompt(tokenIds, placeholders, adapter, { ...options, refs }));
}

function optionsOf(input: JsonObject): [Adapter, ExpandOptions] {
  const vocabulary = isAbsent(input, "vocabulary") ? undefined : get(input, "vocabulary");
  if (vocabulary !== undefined) {
    if (!isObject(vocabulary)) {
      throw new MMRawError("invalid_type", "expected an object in vocabulary", "$.vocabulary");
    }
    for (const id of Object.values(vocabulary)) token(id, "$.vocabulary");
  }
  const form = isAbsent(input, "form") ? undefined : text(get(input, "form"), "$.form");
  const engine = isAbsent(input, "engine") ? undefined : text(get(input, "engine"), "$.engine");
  const family = text(get(input, "family"), "$.family");
  const adapter = getAdapter(family, get(input, "config") as ConfigLike);
  const options = { vocabulary: vocabulary as Vocabulary | undefined, form };
  return [adapter, { ...options, engine: engine as Engine | undefined }];
}

function isAbsent(input: JsonObject, name: string): boolean {
  return (get(input, name) ?? null) === null;
}

function list<T>(input: JsonObject, name: string, read: (row: unknown, path: string) => T): T[] {
  const rows = get(input, name);
  if (!isArray(rows)) {
    throw new MMRawError("invalid_type", `expected a list in ${name}`, `$.${name}`);
  }
  return rows.map((row, index) => read(row, `$.${name}[${index}]`));
}

function text(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  throw new MMRawError("invalid_type", "expected a string", path);
}

function token(value: unknown, path: string): number {
  if (isInteger(value) && value >= 0) return value;
  if (isInteger(value) || typeof value === "bigint") {
    throw new MMRawError("invalid_value", "expected a token id from 0 to 2^53 - 1, got another integer", path);
  }
  throw new MMRawError("invalid_type", "expected a token's id, an integer", path);
}

function result({ tokenIds, placeholders }: ImagePrompt): object {
  return { token_ids: tokenIds, placeholders };
}
