/** The inspector in a real browser. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
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
  assert.equal(rows.length, 1 + 6 + 1);
  assert.ok(rows.some((text) => text.startsWith("v2") && text.includes("not_convertible")));
  await page.screenshot({ path: join(SHOTS, "example.png"), fullPage: true });
  assert.deepEqual(seen.problems, []);
  assert.ok(seen.requests.every((url) => url.startsWith(site.url) || url.startsWith("blob:")), seen.requests.join());
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

test("a dropped picture is laid out for each family, and sliders set the layout parameters", async () => {
  const { page, seen, close } = await open();
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
  const cells = () => page.locator("section", { hasText: "qwen_vl" }).last().locator("tbody td").allTextContents();
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
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= screen, `${wide} > ${screen}`);
  await page.screenshot({ path: join(SHOTS, "phone-dark.png") });
  await close();
});

const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

for (const colorScheme of ["light", "dark"]) {
  test(`accessibility holds in ${colorScheme} mode`, async () => {
    const { page, close } = await open({ colorScheme, bypassCSP: true });
    await page.click("#example");
    await page.getByText("the hash is verified").waitFor();
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map((found) => `${found.id}: ${found.nodes[0]?.html}`), []);
    await close();
  });
}
