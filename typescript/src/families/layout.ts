/** The form of layouts, and the interface of a family's module. */
import type { Limits } from "../generated/limits.js";
import type { LayoutParameters, Payload } from "../generated/types.js";
import type { Grid } from "./grid.js";

/** The layout of an image of some size. */
export interface Layout {
  /** [t, h, w] in patches. */
  readonly grid_thw: Grid;
  /** Tokens that the image becomes in the model. */
  readonly num_tokens: number;
  /** Tokens that represent it in the prompt. */
  readonly placeholder_length: number;
  readonly payload: Payload;
  /** [width, height] in pixels that the processor resizes (and pads) to. */
  readonly resized: readonly [number, number];
  /** [width, height] in pixels that the picture fills of it, from the top left. */
  readonly content: readonly [number, number];
}

/** Why no image processor takes some parameters, and the parameter; null if one does. */
export type Refusal = readonly [reason: string, name: string] | null;

/** One family's arithmetic: what families/<name>.ts exports. */
export interface FamilyModule {
  /** Patches per token along one side. */
  mergeSizeOf(parameters: LayoutParameters): number;
  /** The layout of an image of `width` x `height` pixels, both from 1 to 2^31-1. */
  layoutOf(
    parameters: LayoutParameters,
    width: number,
    height: number,
    limits: Limits,
    placeholder: string | undefined,
  ): Layout;
  refusalOf?(parameters: LayoutParameters): Refusal;
  /** Tokens that an image of this payload becomes; by its grid and the merge size if absent. */
  numTokensOf?(parameters: LayoutParameters, payload: Payload): number;
}
