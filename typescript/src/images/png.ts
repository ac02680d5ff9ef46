/** The chunks of a PNG up to its picture data. */
import type { Limits } from "../generated/limits.js";
import { fourChars, u32be } from "./bytes.js";
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
const SHORTEST: { readonly [kind: string]: number } = {
  IHDR: 13,
  acTL: 8,
  cHRM: 32,
  fcTL: 26,
  gAMA: 4,
  pHYs: 9,
  sRGB: 1,
};

/** Notes of the chunks that were seen. */
interface Seen {
  size: readonly [number, number] | null;
  fits: boolean;
  frames: number | null;
  bounded: boolean;
  sequence: number;
}

/** Size and frames, from the chunks before the first picture data. */
export function readPng(data: Uint8Array, limits: Limits): Size {
  const seen: Seen = { size: null, fits: false, frames: null, bounded: false, sequence: -1 };
  let at = 8;
  for (let parts = 0; ;) {
    const kind = fourChars(data, at + 4);
    const length = u32be(data, at);
    if (!/^\w{4}$/.test(kind)) throw unreadable(data);
    if (kind === "IDAT" || kind === "fdAT" || kind === "IEND") break;
    if (kind === "acTL") checkFrames(data, at, seen);
    if (++parts > limits.image_parts) throw tooManyParts(limits);
    const end = at + 12 + length;
    const whole = end <= data.length && crc32(data, at + 4, end - 4) === u32be(data, end - 4);
    if (!whole || length < (SHORTEST[kind] ?? 0)) throw unreadable(data);
    note(kind, data, at + 8, seen);
    at = end;
  }
  if (seen.size === null || !seen.fits) throw unreadable(data);
  const [width, height] = seen.size;
  // Picture data before the first frame control is a picture of its own.
  const still = seen.frames !== null && !seen.bounded ? 1 : 0;
  return { width, height, frames: seen.frames === null ? 1 : seen.frames + still };
}

/** Decoders differ in what a second or an impossible frame count means. */
function checkFrames(data: Uint8Array, at: number, seen: Seen): void {
  const frames = at + 12 <= data.length ? u32be(data, at + 8) : 0;
  if (seen.frames !== null || frames < 1 || frames >= 2 ** 31) {
    throw broken("the frame count is broken");
  }
  seen.frames = frames;
}

function note(kind: string, data: Uint8Array, at: number, seen: Seen): void {
  if (kind === "IHDR") {
    seen.size = [u32be(data, at), u32be(data, at + 4)];
    const [depth = 0, colour = 0] = data.subarray(at + 8, at + 10);
    seen.fits ||= DEPTHS[colour]?.includes(depth) === true;
    if (data[at + 11] !== 0) throw unreadable(data);
  } else if (kind === "fcTL") {
    noteFrame(data, at, seen);
  }
}

function noteFrame(data: Uint8Array, at: number, seen: Seen): void {
  const [width, height] = seen.size ?? [0, 0];
  const inside =
    u32be(data, at + 12) + u32be(data, at + 4) <= width &&
    u32be(data, at + 16) + u32be(data, at + 8) <= height;
  if (u32be(data, at) !== seen.sequence + 1 || !inside) throw unreadable(data);
  seen.sequence += 1;
  seen.bounded = true;
}
