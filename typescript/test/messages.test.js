import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import {
  decodeBase64,
  findImages,
  getAdapter,
  inlineMessages,
  MMRawError,
  offloadMessages,
  orientationOf,
  packImages,
  sha256Hex,
} from "../dist/index.js";
import { failure } from "./failure.js";

const QWEN = getAdapter("qwen_vl");
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
const URL = `data:image/png;base64,${PIXEL}`;
const IMAGE = { type: "image", image: URL };
const user = (...content) => [{ role: "user", content }];

function vectors(name) {
  const file = new globalThis.URL(`../../spec/vectors/${name}.jsonl`, import.meta.url);
  return readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
}

function memoryStore() {
  const images = new Map();
  return {
    put: (data) => {
      const name = `${sha256Hex(data)}.png`;
      images.set(name, data);
      return name;
    },
    get: (name) => {
      const data = images.get(name);
      if (data === undefined) throw new MMRawError("source_unavailable", "no such image");
      return data;
    },
    url: (name) => `s3://bucket/images/${name}`,
  };
}

const TABLE = [...vectors("find_images-sdk"), ...vectors("find_images")];

test("all that reads messages agrees on every spelling", () => {
  for (const { id, input, result, error } of TABLE) {
    const given = Object.keys(input).length > 1 || !("messages" in input) ? input : input.messages;
    const store = memoryStore();
    const calls = [
      () => packImages(given, QWEN, { store }),
      () => offloadMessages(given, store),
      () => inlineMessages(given),
    ];
    if (error !== undefined) {
      for (const call of calls) assert.equal(failure(call), `${error.code} ${error.path}`, id);
      continue;
    }
    if (result.images.some(({ source }) => source.includes("/data/"))) {
      for (const call of calls) assert.match(failure(call), /^source_unsupported /, id);
      continue;
    }
    const before = JSON.stringify(given);
    const packed = packImages(given, QWEN, { store });
    assert.deepEqual(packed.map(({ where }) => where.path), result.images.map(({ path }) => path), id);
    const stored = offloadMessages(given, store);
    assert.equal(JSON.stringify(given), before, "what is given is never changed");
    assert.equal(findImages(stored).length, packed.length, id);
    const back = packImages(inlineMessages(stored, { store }), QWEN, { storage: "inline" });
    assert.deepEqual(back.map(({ data }) => data), packed.map(({ data }) => data), id);
  }
});

test("bytes are sources, and typed parts keep their kind", () => {
  class Part {
    constructor(image) {
      this.type = "image";
      this.image = image;
    }
  }
  const part = new Part(decodeBase64(PIXEL));
  const store = memoryStore();
  const stored = offloadMessages(user(part), store);
  assert.ok(stored[0].content[0] instanceof Part);
  assert.match(stored[0].content[0].image, /^s3:/);
  assert.ok(part.image instanceof Uint8Array);
  assert.deepEqual(packImages(stored, QWEN, { store })[0].data, decodeBase64(PIXEL));
});

test("what is skipped is counted", () => {
  const messages = user({ type: "image_pil", image_pil: "x" }, IMAGE, { type: "video", video: "a" });
  const skipped = new Map();
  assert.equal(packImages(messages, QWEN, { storage: "inline", skipped }).length, 1);
  assert.deepEqual([...skipped], [["image_part_unknown", 1], ["modality_unsupported", 1]]);
});

test("data: URLs are read in every spelling, and others refused with a true sentence", () => {
  const lines = PIXEL.replace(/(.{76})/g, "$1\r\n");
  const heads = ["data:image;base64,", " \n data:image;base64,", "DATA:image/PNG;Base64,", "data:;charset=utf-8;base64,", ""];
  for (const head of heads) {
    for (const body of [PIXEL, lines, PIXEL.replaceAll("+", "-").replaceAll("/", "_")]) {
      const [packed] = packImages(user({ type: "image", image: head + body }), QWEN, {
        storage: "inline",
      });
      assert.equal(packed.item.raw_uri, URL);
    }
  }
  const says = [
    ["data:image/png,AAAA", "invalid_raw_uri"],
    ["data:image/png;base64,A", "invalid_base64"],
    ["data:image/png;base64,", "empty_source"],
    ["data:audio/wav;base64,AAAA", "modality_unsupported"],
    ["/tmp/a.png", "source_unsupported"],
  ];
  for (const [image, code] of says) {
    const call = () => packImages(user({ type: "image", image }), QWEN, { storage: "inline" });
    assert.equal(failure(call), `${code} $[0].content[0]`);
  }
});

test("layout parameters in a part are those of its image", () => {
  const own = { min_pixels: 3136, max_pixels: 50176 };
  const messages = user(IMAGE, { ...IMAGE, ...own, resized_height: null });
  const [plain, bounded] = packImages(messages, QWEN, { storage: "inline" });
  assert.equal(plain.item.layout_fingerprint, QWEN.fingerprint());
  const expected = getAdapter("qwen_vl", own);
  assert.equal(bounded.item.layout_fingerprint, expected.fingerprint());
  const call = (more, family = "qwen_vl") => () =>
    packImages(user({ ...IMAGE, ...more }), getAdapter(family), { storage: "inline" });
  assert.equal(failure(call({ resized_height: 32 })), "unsupported_option $[0].content[0]");
  assert.equal(failure(call({ min_pixels: 32 }, "gemma4")), "unsupported_option $[0].content[0]");
  assert.equal(failure(call({ max_pixels: "32" })), "invalid_config $[0].content[0]");
});

