/** One family under one configuration: layout, payload, fingerprint, prompt text. */
import { MMRawError } from "../errors.js";
import { FAMILY_TABLE } from "../generated/families.js";
import type { BuiltInFamily, Placeholder } from "../generated/families.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import type { Limits } from "../generated/limits.js";
import type { LayoutParameters, Payload } from "../generated/types.js";
import { configured, familyOf } from "./config.js";
import type { ConfigLike } from "./config.js";
import { layoutFingerprint } from "./fingerprint.js";
import { checkGrid } from "./grid.js";
import type { Grid } from "./grid.js";
import type { Layout } from "./layout.js";
import { gridOf, isBuiltIn } from "./table.js";

export type { BuiltInFamily } from "../generated/families.js";
export type { ConfigLike } from "./config.js";
export { fingerprintText, layoutFingerprint } from "./fingerprint.js";
export type { Layout } from "./layout.js";
export { FAMILIES, gridOf, isBuiltIn, namedGrid } from "./table.js";

/** Sides beyond are no image of any format; it keeps float arithmetic exact. */
const MAX_SIDE = 2 ** 31 - 1;

/** One family under one configuration. */
export interface Adapter {
  readonly family: BuiltInFamily;
  readonly featureModality: string;
  readonly padToken: string;
  /** The line of checkpoints, which decides the tokens of a prompt. */
  readonly line: string;
  readonly parameters: LayoutParameters;
  readonly mergeSize: number;
  /** The layout of an image of `width` x `height` pixels. */
  layout(width: number, height: number, limits?: Limits): Layout;
  /**
   * The tokens of an image's span as texts, where each token of the image has one.
   *
   * @throws MMRawError invalid_grid, limit_exceeded.
   */
  expandedSpan(payload: Payload, limits?: Limits): string[];
  /** The fingerprint of this configuration in the scheme of `dialect`. */
  fingerprint(dialect?: string): string;
}

export interface AdapterOptions {
  /** One of the family's placeholder conventions; by default the first. */
  readonly placeholder?: string;
}

/** Asks for the family that a configuration is of. */
export const AUTO = "auto";

/** The adapter of `family` under `config`; of the family that the configuration is of for `auto`. */
export function getAdapter(
  name: string,
  config?: ConfigLike,
  options: AdapterOptions = {},
): Adapter {
  const family = name === AUTO ? familyOf(config) : name;
  if (!isBuiltIn(family)) {
    throw new MMRawError("unknown_family", "no adapter is registered for this family", "$.family");
  }
  const info = FAMILY_TABLE[family];
  const { parameters, line = Object.keys(info.lines)[0] as string } = configured(info, config);
  const { placeholder = info.conventions[0] } = options;
  if (placeholder !== undefined && !info.conventions.includes(placeholder)) {
    const reason =
      info.conventions.length > 0
        ? `expected placeholder ${info.conventions.join(" or ")}, got another`
        : `expected no placeholder convention: family ${family} has one alone`;
    throw new MMRawError("unsupported_option", reason);
  }
  const tokens = info.lines[line]?.placeholder ?? info.placeholder;
  const mergeSize = info.module.mergeSizeOf(parameters);
  return {
    family,
    featureModality: info.featureModality,
    padToken: tokens.token,
    line,
    parameters,
    mergeSize,
    fingerprint: (dialect) => layoutFingerprint(family, parameters, dialect),
    expandedSpan: (payload, limits = DEFAULT_LIMITS) => {
      const path = `$.payload.${info.gridKey}`;
      const [t, h, w] = checkGrid(gridOf(family, payload) as Grid, mergeSize, limits, path);
      if (tokens.row_end !== "") return spanOfRows(tokens, h, w);
      const byGrid = Math.floor((t * h * w) / mergeSize ** 2);
      const count = info.module.numTokensOf?.(parameters, payload) ?? byGrid;
      return Array<string>(count).fill(tokens.token);
    },
    layout: (width, height, limits = DEFAULT_LIMITS) => {
      checkSides(width, height);
      return info.module.layoutOf(parameters, width, height, limits, placeholder);
    },
  };
}

/** The texts of a span of `h` rows of `w` placeholder tokens; both are at least 1. */
export function spanOfRows({ token, row_end, end }: Placeholder, h: number, w: number): string[] {
  const row = [...Array<string>(w).fill(token), row_end];
  return [...Array<string[]>(h).fill(row).flat().slice(0, -1), end];
}

/** The names of a family's published configurations. */
export function presets(family: BuiltInFamily): readonly string[] {
  return Object.keys(FAMILY_TABLE[family].lines);
}

function checkSides(width: number, height: number): void {
  for (const [name, side] of Object.entries({ width, height })) {
    const path = `$.${name}`;
    // Beyond 2^53 an integer is a bigint here; it is far beyond any image.
    if (!Number.isInteger(side) && typeof side !== "bigint") {
      throw new MMRawError("invalid_type", "expected an integer", path);
    }
    if (side < 1) throw new MMRawError("invalid_value", "expected at least one pixel, got less", path);
    if (side > MAX_SIDE) throw new MMRawError("limit_exceeded", `expected at most ${MAX_SIDE} pixels, got more`, path);
  }
}

/** The text that represents an image of `length` placeholder tokens in the prompt. */
export function promptText(family: BuiltInFamily, length: number): string {
  const { before, token, after } = FAMILY_TABLE[family].placeholder;
  return before + token.repeat(length) + after;
}
