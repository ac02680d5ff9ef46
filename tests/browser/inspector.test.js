/** The inspector in a real browser. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { SHOTS, drop, dropFile, goodRef, inspect, openInspector, states, vectors, verdict, violations } from "./open.js";
import { ROOT, openSite } from "./site.js";

const { site, browser } = await openSite();

const open = (options, fragment) => openInspector(browser, site, options, fragment);

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
    assert.equal(found === "ok" || found === "contradicts", error === undefined, `${id}: the page says ${found}`);
    count += 1;
  }
  assert.ok(count > 400, `${count} rows`);
  assert.deepEqual(seen.problems, []);
  await close();
});

test("an inline ref shows its picture under its grid, its tokens, and what was verified", async () => {
  const { page, seen, close } = await open();
  await page.click("#example-valid");
  assert.equal(await verdict(page), "ok");
  assert.deepEqual(await states(page), { ref: "ok", hash: "ok", grid: "ok", run: "unchecked", source: "ok" });
  assert.equal(await page.locator("article svg image").count(), 1);
  assert.match(await page.locator("article .pairs").textContent(), /Tokens70/);
  await page.getByText("In all dialects").click();
  await page.locator(".dialects > div").first().waitFor();
  const rows = await page.locator(".dialects > div").allTextContents();
  const dialects = readdirSync(join(ROOT, "spec", "ref"), { recursive: true }).filter((name) => name.endsWith(".schema.json"));
  assert.equal(rows.length, dialects.length + 1, "each dialect, and the envelope");
  assert.ok(rows.some((text) => text.startsWith("v2") && text.includes("not_convertible")));
  await page.screenshot({ path: join(SHOTS, "example.png"), fullPage: true });
  assert.deepEqual(seen.problems, []);
  assert.ok(seen.requests.every((url) => url.startsWith(site.url) || url.startsWith("blob:")), seen.requests.join());
  await close();
});

test("a contradiction is never green: the strip, the card and the badge say so", async () => {
  const { page, close } = await open();
  await page.click("#example-broken");
  assert.equal(await verdict(page), "contradicts");
  assert.deepEqual(await states(page), { ref: "ok", hash: "contradicts", grid: "ok", run: "unchecked", source: "ok" });
  assert.match(await page.locator(".headline").textContent(), /^Contradicts itself: hash_mismatch/);
  assert.equal(await page.locator(".headline, article .badge").and(page.locator("[data-state=ok]")).count(), 0);
  const [strip, card] = await Promise.all(["#verdict .strip", "article"].map((name) => page.locator(name).boundingBox()));
  assert.ok(strip.y + strip.height <= card.y, "the strip stands over the card");
  await close();
});

test("the expected run is compared", async () => {
  const { page, close } = await open();
  await page.click("#example-valid");
  for (const [run, state, outcome] of [["exp42", "ok", "ok"], ["exp7", "contradicts", "contradicts"], ["", "unchecked", "ok"]]) {
    await page.fill("#run", run);
    await page.press("#run", "Enter");
    assert.equal((await states(page)).run, state);
    assert.equal(await verdict(page), outcome);
  }
  await page.fill("#run", "../x");
  await page.press("#run", "Enter");
  await page.getByText("invalid_run_id").waitFor();
  await close();
});

test("nothing is empty: examples until there is text, a sentence where nothing was found", async () => {
  const { page, close } = await open();
  assert.equal(await page.locator(".example").count(), 4);
  await page.click("#example-features");
  assert.equal(await page.locator(".strip").getAttribute("data-outcome"), "ok");
  assert.ok(await page.locator(".example").first().isHidden());
  await page.click("#clear");
  await page.click("#example-rollout");
  assert.match(await page.locator(".headline").textContent(), /Rejected: \w+.*2 found: 1 rejected, 1 valid/);
  await inspect(page, "{}");
  await page.getByText("Nothing of this protocol is in it").waitFor();
  await page.click("#clear");
  assert.equal(await page.locator(".example:visible").count(), 4);
  await close();
});

test("a long value is cut, shown whole on demand, and copied whole", async () => {
  const { page, close } = await open();
  await page.click("#example-valid");
  const field = page.locator(".fields > div", { hasText: "raw_uri" }).first();
  const shown = () => field.locator(".value code").textContent();
  assert.ok((await shown()).length < 120);
  await field.getByText("Show all").click();
  const whole = await shown();
  assert.ok(whole.startsWith("data:image/jpeg;base64,") && whole.length > 3000);
  await field.getByText("Show less").click();
  assert.ok((await shown()).length < 120);
  await field.locator(".copy").click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), whole);
  assert.doesNotMatch(await page.textContent("#results"), /`/, "backticks of the specification become code");
  await close();
});

test("content parts and mm_refs are one card each, with a verdict on every image", async () => {
  const { page, seen, close } = await open();
  const url = vectors("parse_ref").find(({ input, error }) => !error && String(input.ref).startsWith("mmraw:v3:")).input.ref;
  const parts = [{ type: "image_url", url }, { type: "image_url", url: url.slice(0, -7) }];
  await inspect(page, JSON.stringify({ content_parts: parts, mm_refs: [[[url, 5, 64]]] }));
  const titles = await page.locator("article h2").allTextContents();
  assert.deepEqual(titles, [
    "Content parts ContentParts rejected",
    "mm_refs MmRefsArray valid",
  ]);
  const verdicts = await page.locator("article h3:text-is('Images') + .scroll tbody tr td:nth-child(2)").allTextContents();
  assert.deepEqual(verdicts.map((text) => text === "valid"), [true, false, true]);
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
  assert.equal(await verdict(page), "rejected");
  const marked = await page.locator(".fields .fault dt").allTextContents();
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
  const line = JSON.stringify({ turns: [{ features: [goodRef(), "mmraw:v9:x"] }] });
  await inspect(page, `${line}\n${line}`);
  assert.match(await page.locator(".headline").textContent(), /4 found in 2 lines: 2 rejected, 2 valid/);
  assert.ok((await page.locator("article header").first().textContent()).includes("line 1, $.turns[0].features[1]"));
  await close();
});

test("refs in lines of a log are found, with line and column", async () => {
  const { page, close } = await open();
  await inspect(page, `12:04 INFO warming up\n12:05 ERROR cannot read '${goodRef()}', giving up`);
  assert.match(await page.locator("article header").allTextContents().then((all) => all.join()), /^Ref.*valid.*line 2, column 26$/);
  await close();
});

test("a large file is read by a worker, which tells its progress", async () => {
  const { page, seen, close } = await open();
  await page.evaluate(() => {
    globalThis.told = [];
    const words = document.getElementById("loading-text");
    new MutationObserver(() => globalThis.told.push(words.textContent)).observe(words, { childList: true });
  });
  const line = JSON.stringify({ refs: [goodRef(), goodRef()] });
  const text = `${Array(12_000).fill(line).join("\n")}\n${JSON.stringify({ ref: `${goodRef()}?` })}\n`;
  const started = page.waitForEvent("worker");
  await dropFile(page, "rollouts.jsonl", "application/json", Buffer.from(text));
  await started;
  await page.locator(".strip").waitFor();
  assert.match(await page.locator(".headline").textContent(), /24,001 found in 12,001 lines: 1 rejected, 24,000 valid/);
  assert.equal(await page.locator("article").count(), 51);
  assert.match(await page.locator("article header").first().textContent(), /^Ref.*line 12001, \$\.ref/);
  assert.equal(await page.inputValue("#text"), "", "the text box stays small");
  const told = await page.evaluate(() => globalThis.told);
  assert.ok(told.some((words) => /^\d+% of rollouts\.jsonl: [\d,]+ found, 0 rejected$/.test(words)), told.join());
  assert.deepEqual(seen.problems, []);
  await close();
});

test("opened as a file it answers too, and reads large files without a worker", async () => {
  const page = await browser.newPage();
  await page.goto(pathToFileURL(join(ROOT, "build", "site", "inspector", "index.html")).href);
  await dropFile(page, "rollouts.jsonl", "application/json", Buffer.from(`${JSON.stringify([goodRef()])}\n`), 8_000);
  await page.locator(".strip[data-outcome=ok]").waitFor();
  assert.match(await page.locator(".headline").textContent(), /8,000 found in 8,000 lines/);
  assert.equal(page.workers().length, 0);
  await page.close();
});

test("reading a large file can be cancelled", async () => {
  const { page, close } = await open();
  const started = page.waitForEvent("worker");
  await dropFile(page, "rollouts.jsonl", "application/json", Buffer.from(`${JSON.stringify([goodRef()])}\n`), 400_000);
  const ended = (await started).waitForEvent("close");
  await page.click("#cancel");
  await ended;
  assert.equal(await page.locator(".example:visible").count(), 4);
  await close();
});

test("a dropped text file is inspected, and the drop zone shows while it hovers", async () => {
  const { page, close } = await open();
  await page.dispatchEvent("body", "dragover");
  assert.ok(await page.locator(".drop").isVisible());
  await page.dispatchEvent("body", "dragleave");
  assert.ok(await page.locator(".drop").isHidden());
  await page.setInputFiles("#file", { name: "a.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify([goodRef()])) });
  await page.locator(".strip[data-outcome=ok]").waitFor();
  await close();
});

test("colours follow the site's switch, and choose for the site too", async () => {
  const { page, close } = await open({ colorScheme: "light" });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "light");
  await page.click("#theme");
  assert.equal(await theme(), "dark");
  await page.goto(`${site.url}/index.html`);
  assert.equal(await page.evaluate(() => document.body.dataset.mdColorScheme), "slate");
  await page.locator("label[title='Switch to light mode']").click();
  await page.goto(`${site.url}/inspector/index.html`);
  assert.equal(await theme(), "light");
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
  assert.equal(await verdict(again.page), "rejected");
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
  for (let press = 0; press < 5; press += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement?.id === "text")) break;
  }
  await page.keyboard.insertText(goodRef());
  await page.keyboard.press("Control+Enter");
  assert.equal(await verdict(page), "ok");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "verdict");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement?.closest("#results") !== null), "the findings come next");
  await close();
});

test("a picture stands beside the fields from 1000 pixels, and over them on phones", async () => {
  for (const [width, beside] of [[1000, true], [390, false]]) {
    const { page, close } = await open({ viewport: { width, height: 844 } });
    await page.click("#example-valid");
    const [picture, fields] = await Promise.all(["article figure", "article .fields"].map((name) => page.locator(name).first().boundingBox()));
    assert.equal(picture.x + picture.width <= fields.x, beside, `${width}`);
    assert.equal(picture.y + picture.height <= fields.y, !beside, `${width}`);
    const headline = await page.locator(".headline").boundingBox();
    assert.ok(headline.y + headline.height < 844, "the verdict is seen without scrolling");
    await close();
  }
});

test("on a phone nothing is wider than the screen", async () => {
  const { page, close } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  const check = async (what) => {
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${wide} > ${screen}: ${what}`);
  };
  await check("empty");
  for (const id of ["valid", "broken", "features", "rollout"]) {
    await page.click("#clear");
    await page.click(`#example-${id}`);
    for (const summary of await page.locator("article > details > summary").all()) await summary.click();
    await check(id);
  }
  await page.screenshot({ path: join(SHOTS, "phone-dark.png") });
  await drop(page);
  await check("families");
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`accessibility holds in ${colorScheme} mode, contrast included`, async () => {
    const { page, close } = await open({ colorScheme, bypassCSP: true });
    assert.deepEqual(await violations(page), []);
    for (const id of ["valid", "broken", "features", "rollout"]) {
      await page.click("#clear");
      await page.click(`#example-${id}`);
      for (const summary of await page.locator("article details > summary:visible").all()) await summary.click();
      assert.deepEqual(await violations(page), [], id);
    }
    await inspect(page, "mmraw:v3:" + Buffer.from(JSON.stringify({ family: "qwen_vl", more: 1 })).toString("base64url"));
    assert.deepEqual(await violations(page), [], "a ref with faults");
    await drop(page);
    assert.deepEqual(await violations(page), [], "families");
    await close();
  });
}
