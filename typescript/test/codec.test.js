import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import {
  canonicalJson,
  decodeBase64,
  decodeBase64Url,
  encodeBase64,
  encodeBase64Url,
  JsonFloat,
  MMRawError,
  parseJson,
  parseRef,
  sha256Hex,
  toPlain,
} from "../dist/index.js";

function code(work) {
  try {
    work();
    return null;
  } catch (error) {
    assert.ok(error instanceof MMRawError, String(error));
    return error.code;
  }
}

/** Bytes that look random and are the same in each run. */
function bytes(length, seed = 1) {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  });
}

test("sha256 agrees with node's for every length of block and tail", () => {
  for (let length = 0; length < 200; length++) {
    const data = bytes(length, length);
    assert.equal(sha256Hex(data), createHash("sha256").update(data).digest("hex"));
  }
  const large = bytes(1_000_003);
  assert.equal(sha256Hex(large), createHash("sha256").update(large).digest("hex"));
});

test("base64 of both alphabets agrees with node's and comes back", () => {
  for (let length = 0; length < 100; length++) {
    const data = bytes(length, length);
    assert.equal(encodeBase64(data), Buffer.from(data).toString("base64"));
    assert.equal(encodeBase64Url(data), Buffer.from(data).toString("base64url"));
    assert.deepEqual(decodeBase64(encodeBase64(data)), data);
    assert.deepEqual(decodeBase64Url(encodeBase64Url(data)), data);
  }
});

test("base64 has one text for each value", () => {
  for (const text of [
    "QQ",
    "QR==",
    "QUJ=",
    "Q Q=",
    "QQ==\n",
    "QQ===",
    "====",
    "A",
    "-_8=",
    "\u00c1A==",
  ]) {
    assert.equal(
      code(() => decodeBase64(text)),
      "invalid_base64",
      text,
    );
  }
  for (const text of ["QQ==", "QR", "QUJ", "+w", "A", "QQ\n", "\u0141Q"]) {
    assert.equal(
      code(() => decodeBase64Url(text)),
      "invalid_base64",
      text,
    );
  }
});

const REFUSED = [
  ['{"a":1,"a":1}', "duplicate_key"],
  ['{"a":1,"\\u0061":1}', "duplicate_key"],
  ['{"__proto__":1,"__proto__":1}', "duplicate_key"],
  ["[NaN]", "invalid_json"],
  ["[-Infinity]", "invalid_json"],
  ["[1e999]", "invalid_value"],
  ["[9007199254740992]", "invalid_value"],
  [`[${"9".repeat(5000)}]`, "invalid_value"],
  ['"\\ud800"', "invalid_encoding"],
  ['{"\\udc00":1}', "invalid_encoding"],
  ["\ufeff{}", "invalid_encoding"],
  [Uint8Array.of(0x22, 0xff, 0x22), "invalid_encoding"],
  ["{} {}", "invalid_json"],
  ["[1,]", "invalid_json"],
  ["[01]", "invalid_json"],
  ["[.5]", "invalid_json"],
  ["[+1]", "invalid_json"],
  ["[1.]", "invalid_json"],
  ['["\t"]', "invalid_json"],
  ['["\\x"]', "invalid_json"],
  ["[\u00a01]", "invalid_json"],
  ["{a:1}", "invalid_json"],
  ["{'a':1}", "invalid_json"],
  ["[".repeat(100_000), "limit_exceeded"],
  ['{"a":'.repeat(100_000), "limit_exceeded"],
  ["", "invalid_json"],
];

for (const [text, expected] of REFUSED) {
  test(`strict JSON refuses ${String(text).slice(0, 20)}`, () => {
    assert.equal(
      code(() => parseJson(text)),
      expected,
    );
  });
}

/** The message of an error. */
function reason(work) {
  try {
    work();
  } catch (error) {
    return error.reason;
  }
  return null;
}

test("a fault of base64 has its kind and its character, counted in the whole text", () => {
  const expected = "expected base64url without padding; got ";
  for (const [body, got] of [
    ["e30=", "padding at character 13"],
    ["e3\n0", "a line break at character 12"],
    ["+30A", "a letter of the standard alphabet at character 10"],
    ["e3...", "dots, as where a text was cut off, at character 12"],
    ["e31", "stray bits in the last character, 12: it was cut off or altered there"],
    ["e3A0A", "5 characters, which is no length of it: it was cut off or altered"],
  ]) {
    assert.equal(reason(() => parseRef(`mmraw:v3:${body}`)), expected + got);
  }
  const standard = "expected standard base64 with padding; got stray bits before the padding, at character 2";
  assert.equal(reason(() => decodeBase64("AB==")), standard);
});

