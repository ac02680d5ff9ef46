/** JSON values as text. */
import { canonicalJson } from "../../typescript/src/index.js";
import type { BuiltInFamily, JsonValue, Payload } from "../../typescript/src/index.js";
import { namedGrid } from "../../typescript/src/families/index.js";

/** A string as it is, anything else as canonical JSON. */
export function plainText(value: JsonValue): string {
  if (typeof value === "string") return value;
  try {
    return canonicalJson(value);
  } catch {
    return "(a value that has no canonical form)";
  }
}

/** The grid under the names of its family, the sides of each row with a cross between them. */
export function gridText(family: BuiltInFamily, payload: Payload): string {
  const rows = Object.entries(namedGrid(family, payload));
  return rows.map(([name, value]) => `${name} ${Array.isArray(value) ? value.join("×") : value}`).join(", ");
}
