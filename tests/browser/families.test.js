/** Each family's layout of a picture, on the inspector's page. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { SHOTS, drop, openInspector } from "./open.js";
import { ROOT, openSite } from "./site.js";

const { site, browser } = await openSite();

const open = (options, fragment) => openInspector(browser, site, options, fragment);

/** The names of the built-in families: each has a folder in spec/. */
const FAMILIES = readdirSync(join(ROOT, "spec", "families"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test("a dropped picture is laid out for each family, and sliders set the layout parameters", async () => {
  const { page, seen, close } = await open();
  const panel = await drop(page);
  const cells = () => panel("qwen_vl").locator(".pairs dd").allTextContents();
  const before = await cells();
  await page.focus("#qwen_vl-min_pixels");
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowRight");
  const turned = await cells();
  assert.notEqual(turned[0], before[0], "another grid");
  assert.notEqual(turned[3], before[3], "another parameter, another fingerprint");
  await page.screenshot({ path: join(SHOTS, "picture.png"), fullPage: true });
  assert.deepEqual(seen.problems, []);
  await close();
});

for (const family of FAMILIES) {
  test(`every parameter of ${family} is turned from end to end, with a layout or a reason`, async () => {
    const { page, seen, close } = await open();
    const panel = (await drop(page))(family);
    const parameters = JSON.parse(readFileSync(join(ROOT, "spec", "families", family, "layout.schema.json"), "utf8"));
    const [{ properties }] = Object.values(parameters.$defs).filter((one) => one["x-mmraw-family"] === family);
    const single = Object.entries(properties).filter(([, schema]) => !("$ref" in schema)).map(([name]) => name);
    assert.equal(await panel.locator(".parameters output").count(), single.length);
    const shown = () => panel.locator("[aria-live]").textContent();
    const beginning = await shown();
    assert.match(beginning, /grid_|tiles_/);
    const told = new Set([beginning]);
    for (const name of single) {
      const box = panel.locator(`#${family}-${name}-null`);
      if (await box.count()) {
        await box.click();
        told.add(await shown());
        if (await box.isChecked()) await box.click();
      }
      const control = panel.locator(`#${family}-${name}`);
      if (await control.getAttribute("type") === "checkbox") {
        await control.click();
        told.add(await shown());
        await control.click();
        continue;
      }
      const at = await control.inputValue();
      for (const value of ["0", await control.getAttribute("max"), at]) {
        await control.fill(value);
        told.add(await shown());
      }
    }
    assert.ok(told.size > single.length, "each parameter changes at least the fingerprint");
    for (const text of told) assert.match(text, /grid_|tiles_|invalid_config|layout_refused|limit_exceeded|aspect_ratio/);
    await panel.screenshot({ path: join(SHOTS, `family-${family}.png`) });
    assert.deepEqual(seen.problems, []);
    await close();
  });
}

test("choices, a factor, a switch and null are set as what they are", async () => {
  const { page, close } = await open();
  const panel = await drop(page);
  const output = (family, name) => panel(family).locator(`output[for="${family}-${name}"]`);
  const budgets = [];
  for (const index of ["0", "1", "2", "3", "4"]) {
    await page.locator("#gemma4-max_soft_tokens").fill(index);
    budgets.push(await output("gemma4", "max_soft_tokens").textContent());
  }
  assert.deepEqual(budgets, ["70", "140", "280", "560", "1,120"]);
  assert.equal(await output("nemotron_h_omni", "downsample_ratio").textContent(), "0.5");
  assert.equal(await output("inkling", "rescale_image_frac").textContent(), "null");
  assert.ok(await page.locator("#inkling-rescale_image_frac").isDisabled());
  await page.locator("#inkling-rescale_image_frac-null").click();
  assert.equal(await output("inkling", "rescale_image_frac").textContent(), "1");
  await page.locator("#internvl-crop_to_patches").click();
  assert.match(await panel("internvl").locator("[aria-live]").textContent(), /tiles_hw 1×1/);
  await close();
});

test("tiles have their thumbnail, and rows their ends", async () => {
  const { page, close } = await open();
  const panel = await drop(page);
  // 320x200 is cut into 2 by 3 tiles; one more holds the whole picture.
  assert.match(await panel("internvl").locator("[aria-live]").textContent(), /num_patches 7, tiles_hw 2×3/);
  assert.equal(await panel("internvl").locator("svg image.thumbnail").count(), 1);
  await page.locator("#internvl-crop_to_patches").click();
  assert.equal(await panel("internvl").locator("svg image.thumbnail").count(), 0);
  // 13 rows of patches of 16 pixels: a break behind each but the last, which an end follows.
  assert.equal(await panel("pixtral").locator("svg .row-end").count(), 12);
  assert.equal(await panel("pixtral").locator("svg .last-end").count(), 1);
  assert.equal(await panel("qwen_vl").locator("svg .row-end").count(), 0);
  await close();
});

test("sizes are laid out for each family without a picture", async () => {
  const { page, close } = await open();
  await page.click("#sizes");
  const tokens = () => page.locator(".tokens").allTextContents();
  const before = await tokens();
  assert.equal(before.length, FAMILIES.length);
  await page.fill("#size-width", "640");
  await page.fill("#size-height", "480");
  const after = await tokens();
  assert.ok(after.every((text, index) => text !== before[index]), "every family has another count");
  await close();
});
