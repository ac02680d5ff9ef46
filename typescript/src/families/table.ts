/** Facts about families that need no configuration. */
import { has, isArray } from "../codec/values.js";
import type { JsonObject } from "../codec/values.js";
import { FAMILY_TABLE } from "../generated/families.js";
import type { BuiltInFamily } from "../generated/families.js";
import type { Payload } from "../generated/types.js";
import type { Grid } from "./grid.js";

/** The built-in families, in the order of spec/. */
export const FAMILIES = Object.keys(FAMILY_TABLE) as readonly BuiltInFamily[];

/** True if a family is built in. */
export function isBuiltIn(family: unknown): family is BuiltInFamily {
  return typeof family === "string" && has(FAMILY_TABLE, family);
}

/** The name of the grid in the family's payload. */
export function gridKeyOf(family: BuiltInFamily): string {
  return FAMILY_TABLE[family].gridKey;
}

/** The grid as tables of layouts name it: grid_thw, grid_hw, or tiles_hw and num_patches. */
export function namedGrid(family: BuiltInFamily, payload: Payload): JsonObject {
  const fields = payload as unknown as JsonObject;
  const rows = Object.entries(FAMILY_TABLE[family].grid).map(([name, field]) => {
    const value = fields[field];
    return [name, isArray(value) ? value[0] : value];
  });
  return Object.fromEntries(rows) as JsonObject;
}

/** The grid that a payload of a built-in family names, [1, h, w] of a row of two sides; else null. */
export function gridOf(family: string, payload: Payload): Grid | null {
  if (!isBuiltIn(family)) return null;
  const rows = (payload as unknown as JsonObject)[gridKeyOf(family)];
  const [row] = rows as unknown as readonly [Grid | readonly [number, number]];
  return row.length === 3 ? row : [1, ...row];
}
