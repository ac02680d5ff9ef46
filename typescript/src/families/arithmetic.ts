/** Arithmetic as the layouts need it, exact where doubles alone would round twice. */
import { JsonFloat } from "../codec/values.js";

/** To the nearest integer, halves to the even one. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** The double nearest to `a * b / c` for non-negative integers and a positive `c`. */
export function productOver(a: number, b: number, c: number): number {
  return quotient(BigInt(a) * BigInt(b), BigInt(c));
}

/** The double nearest to `c / (a * b)` for a non-negative integer `c` and positive others. */
export function overProduct(c: number, a: number, b: number): number {
  return quotient(BigInt(c), BigInt(a) * BigInt(b));
}

/** The double nearest to `top / bottom`, both non-negative. */
export function quotient(top: bigint, bottom: bigint): number {
  const exact = BigInt(Number.MAX_SAFE_INTEGER);
  if (top <= exact && bottom <= exact) return Number(top) / Number(bottom);
  // 64 bits of quotient and a sticky bit for what is left: Number() then rounds once, correctly.
  const shift = BigInt(Math.max(0, 64 + bitLength(bottom) - bitLength(top)));
  const scaled = top << shift;
  const sticky = scaled % bottom === 0n ? 0n : 1n;
  return Number(((scaled / bottom) << 1n) | sticky) / 2 ** (Number(shift) + 1);
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

/** The number of a layout parameter that may be a float without a fraction. */
export function numberOf(value: number | JsonFloat): number {
  return value instanceof JsonFloat ? value.value : Number(value);
}

/** The next multiple of `factor` from `side` on. */
export function alignedUp(side: number, factor: number): number {
  return Math.ceil(side / factor) * factor;
}
