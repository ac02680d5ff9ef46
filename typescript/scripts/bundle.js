/** Writes dist/mmraw.min.js, the whole library in one module, and says how large it is. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const outfile = "dist/mmraw.min.js";
await build({
  entryPoints: ["dist/index.js"],
  outfile,
  bundle: true,
  charset: "ascii",
  format: "esm",
  minify: true,
  platform: "browser",
  target: "es2022",
});
const data = readFileSync(outfile);
console.log(`${outfile}: ${data.length} bytes, ${gzipSync(data, { level: 9 }).length} gzipped`);
