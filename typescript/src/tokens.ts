/**
 * The tokens that a server writes for an image, in prompts of one line of checkpoints.
 *
 * Source: spec/families/<name>/family.json, keys placeholder, vllm, sglang and lines.
 */
import { has } from "./codec/values.js";
import { MMRawError, within } from "./errors.js";
import { spanOfRows } from "./families/index.js";
import type { Adapter } from "./families/index.js";
import type { PlaceholderRange } from "./features.js";
import { FAMILY_TABLE } from "./generated/families.js";
import type { Expansion, FamilyInfo, Placeholder } from "./generated/families.js";
import type { Payload } from "./generated/types.js";
import type { RawMMRef } from "./refs.js";

/** Servers whose expansions the families' folders have. */
export type Engine = "vllm" | "sglang";

/** Ids by token. */
export type Vocabulary = { readonly [token: string]: number };

/** The target, the span and the tokens around it, as texts and as ids. */
export class FamilyTokens {
  readonly target: string;
  readonly before: string;
  readonly after: string;
  readonly #adapter: Adapter;
  readonly #info: FamilyInfo;
  readonly #tokens: Placeholder;
  readonly #texts: readonly string[];
  readonly #ids = new Map<string, number>();

  /**
   * @param vocabulary By default the ids that are published for the adapter's line.
   * @param form A form of prompts of the family, which is refused with its reason.
   * @param engine The server.
   */
  constructor(
    adapter: Adapter,
    vocabulary: Vocabulary | undefined,
    form: string | undefined,
    engine: string = "vllm",
  ) {
    const info = FAMILY_TABLE[adapter.family];
    const expansion = expansionOf(info, engine);
    if (form !== undefined) refuseForm(form, expansion.refused);
    if (expansion.target === "") {
      const reason = `expected a family whose expansion by ${engine} is known, got another`;
      throw new MMRawError("unsupported_option", reason, "$.engine");
    }
    const line = info.lines[adapter.line];
    this.#adapter = adapter;
    this.#info = info;
    this.#tokens = line?.placeholder ?? info.placeholder;
    const { target, before, after } = expansion;
    [this.target, this.before, this.after] = [target, before, after].map((text) =>
      this.#inLine(text),
    ) as [string, string, string];
    const { token, row_end, end } = this.#tokens;
    this.#texts = [this.target, this.before, token, row_end, end, this.after];
    const given = vocabulary ?? line?.tokenIds ?? {};
    for (const text of this.#texts) {
      if (has(given, text)) this.#ids.set(text, given[text] as number);
    }
  }

  /** The placeholder token. */
  get pad(): string {
    return this.#tokens.token;
  }

  /** A token of the table, which names those of the family's first line. */
  #inLine(text: string): string {
    const { placeholder } = this.#info;
    const names = Object.keys(placeholder) as (keyof Placeholder)[];
    const name = names.find((name) => text !== "" && placeholder[name] === text);
    return name === undefined ? text : this.#tokens[name];
  }

  /** The id of a token; undefined where it is not known, or not yet. */
  idOf(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** Throws missing_field where an id is not known; by default of all that vLLM writes. */
  checkKnown(...texts: string[]): void {
    const wanted = new Set((texts.length > 0 ? texts : this.#texts).filter((text) => text !== ""));
    const missing = [...wanted].filter((text) => !this.#ids.has(text));
    if (missing.length === 0) return;
    const reason = `expected the ids of ${missing.join(", ")} in vocabulary, got none`;
    throw new MMRawError("missing_field", reason, "$.vocabulary");
  }

  /** The ids of tokens that are known; a text that is empty is no token. */
  idsOf(texts: readonly string[]): number[] {
    return texts.filter((text) => text !== "").map((text) => this.#ids.get(text) as number);
  }

  /** The texts of an image's span, whose length is compared where it is given. */
  span(ref: RawMMRef, index: number, length?: number): string[] {
    if (ref.family !== this.#adapter.family) {
      const reason = "expected a ref of the prompt's family, got one of another";
      throw new MMRawError("unknown_family", reason, `$.refs[${index}].family`);
    }
    const texts = within(`$.refs[${index}]`, () =>
      this.#adapter.expandedSpan(ref.payload as Payload),
    );
    if (length === undefined || length === texts.length) return texts;
    // Of several conventions, one token means one for the whole image.
    if (length === 1 && this.#info.conventions.length > 0) return [this.pad];
    const reason = `expected a span of ${texts.length} tokens, as the ref gives, got ${length}`;
    throw new MMRawError("placeholder_mismatch", reason, `$.placeholders[${index}]`);
  }

  /** The tokens of a span are an image's; without texts, those of some image. */
  checkSpan(held: readonly number[], texts: readonly string[] | undefined, path: string): void {
    const wanted = texts ?? this.#someSpan(held);
    const fits =
      wanted.length === held.length &&
      wanted.every((text, index) => this.#isToken(held[index] as number, text));
    if (fits) return;
    const reason = "expected the image's tokens in its span, got others";
    throw new MMRawError("span_mismatch", reason, path);
  }

  /** The texts of the span of this length whose first row is as long as that of `held`. */
  #someSpan(held: readonly number[]): string[] {
    if (this.#tokens.row_end === "") return Array<string>(held.length).fill(this.pad);
    const end = held.findIndex((token) => token !== held[0]);
    const width = end < 0 ? held.length : end;
    return spanOfRows(this.#tokens, Math.max(1, Math.floor(held.length / (width + 1))), width);
  }

  /**
   * True if an id can be that of a token. One that is not known is learned: from then on the token
   * has that id, and no other token has it.
   */
  #isToken(id: number, text: string): boolean {
    const known = this.#ids.get(text);
    if (known !== undefined) return known === id;
    if ([...this.#ids.values()].includes(id)) return false;
    this.#ids.set(text, id);
    return true;
  }

  /**
   * The begin and end of what vLLM writes for the image with this span.
   *
   * @param done Where the stretch of the image before ends.
   */
  stretch(
    tokenIds: readonly number[],
    { offset, length }: PlaceholderRange,
    done: number,
    path: string,
  ): readonly [number, number] {
    const stop = offset + length;
    const beside = [
      [offset - 1, this.before],
      [stop, this.after],
    ] as const;
    for (const [position, text] of beside) {
      if (text === "") continue;
      const inside = done <= position && position < tokenIds.length;
      if (inside && this.#isToken(tokenIds[position] as number, text)) continue;
      const reason = "expected the tokens that the server writes around the span, got others";
      throw new MMRawError("span_mismatch", reason, path);
    }
    return [offset - Number(this.before !== ""), stop + Number(this.after !== "")];
  }
}

function expansionOf(info: FamilyInfo, engine: string): Expansion {
  if (engine === "vllm" || engine === "sglang") return info[engine];
  const reason = "expected one of the engines vllm, sglang";
  throw new MMRawError("unsupported_option", reason, "$.engine");
}

function refuseForm(form: string, refused: { readonly [form: string]: string }): never {
  const reason = has(refused, form)
    ? `this form cannot be expanded or compacted: ${refused[form]}`
    : "the family has no form of this name; leave it out for the form of its folder";
  throw new MMRawError("unsupported_option", reason, "$.form");
}
