/** The chunks of a WebP (RFC 9649): its canvas, and its frames. */
import type { Limits } from "../generated/limits.js";
import { fourChars, spells, u16le, u24le, u32le } from "./bytes.js";
import { checkSize, unreadable } from "./structure.js";
import type { Size } from "./structure.js";

const ANIMATION = 0x02;
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
  const first = chunkAt(data, 12, data.length);
  if (first === null) return 0;
  if (first.kind !== "VP8X") return pictureSize(data, 12, data.length) === null ? 0 : 1;
  const flags = data[first.start]!;
  if (first.end - first.start < 10 || (flags & ~KNOWN_FLAGS) !== 0) return 0;
  return flags & ANIMATION
    ? animationFrames(data, first.next, canvas)
    : stillFrames(data, first.next, canvas);
}

function chunkAt(data: Uint8Array, at: number, end: number): Chunk | null {
  if (at + 8 > end) return null;
  const length = u32le(data, at + 4);
  const next = at + 8 + length + (length % 2);
  if (next > end) return null;
  return { kind: fourChars(data, at), start: at + 8, end: at + 8 + length, next };
}

/** A still picture fills its canvas; other chunks stand before and behind it. */
function stillFrames(data: Uint8Array, from: number, canvas: Pair): number {
  let frames = 0;
  for (let at = from; at < data.length;) {
    const chunk = chunkAt(data, at, data.length);
    if (chunk === null || chunk.kind === "VP8X" || chunk.kind === "ANMF") return 0;
    at = chunk.next;
    if (!PICTURES.includes(chunk.kind)) continue;
    const picture = pictureSize(data, chunk.start - 8, data.length);
    if (picture === null || ++frames > 1) return 0;
    if (picture.size[0] !== canvas[0] || picture.size[1] !== canvas[1]) return 0;
    at = picture.next;
  }
  return frames;
}

/**
 * Frames stand behind ANIM, each picture within the canvas, and no picture stands outside of them.
 * Decoders go by the pictures: what a frame says of its own size is not asked, and one without a
 * picture is no frame.
 */
function animationFrames(data: Uint8Array, from: number, canvas: Pair): number {
  let frames = 0;
  let announced = false;
  for (let at = from; at < data.length;) {
    const chunk = chunkAt(data, at, data.length);
    if (chunk === null || ["VP8X", ...PICTURES].includes(chunk.kind)) return 0;
    at = chunk.next;
    if (chunk.kind === "ANIM") {
      if (chunk.next - chunk.start < 6) return 0;
      announced = true;
    } else if (chunk.kind === "ANMF") {
      if (!announced || chunk.next - chunk.start < 16) return 0;
      at = chunk.start + 16;
      const inner = chunkAt(data, at, data.length);
      if (inner === null) return 0;
      if (!PICTURES.includes(inner.kind)) continue;
      const picture = pictureSize(data, at, data.length);
      if (picture === null || picture.next > chunk.next) return 0;
      if (!isWithin(data, chunk.start, picture.size, canvas)) return 0;
      frames++;
      at = picture.next;
    }
  }
  return frames;
}

function isWithin(data: Uint8Array, at: number, size: Pair, canvas: Pair): boolean {
  const [x, y] = [2 * u24le(data, at), 2 * u24le(data, at + 3)];
  return x + size[0] <= canvas[0] && y + size[1] <= canvas[1];
}

/** The picture at `at`, with its alpha where it has one; null where there is none that is whole. */
function pictureSize(
  data: Uint8Array,
  at: number,
  end: number,
): { size: Pair; next: number } | null {
  let chunk = chunkAt(data, at, end);
  const alpha = chunk?.kind === "ALPH";
  if (chunk !== null && alpha) chunk = chunkAt(data, chunk.next, end);
  if (chunk === null) return null;
  const { kind, start, next } = chunk;
  const length = chunk.end - start;
  if (kind === "VP8L" && !alpha) {
    const fits = length >= 5 && data[start] === 0x2f && data[start + 4]! >> 5 === 0;
    return fits ? { size: losslessSize(data, start), next } : null;
  }
  return kind === "VP8 " && isKeyFrame(data, start, length)
    ? { size: lossySize(data, start), next }
    : null;
}

/** A key frame that is shown, of a known profile, with a first partition that fits (RFC 6386). */
function isKeyFrame(data: Uint8Array, at: number, length: number): boolean {
  const bits = u24le(data, at);
  const [width, height] = lossySize(data, at);
  return (
    length >= 10 &&
    spells(data, at + 3, "\x9d\x01\x2a") &&
    (bits & 1) === 0 &&
    ((bits >> 1) & 7) <= 3 &&
    ((bits >> 4) & 1) === 1 &&
    bits >> 5 < length &&
    width > 0 &&
    height > 0
  );
}
