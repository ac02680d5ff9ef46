/**
 * Prompts as a server takes them and as it expands them: one target for each image, or its whole span.
 *
 * Source: spec/README.md, section "Expansion".
 */
import { enforce } from "./codec/check.js";
import { MMRawError, within } from "./errors.js";
import type { Adapter } from "./families/index.js";
import type { PlaceholderRange } from "./features.js";
import { checkPlaceholderRange } from "./generated/checks.js";
import { DEFAULT_LIMITS } from "./generated/limits.js";
import type { Limits } from "./generated/limits.js";
import { checkModality } from "./modality.js";
import { parseRef } from "./refs.js";
import type { RawMMRef } from "./refs.js";
import { FamilyTokens } from "./tokens.js";
import type { Engine, Vocabulary } from "./tokens.js";

export type { Engine, Vocabulary } from "./tokens.js";

/** A prompt, and where the images are in it: their spans on the wire, or one target for each. */
export interface ImagePrompt {
  readonly tokenIds: number[];
  readonly placeholders: PlaceholderRange[];
}

export interface ExpandOptions {
  /** Ids by token; by default those that are published for the adapter's line of checkpoints. */
  readonly vocabulary?: Vocabulary | undefined;
  /** A further form of prompts that the family has there; the error says why it cannot be. */
  readonly form?: string | undefined;
  /** The server; by default vllm. */
  readonly engine?: Engine | undefined;
  readonly limits?: Limits;
}

export interface CompactOptions extends ExpandOptions {
  /** The images' refs, where the length of each span is to be checked. */
  readonly refs?: readonly (RawMMRef | string)[] | undefined;
}

/**
 * The prompt that a server makes of one with a target for each image; inverse of `compactPrompt`.
 *
 * If a family has placeholder conventions, the result follows `expanded`.
 *
 * @throws MMRawError lengths_differ, span_mismatch, missing_field, unknown_family,
 *   unsupported_option, limit_exceeded, and what a ref or its payload gives, with the ref's path.
 */
export function expandPrompt(
  tokenIds: readonly number[],
  refs: readonly (RawMMRef | string)[],
  adapter: Adapter,
  { vocabulary, form, engine, limits = DEFAULT_LIMITS }: ExpandOptions = {},
): ImagePrompt {
  const parsed = parsedRefs(refs, limits);
  const tokens = new FamilyTokens(adapter, vocabulary, form, engine);
  const spans = parsed.map((ref, index) => tokens.span(ref, index));
  if (spans.length > 0) tokens.checkKnown();
  const target = tokens.idOf(tokens.target);
  const pad = tokens.idOf(tokens.pad);
  const found: number[][] = [];
  let count = 0;
  const add = (ids: number[]): void => {
    found.push(ids);
    count += ids.length;
  };
  const placeholders: PlaceholderRange[] = [];
  tokenIds.forEach((token, position) => {
    if (token === target) {
      const span = spans[placeholders.length];
      if (span === undefined) {
        const reason = "the prompt has more targets than there are refs";
        throw new MMRawError("lengths_differ", reason, `$.token_ids[${position}]`);
      }
      add(tokens.idsOf([tokens.before]));
      placeholders.push({ offset: count, length: span.length });
      add(tokens.idsOf([...span, tokens.after]));
    } else if (token === pad) {
      throw stray(position);
    } else {
      add([token]);
    }
  });
  if (placeholders.length < spans.length) {
    const reason = "the prompt has fewer targets than there are refs";
    throw new MMRawError("lengths_differ", reason, `$.refs[${placeholders.length}]`);
  }
  return { tokenIds: found.flat(), placeholders };
}

/**
 * The prompt that vLLM expands to this one; inverse of `expandPrompt`.
 *
 * Ids that are not known are learned from the prompt. Where a family has placeholder conventions,
 * each span may follow any of them.
 *
 * @throws MMRawError placeholder_invalid, placeholder_mismatch, span_mismatch, lengths_differ, and
 *   what `expandPrompt` throws for options and refs.
 */
export function compactPrompt(
  tokenIds: readonly number[],
  placeholders: readonly PlaceholderRange[],
  adapter: Adapter,
  { refs, vocabulary, form, engine, limits = DEFAULT_LIMITS }: CompactOptions = {},
): ImagePrompt {
  const parsed = refs === undefined ? undefined : parsedRefs(refs, limits);
  const tokens = new FamilyTokens(adapter, vocabulary, form, engine);
  if (parsed !== undefined && parsed.length !== placeholders.length) {
    throw new MMRawError("lengths_differ", "expected one ref for each placeholder", "$.refs");
  }
  const replaced: (readonly [number, number])[] = [];
  let [done, end] = [0, 0];
  placeholders.forEach((place, index) => {
    const path = `$.placeholders[${index}]`;
    enforce(checkPlaceholderRange, place, path, limits);
    const stop = place.offset + place.length;
    if (place.offset < end || place.length < 1 || stop > tokenIds.length) {
      const reason = "placeholders are sorted, do not overlap, and lie within the prompt";
      throw new MMRawError("placeholder_invalid", reason, path);
    }
    const ref = parsed?.[index];
    const texts = ref === undefined ? undefined : tokens.span(ref, index, place.length);
    tokens.checkSpan(tokenIds.slice(place.offset, stop), texts, path);
    const stretch = tokens.stretch(tokenIds, place, done, path);
    replaced.push(stretch);
    [done, end] = [stretch[1], stop];
  });
  return compacted(tokenIds, replaced, tokens);
}

/** The prompt with a target in place of each stretch, and no such token elsewhere. */
function compacted(
  tokenIds: readonly number[],
  replaced: readonly (readonly [number, number])[],
  tokens: FamilyTokens,
): ImagePrompt {
  if (replaced.length > 0) tokens.checkKnown(tokens.target);
  const target = tokens.idOf(tokens.target);
  const pad = tokens.idOf(tokens.pad);
  const found: number[] = [];
  const places: PlaceholderRange[] = [];
  const keep = (from: number, to: number): void => {
    for (let position = from; position < to; position++) {
      const token = tokenIds[position] as number;
      if (token === target || token === pad) throw stray(position);
      found.push(token);
    }
  };
  let done = 0;
  for (const [start, stop] of replaced) {
    keep(done, start);
    places.push({ offset: found.length, length: 1 });
    found.push(target as number);
    done = stop;
  }
  keep(done, tokenIds.length);
  return { tokenIds: found, placeholders: places };
}

function parsedRefs(refs: readonly (RawMMRef | string)[], limits: Limits): RawMMRef[] {
  if (refs.length > limits.features_images) {
    const reason = `expected at most ${limits.features_images} images, got ${refs.length}`;
    throw new MMRawError("limit_exceeded", reason, "$.refs");
  }
  return refs.map((ref, index) =>
    within(`$.refs[${index}]`, () => {
      const parsed = typeof ref === "string" ? parseRef(ref, limits) : ref;
      checkModality(parsed.modality, "$.modality");
      return parsed;
    }),
  );
}

function stray(position: number): MMRawError {
  const reason = "expected target and placeholder tokens within images only, got one outside";
  return new MMRawError("span_mismatch", reason, `$.token_ids[${position}]`);
}
