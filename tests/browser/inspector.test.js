/** The inspector in a real browser. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ROOT, launch, serve } from "./site.js";

const VECTORS = join(ROOT, "spec", "vectors");
const SHOTS = join(ROOT, "build", "screenshots");

let site;
let browser;

before(async () => {
  site = await serve();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.stop();
});

/** A page of the inspector; every request it makes is noted. */
async function open(options = {}, fragment = "") {
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

function vectors(name) {
  return readFileSync(join(VECTORS, `${name}.jsonl`), "utf8").trim().split("\n").map((line) => JSON.parse(line));
}

async function inspect(page, text) {
  await page.fill("#text", text);
  await page.click("#inspect");
}

/** accepted, refused, or nothing, by what the page shows of the text as a whole. */
async function verdict(page, kind = "Ref") {
  const titles = await page.locator("article h2").allTextContents();
  const whole = titles.length === 1 && titles[0].startsWith(kind) && titles[0].includes(" at $:");
  if (!whole) return "nothing";
  return titles[0].endsWith("accepted") ? "accepted" : "refused";
}

test("recorded refs and envelopes get the verdict that Python gives them", async () => {
  const { page, seen, close } = await open();
  const rows = ["parse_ref", "hostile-parse_ref", "parse_item", "hostile-parse_item"].flatMap(vectors);
  let count = 0;
  for (const { id, op, input, error } of rows) {
    const text = input.ref ?? input.text ?? JSON.stringify(input.item);
    // Blanks around a pasted text are the reader's, and a recipe is made by the runner.
    if (typeof text !== "string" || text !== text.trim() || /[\r\n]/.test(text)) continue;
    if (text.includes('"$gen"') || text.length > 200_000) continue;
    await inspect(page, text);
    const found = await verdict(page, op === "parse_ref" ? "Ref" : "Envelope");
    assert.equal(found === "accepted", error === undefined, `${id}: the page says ${found}`);
    count += 1;
  }
  assert.ok(count > 400, `${count} rows`);
  assert.deepEqual(seen.problems, []);
  await close();
});

test("an inline ref shows its picture under its grid, its tokens, and the hash as verified", async () => {
  const { page, seen, close } = await open();
  await page.click("#example");
  await page.getByText("the hash is verified").waitFor();
  await page.getByText("70 tokens").waitFor();
  assert.equal(await page.locator("article svg image").count(), 1);
  await page.getByText("In all other dialects").click();
  const rows = await page.locator("details table tr").allTextContents();
  const dialects = readdirSync(join(ROOT, "spec", "ref"), { recursive: true }).filter((name) => name.endsWith(".schema.json"));
  assert.equal(rows.length, 1 + dialects.length + 1, "a head, each dialect, the envelope");
  assert.ok(rows.some((text) => text.startsWith("v2") && text.includes("not_convertible")));
  await page.screenshot({ path: join(SHOTS, "example.png"), fullPage: true });
  assert.deepEqual(seen.problems, []);
  assert.ok(seen.requests.every((url) => url.startsWith(site.url) || url.startsWith("blob:")), seen.requests.join());
  await close();
});

test("content parts and mm_refs are one card each, with a verdict on every image", async () => {
  const { page, seen, close } = await open();
  const url = vectors("parse_ref").find(({ input, error }) => !error && String(input.ref).startsWith("mmraw:v3:")).input.ref;
  const parts = [{ type: "image_url", url }, { type: "image_url", url: url.slice(0, -7) }];
  await inspect(page, JSON.stringify({ content_parts: parts, mm_refs: [[[url, 5, 64]]] }));
  const titles = await page.locator("article h2").allTextContents();
  assert.deepEqual(titles.map((title) => title.replace(/, read as \w+/, "")), [
    "Content parts at $.content_parts: refused",
    "mm_refs at $.mm_refs: accepted",
  ]);
  const verdicts = await page.locator("article h3:text-is('Images') + .scroll tbody tr td:nth-child(2)").allTextContents();
  assert.deepEqual(verdicts.map((text) => text === "accepted"), [true, false, true]);
  assert.equal(await page.getByText("5+64").count(), 1);
  await page.locator("summary", { hasText: "Image 0" }).first().click();
  assert.deepEqual(seen.problems, []);
  await close();
});

test("a fault is named at its place, with its rule", async () => {
  const { page, close } = await open();
  const body = { family: "qwen_vl", fingerprint: "XYZ", mm_hash: "67f463a70fcc80e6b6c13d2563a723f2", modality: "image",
    payload: { image_grid_thw: [[1, 15, 16]] }, raw_image_id: "../x", run_id: "exp42", more: 1 };
  await inspect(page, `mmraw:v3:${Buffer.from(JSON.stringify(body)).toString("base64url")}`);
  assert.equal(await verdict(page), "refused");
  const marked = await page.locator("tr.fault td:first-child").allTextContents();
  assert.deepEqual(marked, ["fingerprint", "payload", "raw_image_id", "more"]);
  const link = page.locator("article a").first();
  const href = await link.getAttribute("href");
  const answer = await page.request.get(new URL(href, page.url()).href);
  assert.equal(answer.status(), 200);
  assert.ok((await answer.text()).includes(`id="${href.split("#")[1]}"`));
  await page.screenshot({ path: join(SHOTS, "refused.png"), fullPage: true });
  await close();
});

test("lines of a rollout are inspected one by one", async () => {
  const { page, close } = await open();
  const [good] = vectors("parse_ref").filter((row) => row.error === undefined);
  const line = JSON.stringify({ turns: [{ features: [good.input.ref, "mmraw:v9:x"] }] });
  await inspect(page, `${line}\n${line}`);
  assert.equal(await page.textContent("#status"), "4 found, 2 refused.");
  assert.ok((await page.locator("article h2").first().textContent()).includes("line 1, $.turns[0].features[1]"));
  await close();
});

/** Drops the picture of the vectors onto a page, and gives the panel of a family. */
async function drop(page) {
  const data = readFileSync(join(VECTORS, "images", "exif6_320x200.jpg")).toString("base64");
  const transfer = await page.evaluateHandle((text) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], "exif6.jpg", { type: "image/jpeg" }));
    return dropped;
  }, data);
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  await page.getByText("Picture exif6.jpg").waitFor();
  await page.getByText("320x200 jpeg").waitFor();
  return (family) => page.locator("section", { has: page.locator(`h3:text("(${family})")`) }).last();
}

