/** The segments of a JPEG up to its first scan. */
import { MMRawError } from "../errors.js";
import type { Limits } from "../generated/limits.js";
import { spells, u16be, u32be } from "./bytes.js";
import { broken, tooManyParts, unreadable } from "./structure.js";
import type { Size } from "./structure.js";

/** An EXIF block fits one segment; decoders join several at a cost that is quadratic. */
const MOST_EXIF = 16;
const SCAN = 0xda;
/** Markers without a length: TEM, RSTn, SOI, EOI. */
const isAlone = (code: number): boolean => code === 0x01 || (code >= 0xd0 && code <= 0xd9);
/** Segments that no image uses, and whose insides decoders search byte by byte. */
const isSkipped = (code: number): boolean =>
  [0xc8, 0xcc, 0xde, 0xdf].includes(code) || (code >= 0xf0 && code <= 0xfd);
const isFrame = (code: number): boolean =>
  code >= 0xc0 && code <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(code);

/** Size of the first picture; of a file with several (MPO) the first counts. */
export function readJpeg(data: Uint8Array, limits: Limits): Size {
  if (!hasScan(data, limits)) throw broken("there is no scan after whole segments");
  let size: readonly [number, number] | null = null;
  let at = 2;
  while (at < data.length) {
    if (data[at] !== 0xff) {
      at++;
      continue;
    }
    const code = data[at + 1];
    if (code === undefined) break;
    if (code === 0xff || code === 0x00) {
      at += code === 0xff ? 1 : 2;
      continue;
    }
    if (code >= 0x02 && code < 0xc0) throw unreadable(data);
    if (code === 0x01) throw unreadable(data);
    if (hasNoHandler(code)) {
      at += 2;
      continue;
    }
    const length = u16be(data, at + 2);
    const end = at + 2 + length;
    if (at + 4 > data.length || end > data.length) throw unreadable(data);
    if (isFrame(code) || code === 0xde) size = frameSize(data, at + 4, Math.max(end, at + 4));
    if (!isReadable(code, data.subarray(at + 4, end))) throw unreadable(data);
    if (code === SCAN) break;
    at = Math.max(end, at + 4);
  }
  if (size === null) throw unreadable(data);
  return { width: size[0], height: size[1], frames: 1 };
}

/** Markers that decoders pass by without a look at a length. */
function hasNoHandler(code: number): boolean {
  return code === 0xc8 || (code >= 0xd0 && code <= 0xd9) || (code >= 0xf0 && code <= 0xfd);
}

/** True if a segment holds what decoders read of it without asking for its length. */
function isReadable(code: number, body: Uint8Array): boolean {
  if (code === 0xe0 && spells(body, 0, "JFIF")) return body.length >= 7;
  if (code === 0xee && spells(body, 0, "Adobe")) return body.length >= 7;
  if (code === 0xed && spells(body, 0, "Photoshop 3.0\0")) return areResources(body);
  if (code !== 0xdb) return true;
  let at = 0;
  // Quantization tables of 64 entries, of one or two bytes each.
  while (at < body.length) at += body[at]! < 16 ? 65 : 129;
  return at === body.length;
}

/** True if no image resource ends in front of the length of its name. */
function areResources(body: Uint8Array): boolean {
  let at = 14;
  while (spells(body, at, "8BIM")) {
    if (at + 6 === body.length) return false;
    const nameEnd = at + 7 + (body[at + 6] ?? 0);
    const start = nameEnd + (nameEnd % 2) + 4;
    const end = start + u32be(body, start - 4);
    at = end + (end % 2);
  }
  return true;
}

function frameSize(data: Uint8Array, at: number, end: number): readonly [number, number] {
  const layers = data[at + 5];
  const fits = end - at >= 6 && data[at] === 8 && (layers === 1 || layers === 3 || layers === 4);
  if (!fits || (end - at - 6) % 3 !== 0) throw unreadable(data);
  return [u16be(data, at + 3), u16be(data, at + 1)];
}

/** True if a scan follows, with the segments counted before anything is made of them. */
function hasScan(data: Uint8Array, limits: Limits): boolean {
  let at = 2;
  let parts = 0;
  let exif = 0;
  for (;;) {
    parts++;
    // Bytes between segments are skipped one by one by decoders.
    const window = data.subarray(at, at + limits.image_parts);
    const found = window.indexOf(0xff);
    if (parts > limits.image_parts || (found < 0 && at + limits.image_parts < data.length)) {
      throw tooManyParts(limits);
    }
    const start = at + found;
    if (found < 0 || start + 4 > data.length) return false;
    const code = data[start + 1]!;
    if (code === 0x00 || code === 0xff || isAlone(code)) {
      at = start + (code === 0xff ? 1 : 2);
      continue;
    }
    if (code === SCAN) return true;
    const length = u16be(data, start + 2);
    if (isSkipped(code)) parts += length;
    else if (code === 0xe1 && spells(data, start + 4, "Exif\x00\x00") && ++exif > MOST_EXIF) {
      throw new MMRawError("limit_exceeded", `expected at most ${MOST_EXIF} EXIF segments, got more`);
    }
    at = start + 2 + length;
  }
}