test("a slot, a message and a row name layout parameters of their images", () => {
  const own = { min_pixels: 3136, max_pixels: 50176 };
  const tagged = { role: "user", content: "<image>", images: [URL] };
  const [message] = user(IMAGE);
  for (const messages of [
    { messages: user({ type: "image", ...own }), images: [URL] },
    [{ ...message, ...own }],
    [{ ...tagged, ...own }],
    { messages: [message], ...own },
    { messages: [tagged], ...own },
    { messages: [{ ...message, ...own }], min_pixels: 1, max_pixels: 2 },
    { messages: user({ type: "image", ...own }), images: [URL], max_pixels: 2 },
  ]) {
    const [packed] = packImages(messages, QWEN, { storage: "inline" });
    assert.equal(packed.item.layout_fingerprint, getAdapter("qwen_vl", own).fingerprint());
  }
  const kept = { messages: [message], mm_processor_kwargs: { max_pixels: 50176 } };
  const call = () => packImages(kept, QWEN, { storage: "inline" });
  assert.equal(failure(call), "unsupported_option $.messages[0].content[0]");
});

test("images that declare alpha are refused unless it is to be dropped", () => {
  const image = (name) => readFileSync(new globalThis.URL(`../../spec/vectors/images/${name}`, import.meta.url));
  const call = (name, options) => () =>
    packImages(user({ type: "image", image: image(name) }), QWEN, { storage: "inline", ...options });
  for (const name of ["rgba_150x90.png", "palette_trns_150x90.png"]) {
    assert.equal(failure(call(name)), "image_transparent $[0].content[0]");
    assert.deepEqual(call(name, { alpha: "drop" })()[0].notes, ["alpha_dropped"]);
  }
  for (const name of ["rgb_101x67.png", "palette_150x90.png", "rgb_250x130.webp", "rgb_320x200.jpg"]) {
    assert.equal(call(name)().length, 1);
  }
});

test("a picture that its EXIF or XMP turns is packed as stored, and said to be", () => {
  const folder = new globalThis.URL("../../spec/vectors/images/", import.meta.url);
  const names = readdirSync(folder).filter((name) => name.startsWith("orientation"));
  assert.ok(names.length > 15);
  for (const name of names) {
    const data = readFileSync(new globalThis.URL(name, folder));
    const isPacked = name.includes("packed");
    assert.equal(orientationOf(data), isPacked ? null : Number(name.at("orientation".length)), name);
    const [{ notes }] = packImages(user({ type: "image", image: data }), QWEN, { storage: "inline" });
    const turned = isPacked ? ["orientation_unknown"] : ["orientation_kept"];
    assert.deepEqual(notes, name.startsWith("orientation1") ? [] : turned, name);
  }
});

test("what cannot be looked into is rejected", () => {
  const bytes = decodeBase64(PIXEL);
  const closed = [
    new Set([IMAGE]),
    new Map([["type", "image"]]),
    [IMAGE].values(),
    bytes.buffer,
    new DataView(bytes.buffer),
    new Uint8Array(8),
    { type: "custom", data: bytes.buffer },
  ];
  for (const part of closed) {
    for (const messages of [user(part), [{ role: "user", content: part }]]) {
      assert.equal(failure(() => findImages(messages)), "image_part_unknown $[0].content[0]");
    }
  }
});

test("layout parameters beside the url count too", () => {
  const own = { min_pixels: 3136, max_pixels: 4096 };
  const [packed] = packImages(user({ type: "image_url", image_url: { url: URL, ...own } }), QWEN, {
    storage: "inline",
  });
  assert.equal(packed.item.layout_fingerprint, getAdapter("qwen_vl", own).fingerprint());
});

test("no image of a row vanishes, whatever its column is named and whatever holds it", () => {
  const bytes = decodeBase64(PIXEL);
  const text = [{ role: "user", content: "hi" }];
  const holders = [
    (one) => one,
    (one) => [one],
    (one) => ({ a: { b: one } }),
    (one) => new Set([one]),
    (one) => new Map([["a", one]]),
    (one) => [one].values(),
    () => new Blob([bytes]),
    () => new Blob([bytes]).stream(),
    () => new Response(bytes),
  ];
  const rejected = (row) => failure(() => findImages(row));
  for (const holder of holders) {
    for (const one of [URL, bytes, { bytes, path: null }, user(IMAGE)[0]]) {
      assert.equal(rejected({ messages: text, frames: holder(one) }), "image_part_unknown $");
    }
    const message = holder(user(IMAGE)[0]);
    const isObject = !Array.isArray(message) && ("a" in message || message instanceof Map);
    const expected = isObject ? null : "image_part_unknown $";
    assert.equal(rejected({ messages: user(IMAGE), other: message }), expected);
    if (holder === holders[1]) continue;
    const held = { role: "user", content: "hi", images: holder(IMAGE) };
    const isPart = holder === holders[0];
    assert.equal(rejected([held]), isPart ? null : "image_part_unknown $[0].images");
  }
  assert.equal(rejected({ messages: text, tags: new Set(["a"]), made: new Date() }), null);
});
