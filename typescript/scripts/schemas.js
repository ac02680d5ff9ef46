/** Copies the schemas that stand alone into dist/schemas, from where the package exports them. */
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const place = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = place("../dist/schemas");
rmSync(target, { recursive: true, force: true });
cpSync(place("../../spec/bundled"), target, { recursive: true });
