/** Strings that are well-formed, and their order. */
import { MMRawError } from "../errors.js";

/** True if there is a surrogate without its other half. */
export function hasLoneSurrogate(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(at + 1);
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return true;
    at++;
  }
  return false;
}

/** The number of code points, which is what limits count. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

export function checkText(text: string, path: string): void {
  if (hasLoneSurrogate(text)) {
    throw new MMRawError("invalid_encoding", "expected strings of whole characters, got a lone surrogate", path);
  }
}

/** Orders by code point: surrogates, which represent characters above U+FFFF, come last. */
export function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

function rank(code: number): number {
  if (code < 0xd800) return code;
  return code > 0xdfff ? code - 0x800 : code + 0x2000;
}