/** The names of the built-in families: each has a folder in spec/. */
const FAMILIES = readdirSync(join(ROOT, "spec", "families"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test("a dropped picture is laid out for each family, and sliders set the layout parameters", async () => {
  const { page, seen, close } = await open();
  const panel = await drop(page);
  const cells = () => panel("qwen_vl").locator("tbody td").allTextContents();
  const before = await cells();
  await page.focus("#qwen_vl-min_pixels");
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowRight");
  const turned = await cells();
  assert.notEqual(turned[1], before[1]);
  assert.notEqual(turned[4], before[4], "another parameter, another fingerprint");
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
  assert.match(await panel("internvl").locator("[aria-live]").textContent(), /tiles_hw 1x1/);
  await close();
});

test("tiles have their thumbnail, and rows their ends", async () => {
  const { page, close } = await open();
  const panel = await drop(page);
  // 320x200 is cut into 2 by 3 tiles; one more holds the whole picture.
  assert.match(await panel("internvl").locator("[aria-live]").textContent(), /num_patches 7, tiles_hw 2x3/);
  assert.equal(await panel("internvl").locator("svg image.thumbnail").count(), 1);
  await page.locator("#internvl-crop_to_patches").click();
  assert.equal(await panel("internvl").locator("svg image.thumbnail").count(), 0);
  // 13 rows of patches of 16 pixels: a break behind each but the last, which an end follows.
  assert.equal(await panel("pixtral").locator("svg .row-end").count(), 12);
  assert.equal(await panel("pixtral").locator("svg .last-end").count(), 1);
  assert.equal(await panel("qwen_vl").locator("svg .row-end").count(), 0);
  await close();
});

test("a dropped text file is inspected", async () => {
  const { page, close } = await open();
  const [good] = vectors("parse_ref").filter((row) => row.error === undefined);
  await page.setInputFiles("#file", { name: "a.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify([good.input.ref])) });
  await page.getByText("1 found, 0 refused.").waitFor();
  await close();
});

test("a link carries a text behind its #, and sends it nowhere", async () => {
  const { page, close } = await open();
  await page.fill("#text", "mmraw:v9:hello");
  await page.click("#link");
  const address = page.url();
  assert.ok(address.includes("#text=mmraw"));
  const again = await open({}, new URL(address).hash);
  assert.equal(await again.page.inputValue("#text"), "mmraw:v9:hello");
  assert.equal(await verdict(again.page), "refused");
  assert.ok(again.seen.requests.every((url) => !url.includes("hello")));
  await again.close();
  await close();
});

test("hostile input is shown as text and never run", async () => {
  const { page, seen, close } = await open();
  const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
  const body = { family: evil, [evil]: evil, payload: { [evil]: evil } };
  await inspect(page, `mmraw:v3:${Buffer.from(JSON.stringify(body)).toString("base64url")}`);
  assert.equal(await page.locator("article img, article script").count(), 0);
  assert.ok((await page.textContent("article")).includes("<script>"));
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return "ran" in window;
  });
  assert.equal(ran, false, "the content-security policy blocks inline scripts");
  assert.ok(seen.problems.every((text) => text.includes("Content Security Policy")), seen.problems.join());
  await close();
});

test("it works by keyboard alone", async () => {
  const { page, close } = await open();
  const [good] = vectors("parse_ref").filter((row) => row.error === undefined);
  for (let press = 0; press < 3; press += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement?.id === "text")) break;
  }
  await page.keyboard.insertText(good.input.ref);
  await page.keyboard.press("Control+Enter");
  assert.equal(await verdict(page), "accepted");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "results");
  await close();
});

test("on a phone nothing is wider than the screen", async () => {
  const { page, close } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await page.click("#example");
  await page.getByText("the hash is verified").waitFor();
  const widths = () => page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  const [wide, screen] = await widths();
  assert.ok(wide <= screen, `${wide} > ${screen}`);
  await page.screenshot({ path: join(SHOTS, "phone-dark.png") });
  await drop(page);
  const [wider] = await widths();
  assert.ok(wider <= screen, `${wider} > ${screen} with controls`);
  await close();
});

const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

for (const colorScheme of ["light", "dark"]) {
  test(`accessibility holds in ${colorScheme} mode`, async () => {
    const { page, close } = await open({ colorScheme, bypassCSP: true });
    await page.click("#example");
    await page.getByText("the hash is verified").waitFor();
    await page.evaluate(AXE);
    for (const show of [() => undefined, () => drop(page)]) {
      await show();
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map((found) => `${found.id}: ${found.nodes[0]?.html}`), []);
    }
    await close();
  });
}
