/** JSON values as text. */
import { canonicalJson } from "../../typescript/src/index.js";
import type { JsonValue } from "../../typescript/src/index.js";

/** A string as it is, anything else as canonical JSON. */
export function plainText(value: JsonValue): string {
  if (typeof value === "string") return value;
  try {
    return canonicalJson(value);
  } catch {
    return "(a value that has no canonical form)";
  }
}
