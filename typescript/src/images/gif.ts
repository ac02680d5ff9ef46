/** All blocks of a GIF up to its trailer. */
import type { Limits } from "../generated/limits.js";
import { spells, u16le } from "./bytes.js";
import { broken, checkSize, tooManyParts, unreadable } from "./structure.js";
import type { Size } from "./structure.js";

/** Labels of extensions. */
const CONTROL = 0xf9;
const COMMENT = 0xfe;
const APPLICATION = 0xff;

/** The largest size that is claimed up to the first frame, and the number of frames. */
export function readGif(data: Uint8Array, limits: Limits): Size {
  if (data.length < 13) throw unreadable(data);
  let width = u16le(data, 6);
  let height = u16le(data, 8);
  let at = 13 + tableSize(data[10]!);
  let parts = 0;
  let frames = 0;
  let subBlocks = 0;
  // An encoder fills sub-blocks (255 bytes); a file of tiny ones is made to be slow.
  const mostSubBlocks = limits.image_parts + Math.floor(data.length / 32);
  while (at < data.length && data[at] !== 0x3b) {
    if (++parts > limits.image_parts) throw tooManyParts(limits);
    if (data[at] === 0x2c && at + 10 <= data.length) {
      if (frames === 0) {
        width = Math.max(width, u16le(data, at + 1) + u16le(data, at + 5));
        height = Math.max(height, u16le(data, at + 3) + u16le(data, at + 7));
      }
      at += 11 + tableSize(data[at + 9]!);
      // The byte in front of the picture data is the last of a frame's header.
      if (frames === 0 && at > data.length) break;
      frames++;
    } else if (data[at] === 0x21) {
      if (frames === 0 && !isExtension(data, at)) {
        throw broken("an extension is too short for its kind");
      }
      at += 2;
    } else {
      // Decoders skip what is no block, byte by byte.
      at++;
      continue;
    }
    while (at < data.length && data[at] !== 0) {
      at += 1 + data[at]!;
      if (++subBlocks > mostSubBlocks) throw tooManyParts(limits);
    }
    at++;
  }
  checkSize(width, height, limits);
  if (frames === 0) throw unreadable(data);
  return { width, height, frames };
}

/** True if an extension has what decoders that read it by its kind take for granted. */
function isExtension(data: Uint8Array, at: number): boolean {
  if (data.length < at + 3) return false;
  const label = data[at + 1];
  const end = at + 3 + data[at + 2]!;
  const first = data.subarray(at + 3, end);
  if (label === COMMENT) return true;
  if (label === APPLICATION && spells(first, 0, "NETSCAPE2.0")) return data[end] !== 0;
  return first.length >= (label === CONTROL ? 4 : 1);
}

function tableSize(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
}
