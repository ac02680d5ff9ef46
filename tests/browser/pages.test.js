/** The docs site in a real browser. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { violations } from "./open.js";
import { ROOT, openSite } from "./site.js";

const { site, browser } = await openSite();

test("pages load nothing from elsewhere and report no error", async () => {
  const page = await browser.newPage();
  const foreign = [];
  const problems = [];
  page.on("request", (request) => !request.url().startsWith(site.url) && foreign.push(request.url()));
  page.on("pageerror", (error) => problems.push(`${error}`));
  for (const name of ["index", "tutorial", "protocol", "reference/wire/ref-v3", "reference/python"]) {
    const answer = await page.goto(`${site.url}/${name}.html`);
    assert.equal(answer.status(), 200, name);
    assert.ok((await page.textContent("h1")).length > 0);
  }
  assert.deepEqual(foreign.filter((url) => !url.startsWith("data:") && !url.startsWith("blob:")), []);
  assert.deepEqual(problems, []);
  await page.close();
});

test("each family has a page with the drawing of its grid", async () => {
  const page = await browser.newPage();
  const folders = readdirSync(join(ROOT, "spec", "families"), { withFileTypes: true });
  for (const { name } of folders.filter((entry) => entry.isDirectory())) {
    const answer = await page.goto(`${site.url}/reference/families/${name}.html`);
    assert.equal(answer.status(), 200, name);
    const drawing = page.locator(`img[src$="${name}.svg"]`);
    assert.ok(await drawing.evaluate((image) => image.decode().then(() => image.naturalWidth > 0)), name);
  }
  await page.close();
});

test("each how-to has its diagram, with words for those who do not see it", async () => {
  const page = await browser.newPage();
  for (const file of readdirSync(join(ROOT, "docs", "diagrams"))) {
    const name = file === "flow.svg" ? "index" : file.replace(".svg", "");
    await page.goto(`${site.url}/${name}.html`);
    const drawing = page.locator(`img[src$="diagrams/${file}"]`);
    assert.ok(await drawing.evaluate((image) => image.decode().then(() => image.naturalWidth > 0)), name);
    assert.ok((await drawing.getAttribute("alt")).length > 30, name);
  }
  await page.close();
});

test("a schema and its bundle are downloaded from the schema's page", async () => {
  const page = await browser.newPage();
  await page.goto(`${site.url}/reference/wire/ref-v3.html`);
  const files = [["the schema", "ref/v3.schema.json"], ["the bundle", "bundled/ref-v3.schema.json"]];
  for (const [label, path] of files) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: label }).click()]);
    assert.deepEqual(readFileSync(await download.path()), readFileSync(join(ROOT, "spec", path)));
  }
  await page.close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`text has a contrast of 4.5, and tables have heads, in ${colorScheme} mode`, async () => {
    const context = await browser.newContext({ colorScheme, bypassCSP: true });
    const page = await context.newPage();
    for (const name of ["index", "vllm", "glossary", "performance", "reliability", "reference/wire/ref-v3", "reference/wire/errors", "reference/families/gemma4"]) {
      await page.goto(`${site.url}/${name}.html`);
      assert.deepEqual(await violations(page, ["color-contrast", "empty-table-header"]), [], name);
    }
    await context.close();
  });
}

test("search finds an error code", async () => {
  const page = await browser.newPage();
  await page.goto(`${site.url}/index.html`);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("grid_mismatch");
  const result = page.locator("a[href*='errors.html'], a[href*='wire/errors']").filter({ visible: true }).first();
  await result.waitFor({ timeout: 20_000 });
  await page.screenshot({ path: join(ROOT, "build", "screenshots", "search.png") });
  await page.close();
});

test("schemas are published under stable paths, as they are in spec/", async () => {
  const page = await browser.newPage();
  for (const path of ["ref/v3.schema.json", "ref/legacy/v1.schema.json", "bundled/ref-v3.schema.json", "errors.json"]) {
    const answer = await page.request.get(`${site.url}/schemas/${path}`);
    assert.deepEqual(await answer.body(), readFileSync(join(ROOT, "spec", path)));
  }
  await page.close();
});
