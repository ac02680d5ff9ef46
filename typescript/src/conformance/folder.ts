/** Images in a folder, for the conformance protocol: simple, and not meant for several writers. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { sha256Hex } from "../codec/sha256.js";
import type { AssetStore } from "../convert.js";
import { MMRawError } from "../errors.js";
import { DEFAULT_LIMITS } from "../generated/limits.js";
import { formatOf } from "../images/index.js";
import { checkRawImageId } from "../names.js";

const EXTENSIONS = { png: "png", jpeg: "jpg", webp: "webp", gif: "gif" };
const HASH_STEM = /^([a-f0-9]{16}|[a-f0-9]{32}|[a-f0-9]{64})(?:\.[A-Za-z0-9_-]+)?$/;

/** The bytes of a regular file that is no larger than an image may be. */
export function readFile(path: string): Uint8Array {
  const data = readRegular(path, 0);
  if (data === null) {
    throw new MMRawError("source_unavailable", "expected a readable regular file at this path, got none");
  }
  return checked(data);
}

function checked(data: Uint8Array): Uint8Array {
  if (data.length === 0) throw new MMRawError("empty_source", "expected an image, got no bytes");
  if (data.length > DEFAULT_LIMITS.inline_image_bytes) {
    const reason = `expected at most ${DEFAULT_LIMITS.inline_image_bytes} bytes in an image, got more`;
    throw new MMRawError("limit_exceeded", reason);
  }
  return data;
}

function readRegular(path: string, flags: number): Uint8Array | null {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | flags);
    try {
      return fstatSync(file).isFile() ? new Uint8Array(readFileSync(file)) : null;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

/** A store in the folder `directory`. */
export function openStore(directory: string, create: boolean): AssetStore {
  const folder = resolve(directory);
  if (create && !existsSync(folder)) mkdirSync(folder, { recursive: true });
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new MMRawError("store_invalid", "the store's directory does not exist");
  }
  const read = (name: string): Uint8Array | null =>
    readRegular(join(folder, checkRawImageId(name)), constants.O_NOFOLLOW);
  return {
    put: (data) => put(folder, checked(data)),
    url: (name) => pathToFileURL(join(folder, checkRawImageId(name))).href,
    get: (name) => {
      const data = read(name);
      if (data === null) {
        const reason = "no stored image of that name (or it is not a regular file)";
        throw new MMRawError("source_unavailable", reason, "$.raw_image_id");
      }
      return verified(data, name);
    },
  };
}

function put(folder: string, data: Uint8Array): string {
  const format = formatOf(data);
  const digest = sha256Hex(data);
  const name = `${digest}.${format === null ? "img" : EXTENSIONS[format]}`;
  const temporary = join(folder, `.mmraw-${process.pid}.tmp`);
  writeFileSync(temporary, data);
  renameSync(temporary, join(folder, name));
  return name;
}

function verified(data: Uint8Array, name: string): Uint8Array {
  const promised = HASH_STEM.exec(name)?.[1];
  if (promised !== undefined && !sha256Hex(data).startsWith(promised)) {
    throw new MMRawError("object_corrupt", "a stored image does not fit its name");
  }
  return data;
}
