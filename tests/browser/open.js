/** The inspector's page, and what tests do on it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "./site.js";

const VECTORS = join(ROOT, "spec", "vectors");
export const SHOTS = join(ROOT, "build", "screenshots");
export const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** A page of the inspector; every request it makes is noted. */
export async function openInspector(browser, site, options = {}, fragment = "") {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  const seen = { requests: [], problems: [] };
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.problems.push(`${error}`));
  page.on("console", (message) => message.type() === "error" && seen.problems.push(message.text()));
  page.on("dialog", (dialog) => { seen.problems.push("a dialog opened"); void dialog.dismiss(); });
  await page.goto(`${site.url}/inspector/index.html${fragment}`);
  return { page, seen, close: () => context.close() };
}

export function vectors(name) {
  return readFileSync(join(VECTORS, `${name}.jsonl`), "utf8").trim().split("\n").map((line) => JSON.parse(line));
}

/** A ref of the vectors that every reader accepts; its picture is in a store. */
export function goodRef() {
  return vectors("parse_ref").find(({ input, error }) => error === undefined && input.ref.startsWith?.("mmraw:v2:")).input.ref;
}

export async function inspect(page, text) {
  await page.fill("#text", text);
  await page.click("#inspect");
}

/** ok, contradicts or rejected, or nothing, by what the page shows of the text as a whole. */
export async function verdict(page, kind = "Ref") {
  const titles = await page.locator("article h2").allTextContents();
  if (titles.length !== 1 || !titles[0].startsWith(kind)) return "nothing";
  const isWhole = await page.locator("article > header > p").count() === 0;
  return !isWhole ? "nothing" : page.locator("#verdict .strip").getAttribute("data-outcome");
}

/** The state of each of the five checks of the strip. */
export async function states(page) {
  const checks = page.locator("#verdict .checks li");
  return Object.fromEntries(await checks.evaluateAll((items) => items.map(({ dataset }) => [dataset.check, dataset.state])));
}

/** Drops a file of some bytes onto a page, `times` times one after the other in the one file. */
export async function dropFile(page, name, type, bytes, times = 1) {
  const dataTransfer = await page.evaluateHandle(([text, ...more]) => {
    const part = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const [as, media, count] = more;
    const dropped = new DataTransfer();
    dropped.items.add(new File(Array(count).fill(part), as, { type: media }));
    return dropped;
  }, [bytes.toString("base64"), name, type, times]);
  await page.dispatchEvent("body", "drop", { dataTransfer });
}

/** Drops the picture of the vectors onto a page, and gives the card of a family. */
export async function drop(page) {
  await dropFile(page, "exif6.jpg", "image/jpeg", readFileSync(join(VECTORS, "images", "exif6_320x200.jpg")));
  await page.getByText("Picture exif6.jpg").waitFor();
  await page.getByText("320×200 jpeg").waitFor();
  for (const summary of await page.locator(".family summary").all()) await summary.click();
  return (family) => page.locator(`section[data-family="${family}"]`);
}

/** Axe's violations on the page as it is, of all rules (color-contrast is among them) or of some. */
export async function violations(page, rules = undefined) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const options = rules === undefined ? {} : { runOnly: rules };
  const found = await page.evaluate((given) => globalThis.axe.run(given), options);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}
