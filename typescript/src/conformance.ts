#!/usr/bin/env node
/**
 * Answers the conformance protocol: JSON lines on standard input and output.
 *
 * Source: spec/README.md, section "Conformance".
 */
import { writeSync } from "node:fs";

import { write } from "./codec/canonical.js";
import { parseJson } from "./codec/json.js";
import { get, has, isObject } from "./codec/values.js";
import type { JsonObject, JsonValue } from "./codec/values.js";
import { openStore, readFile } from "./conformance/folder.js";
import { OPERATIONS } from "./conformance/operations.js";
import { MMRawError } from "./errors.js";
import { FAMILIES } from "./families/index.js";
import { DIALECTS } from "./generated/wire.js";
import { VERSION } from "./version.js";

const PROTOCOL_VERSION = 1;
const MACHINE = { openStore, readFile };
/** Documents deeper than a reader may go must still arrive, to be rejected by it. */
const REQUEST_DEPTH = 1000;

function implementation(): object {
  return {
    name: "mmraw-protocol",
    language: "typescript",
    version: VERSION,
    dialects: Object.keys(DIALECTS),
    families: FAMILIES,
    ops: Object.keys(OPERATIONS),
  };
}

function refusal(error: unknown): object {
  if (!(error instanceof MMRawError)) throw error;
  const { code, path, reason } = error;
  return { ok: false, error: { code, path, message: reason } };
}

/** The answer to one request; null for `stop`. */
function answer(line: Uint8Array): object | null {
  let request: JsonValue = null;
  try {
    request = parseJson(line, { lenient: true, maxDepth: REQUEST_DEPTH });
  } catch (error) {
    return { seq: null, ...refusal(error) };
  }
  const command = isObject(request) ? get(request, "cmd") : undefined;
  if (command === "stop") return null;
  if (command === "start") return { version: PROTOCOL_VERSION, implementation: implementation() };
  return command === "run"
    ? run(request as JsonObject)
    : refusal(new MMRawError("invalid_json", "not a request"));
}

function run(request: JsonObject): object {
  const seq = get(request, "seq") ?? null;
  const name = String(get(request, "op"));
  const operation = has(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (operation === undefined) {
    return { seq, skipped: true, message: "this operation is not known here" };
  }
  const input = get(request, "input");
  try {
    if (!isObject(input)) throw new MMRawError("invalid_type", "expected an object in input");
    return { seq, ok: true, result: operation(input, MACHINE) };
  } catch (error) {
    return { seq, ...refusal(error) };
  }
}

/** Writes all of `text` before it returns, also where the reader is slow. */
function say(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
    }
  }
}

/** Lines end in a line feed alone: JSON strings may hold what others call a line's end. */
async function* lines(): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = [];
  for await (const chunk of process.stdin) {
    let data = chunk as Uint8Array;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      yield Buffer.concat([...rest, data.subarray(0, end)]);
      rest = [];
      data = data.subarray(end + 1);
    }
    rest.push(data);
  }
  yield Buffer.concat(rest);
}

for await (const line of lines()) {
  if (line.every((byte) => byte <= 0x20)) continue;
  const reply = answer(line);
  if (reply === null) break;
  say(`${write(reply as JsonValue)}\n`);
}
process.exit(0);
