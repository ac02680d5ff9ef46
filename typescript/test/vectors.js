/** Reading ../spec/vectors/: one case a line, recipes expanded. Integers and floats stay apart. */
import { readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

import { encodeBase64Url, parseJson } from "../dist/index.js";

export const FOLDER = fileURLToPath(new URL("../../spec/vectors/", import.meta.url));
const encoder = new TextEncoder();

/** Every vector, its input as it is sent. */
export function* readVectors() {
  for (const name of readdirSync(FOLDER).sort()) {
    if (!name.endsWith(".jsonl")) continue;
    for (const line of readFileSync(join(FOLDER, name), "utf8").split("\n")) {
      if (line === "") continue;
      const vector = parseJson(line, { maxDepth: 2000, lenient: true });
      yield { ...vector, input: located(expand(vector.input)) };
    }
  }
}

function expand(value) {
  if (Array.isArray(value)) return value.map(expand);
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== null) {
    return value;
  }
  if (Object.keys(value).length === 1 && "$gen" in value) return generate(value.$gen);
  const result = Object.create(null);
  for (const [name, child] of Object.entries(value)) result[name] = expand(child);
  return result;
}

/** `path` and `directory` of an input are relative to the folder. */
function located(input) {
  for (const name of ["path", "directory"]) {
    if (typeof input[name] === "string" && !isAbsolute(input[name])) {
      input[name] = join(FOLDER, input[name]);
    }
  }
  return input;
}

function generate(recipe) {
  if ("concat" in recipe) return concat(recipe.concat);
  const body =
    "keys" in recipe
      ? `{${Array.from({ length: recipe.keys }, (_, n) => `"k${n}":0`).join(",")}}`
      : concat(recipe.base64url);
  return recipe.prefix + encodeBase64Url(encoder.encode(body));
}

function concat(parts) {
  return parts.map(([text, times]) => text.repeat(times)).join("");
}
