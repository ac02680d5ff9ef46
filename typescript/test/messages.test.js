import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  decodeBase64,
  findImages,
  getAdapter,
  inlineMessages,
  MMRawError,
  offloadMessages,
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
  const heads = ["data:image;base64,", "DATA:image/PNG;Base64,", "data:;charset=utf-8;base64,", ""];
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
