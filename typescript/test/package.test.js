import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { version, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

function files(folder) {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

test("the package depends on nothing at run time", () => {
  assert.equal(dependencies, undefined);
});

test("only the conformance program needs Node: the library runs in browsers", () => {
  const sources = files("src").filter((path) => !path.includes(`${sep}conformance`));
  assert.ok(sources.length > 20);
  for (const path of sources) {
    assert.doesNotMatch(
      readFileSync(path, "utf8"),
      /"node:|\bBuffer\.|\bprocess\.\w|require\(/,
      path,
    );
  }
});

test("imports name nothing outside the package", () => {
  for (const path of files("src")) {
    for (const [, name] of readFileSync(path, "utf8").matchAll(/from "([^"]+)"/g)) {
      assert.match(name, /^(\.{1,2}\/|node:)/, path);
    }
  }
});

test("one version everywhere", () => {
  const python = readFileSync(join(ROOT, "../mmraw_protocol/_version.py"), "utf8");
  assert.match(python, new RegExp(`"${version.replaceAll(".", "\\.")}"`));
  assert.match(readFileSync(join(ROOT, "src/version.ts"), "utf8"), new RegExp(`"${version}"`));
});
