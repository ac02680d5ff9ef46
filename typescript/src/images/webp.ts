/** The chunks of a WebP (RFC 9649): its canvas, and its frames. */
import type { Limits } from "../generated/limits.js";
import { fourChars, spells, u16le, u24le, u32le } from "./bytes.js";
import { checkSize, unreadable } from "./structure.js";
import type { Size } from "./structure.js";

const ANIMATION = 0x02;
const ALPHA = 0x10;
/** Of the container's flags, those that mean something. */
const KNOWN_FLAGS = 0x3e;

/** Chunks that a picture consists of. */
const PICTURES: readonly string[] = ["ALPH", "VP8 ", "VP8L"];

type Pair = readonly [number, number];

/** A chunk: where its payload starts and ends, and where the next chunk starts. */
interface Chunk {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

/**
 * The chunks that belong to a picture.
 *
 * `size` is null if there is alpha alone, or nothing, `alphaBehind` whether the alpha stands on
 * the wrong side, `isThere` whether there is a chunk of it, `next` where the next chunk starts.
 */
interface Picture {
  readonly size: Pair | null;
  readonly alphaBehind: boolean;
  readonly isThere: boolean;
  readonly next: number;
}

/** Size of the canvas and number of frames. */
export function readWebp(data: Uint8Array, limits: Limits): Size {
  const canvas = canvasOf(data);
  if (canvas !== null) checkSize(canvas[0], canvas[1], limits);
  const whole = 8 + u32le(data, 4);
  const frames =
    whole <= data.length && canvas !== null ? framesOf(data.subarray(0, whole), canvas) : 0;
  if (canvas === null || frames === 0) throw unreadable(data);
  return { width: canvas[0], height: canvas[1], frames };
}

function canvasOf(data: Uint8Array): Pair | null {
  const kind = fourChars(data, 12);
  if (kind === "VP8X" && data.length >= 30) return [1 + u24le(data, 24), 1 + u24le(data, 27)];
  if (kind === "VP8L" && data.length >= 25) return losslessSize(data, 20);
  return kind === "VP8 " && data.length >= 30 ? lossySize(data, 20) : null;
}

function losslessSize(data: Uint8Array, at: number): Pair {
  const bits = u32le(data, at + 1);
  return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
}

function lossySize(data: Uint8Array, at: number): Pair {
  return [u16le(data, at + 6) & 0x3fff, u16le(data, at + 8) & 0x3fff];
}

/** The number of frames, 0 where the file is broken. */
function framesOf(data: Uint8Array, canvas: Pair): number {
  const first = chunkAt(data, 12);
  if (first === null) return 0;
  if (first.kind !== "VP8X") return pictureAt(data, 12)?.size ? 1 : 0;
  const flags = data[first.start]!;
  if (first.end - first.start !== 10 || (flags & ~KNOWN_FLAGS) !== 0) return 0;
  return flags & ANIMATION
    ? animationFrames(data, first.next, canvas)
    : stillFrames(data, first.next, canvas, (flags & ALPHA) !== 0);
}

function chunkAt(data: Uint8Array, at: number): Chunk | null {
  if (at + 8 > data.length) return null;
  const length = u32le(data, at + 4);
  const next = at + 8 + length + (length % 2);
  if (next > data.length) return null;
  return { kind: fourChars(data, at), start: at + 8, end: at + 8 + length, next };
}

/** A still picture fills its canvas; other chunks are before and after it. */
function stillFrames(data: Uint8Array, from: number, canvas: Pair, hasAlpha: boolean): number {
  let frames = 0;
  let announced = false;
  for (let at = from; at < data.length;) {
    const chunk = chunkAt(data, at);
    if (chunk === null || chunk.kind === "VP8X") return 0;
    at = chunk.next;
    if (PICTURES.includes(chunk.kind)) {
      const picture = pictureAt(data, chunk.start - 8);
      if (!picture?.size || announced || ++frames > 1) return 0;
      if (picture.size[0] !== canvas[0] || picture.size[1] !== canvas[1]) return 0;
      if (hasAlpha && picture.alphaBehind) return 0;
      at = picture.next;
    } else if (chunk.kind === "ANIM") {
      if (!isAnnouncement(chunk)) return 0;
      announced = true;
    } else if (chunk.kind === "ANMF") {
      // Without the flag a frame is read, and is none.
      const picture = announced ? pictureOfFrame(data, chunk) : null;
      if (picture === null) return 0;
      at = picture.next;
    }
  }
  return frames;
}

/**
 * Frames follow ANIM, each picture within the canvas, and no picture is outside of them.
 * Decoders go by the pictures: what a frame says of its own size is not asked, and one without a
 * picture is no frame.
 */
function animationFrames(data: Uint8Array, from: number, canvas: Pair): number {
  let frames = 0;
  let announced = false;
  for (let at = from; at < data.length;) {
    const chunk = chunkAt(data, at);
    if (chunk === null || ["VP8X", ...PICTURES].includes(chunk.kind)) return 0;
    at = chunk.next;
    if (chunk.kind === "ANIM") {
      if (!isAnnouncement(chunk)) return 0;
      announced = true;
    } else if (chunk.kind === "ANMF") {
      const picture = announced ? pictureOfFrame(data, chunk) : null;
      if (picture === null) return 0;
      at = picture.next;
      if (!picture.isThere) continue;
      if (!picture.size || picture.alphaBehind) return 0;
      if (!isWithin(data, chunk.start, picture.size, canvas)) return 0;
      frames++;
    }
  }
  return frames;
}

function isAnnouncement(chunk: Chunk): boolean {
  return chunk.next - chunk.start >= 6;
}

/** The picture of a frame, which lies within it; null if one of them is broken. */
function pictureOfFrame(data: Uint8Array, chunk: Chunk): Picture | null {
  const at = chunk.start;
  if (chunk.next - at < 16) return null;
  const area = (1 + u24le(data, at + 6)) * (1 + u24le(data, at + 9));
  const picture = area < 2 ** 32 ? pictureAt(data, at + 16) : null;
  return picture !== null && picture.next <= chunk.next ? picture : null;
}

function isWithin(data: Uint8Array, at: number, size: Pair, canvas: Pair): boolean {
  const [x, y] = [2 * u24le(data, at), 2 * u24le(data, at + 3)];
  return x + size[0] <= canvas[0] && y + size[1] <= canvas[1];
}

/**
 * The picture at `at`: one lossy or lossless chunk, and one of alpha. The chunk after them is whole
 * or the file ends there. Null where one is broken.
 */
function pictureAt(data: Uint8Array, from: number): Picture | null {
  let size: Pair | null = null;
  let alpha = false;
  let alphaBehind = false;
  let at = from;
  do {
    const chunk = chunkAt(data, at);
    if (chunk === null) return null;
    if (chunk.kind === "VP8L" && alpha) return null;
    if (chunk.kind === "ALPH" && !alpha) {
      alpha = true;
      alphaBehind = size !== null;
    } else if ((chunk.kind === "VP8 " || chunk.kind === "VP8L") && size === null) {
      size = sizeOf(data, chunk);
      if (size === null) return null;
    } else {
      break;
    }
    at = chunk.next;
  } while (at < data.length);
  return { size, alphaBehind, isThere: at > from, next: at };
}

/** The size that a lossy or lossless chunk begins with, null if it does not. */
function sizeOf(data: Uint8Array, { kind, start, end, next }: Chunk): Pair | null {
  if (kind === "VP8L") {
    const fits = end - start >= 5 && data[start] === 0x2f && data[start + 4]! >> 5 === 0;
    return fits ? losslessSize(data, start) : null;
  }
  const fits = next - start >= 10 && isKeyFrame(data, start, end - start);
  return fits ? lossySize(data, start) : null;
}

/** A key frame that is shown, of a known profile, with a first partition that fits (RFC 6386). */
function isKeyFrame(data: Uint8Array, at: number, length: number): boolean {
  const bits = u24le(data, at);
  const [width, height] = lossySize(data, at);
  return (
    spells(data, at + 3, "\x9d\x01\x2a") &&
    (bits & 1) === 0 &&
    ((bits >> 1) & 7) <= 3 &&
    ((bits >> 4) & 1) === 1 &&
    bits >> 5 < length &&
    width > 0 &&
    height > 0
  );
}