test("a text that is no JSON has its first wrong byte, counted in UTF-8", () => {
  const expected = "expected a valid JSON document; got ";
  for (const [text, got] of [
    ['{"a" 1}', "something else at byte 6"],
    ['{"\u00e9": [1 2]}', "something else at byte 11"],
    ["[1,]", "something else at byte 4"],
    ["{}{}", "something else at byte 3"],
    ['{"a"\\', "something else at byte 5"],
    ['{"a":"b', "one that is cut off after 7 bytes"],
    ['{"a":nul', "one that is cut off after 8 bytes"],
    ["", "one that is cut off after 0 bytes"],
  ]) {
    assert.equal(reason(() => parseJson(text)), expected + got);
  }
});

test("of several faults of a JSON text the first kind is named, whatever stands first", () => {
  const deep = "[".repeat(300);
  const kinds = [
    ["\ud800", "invalid_encoding"],
    ["\\", "invalid_json"],
    [deep, "limit_exceeded"],
    ["}", "invalid_json"],
  ];
  kinds.forEach(([, wanted], at) => {
    const text = kinds.slice(at).map(([part]) => part).reverse().join(" ");
    assert.equal(
      code(() => parseJson(text)),
      wanted,
      text.slice(0, 20),
    );
  });
  const rows = ['"\\ud800"', "1e999", '{"a":1,"a":1}'];
  const codes = ["invalid_encoding", "invalid_value", "duplicate_key"];
  codes.forEach((wanted, at) => {
    const text = `[${rows.slice(at).reverse().join(",")}]`;
    assert.equal(
      code(() => parseJson(text)),
      wanted,
    );
  });
});

test("nesting counts arrays and objects, not what the innermost holds", () => {
  const nested = (levels) => `${"[".repeat(levels)}1${"]".repeat(levels)}`;
  assert.equal(canonicalJson(parseJson(nested(256))), nested(256));
  for (const work of [
    () => parseJson(nested(257)),
    () => canonicalJson(parseJson(nested(257), { maxDepth: 300 })),
  ]) {
    assert.equal(code(work), "limit_exceeded");
  }
});

test("a budget of values is kept before anything is built", () => {
  const read = (text) => code(() => parseJson(text, { maxValues: 3 }));
  assert.equal(read("[1,2]"), null);
  assert.equal(read("[1,2,3,4]"), "limit_exceeded");
  assert.equal(read('"" '.repeat(9)), "limit_exceeded");
  assert.equal(read("[1,2,3,4"), "limit_exceeded");
  const wide = `"${"\u00e9".repeat(1 << 17)}"`;
  assert.equal(read(wide), "limit_exceeded");
  assert.equal(
    code(() => parseJson(wide)),
    null,
  );
});

test("integers and floats are kept apart, and written as they were", () => {
  const text = '{"a":[1,1.0,-0.0,1e+16,1.5e-07,0.0001,1234567890123456.0,5e-324],"b":0}';
  assert.equal(canonicalJson(parseJson(text)), text);
  assert.equal(canonicalJson(parseJson("[-0, 1E2, 10.50]")), "[0,100.0,10.5]");
  assert.deepEqual(toPlain(parseJson("[1, 1.0]")), [1, 1]);
  assert.equal(canonicalJson([1, 0.5, new JsonFloat(2)]), "[1,0.5,2.0]");
});

test("keys are sorted by code point, and any key is just a key", () => {
  const value = parseJson('{"\\ud83d\\ude00":1,"\\uffff":2,"10":3,"9":4,"__proto__":5,"":6}');
  assert.equal(
    canonicalJson(value),
    '{"":6,"10":3,"9":4,"__proto__":5,"\\uffff":2,"\\ud83d\\ude00":1}',
  );
});

test("everything beyond printable ASCII is escaped", () => {
  assert.equal(
    canonicalJson('\x7f/\u00e9"\\\b\f\n\r\t\x01'),
    '"\\u007f/\\u00e9\\"\\\\\\b\\f\\n\\r\\t\\u0001"',
  );
});

test("what is no JSON is never written", () => {
  for (const value of [undefined, NaN, Infinity, 2 ** 53, 1n, "\ud800", new Map(), [() => 1]]) {
    assert.notEqual(
      code(() => canonicalJson(value)),
      null,
      String(value),
    );
  }
  const self = [];
  self.push(self);
  assert.equal(
    code(() => canonicalJson(self)),
    "limit_exceeded",
  );
});
