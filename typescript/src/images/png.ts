/** The chunks of a PNG up to its picture data. */
import type { Limits } from "../generated/limits.js";
import { fourChars, spells, u32be } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { broken, tooManyParts, unreadable } from "./structure.js";
import type { Size } from "./structure.js";

/** Bit depths of each colour type. */
const DEPTHS: { readonly [colour: number]: readonly number[] } = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** Fewest bytes of chunks that a decoder looks into. */
const MIN_SIZE: { readonly [kind: string]: number } = {
  IHDR: 13,
  acTL: 8,
  fcTL: 26,
  gAMA: 4,
  pHYs: 9,
  sRGB: 1,
};
/** The same for the transparent colour, by colour type. */
const MIN_SIZE_BY_COLOUR: { readonly [colour: number]: number } = { 0: 2, 2: 6 };
/** The offset of the content of the file's first chunk. */
const HEADER = 16;

/** Notes of the chunks that were seen. */
interface Seen {
  frames: number | null;
  bounded: boolean;
  sequence: number;
}

/** Size and frames, from the chunks before the first picture data. */
export function readPng(data: Uint8Array, limits: Limits): Size {
  checkChunks(data, limits);
  const width = u32be(data, HEADER);
  const height = u32be(data, HEADER + 4);
  const seen: Seen = { frames: null, bounded: false, sequence: -1 };
  let at = 8;
  for (;;) {
    const kind = fourChars(data, at + 4);
    const length = u32be(data, at);
    const end = at + 12 + length;
    if (!/^\w{4}$/.test(kind)) throw unreadable(data);
    if (kind === "IDAT" || kind === "IEND") break;
    if (kind === "fdAT") {
      if (!isNextPicture(data, at, seen)) throw unreadable(data);
      break;
    }
    const whole = end <= data.length && crc32(data, at + 4, end - 4) === u32be(data, end - 4);
    if (!whole || length < shortest(kind, data)) throw unreadable(data);
    if (kind === "acTL") seen.frames = u32be(data, at + 8);
    if (kind === "fcTL" && !noteFrame(data, at + 8, seen)) throw unreadable(data);
    at = end;
  }
  if (data[HEADER + 11] !== 0) throw unreadable(data);
  // Picture data before the first frame control is a picture of its own.
  const still = seen.frames !== null && !seen.bounded && spells(data, at + 4, "IDAT") ? 1 : 0;
  return { width, height, frames: (seen.frames ?? 1) + still };
}

function shortest(kind: string, data: Uint8Array): number {
  return (kind === "tRNS" ? MIN_SIZE_BY_COLOUR[data[HEADER + 9]!] : MIN_SIZE[kind]) ?? 0;
}

/** The chunks up to the first picture data, counted, before anything is made of them. */
function checkChunks(data: Uint8Array, limits: Limits): void {
  let parts = 0;
  let animated = false;
  for (let at = 8; at + 8 <= data.length; at += 12 + u32be(data, at)) {
    const kind = fourChars(data, at + 4);
    if ((kind === "IHDR") !== (at === 8)) {
      throw broken("a PNG has one header chunk, in front of all others");
    }
    if (kind === "IHDR" && !DEPTHS[data[HEADER + 9] ?? -1]?.includes(data[HEADER + 8]!)) {
      throw broken("the bit depth or the colour type is unknown");
    }
    if (kind === "cHRM" && u32be(data, at) !== 32) {
      throw broken("the chromaticities are not eight numbers");
    }
    if (kind === "IDAT") return;
    if (kind === "acTL") {
      // Decoders differ in what a second or an impossible frame count means.
      const frames = u32be(data, at + 8);
      if (animated || frames < 1 || frames >= 2 ** 31) throw broken("the frame count is broken");
      animated = true;
    }
    if (++parts > limits.image_parts) throw tooManyParts(limits);
    if (kind === "IEND") return;
  }
}

/** True if a frame's picture data goes on with the numbers of the frames. */
function isNextPicture(data: Uint8Array, at: number, seen: Seen): boolean {
  const number = u32be(data, at + 8);
  const isThere = u32be(data, at) >= 4 && at + 12 <= data.length;
  return isThere && seen.bounded && number === seen.sequence + 1;
}

/** True if a frame is the next one and lies within the image. */
function noteFrame(data: Uint8Array, at: number, seen: Seen): boolean {
  const inside =
    u32be(data, at + 12) + u32be(data, at + 4) <= u32be(data, HEADER) &&
    u32be(data, at + 16) + u32be(data, at + 8) <= u32be(data, HEADER + 4);
  seen.sequence += 1;
  seen.bounded = true;
  return inside && u32be(data, at) === seen.sequence;
}
