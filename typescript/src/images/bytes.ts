/** Reading numbers and names out of bytes; what lies beyond the end reads as 0. */

export function u16be(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

export function u32be(data: Uint8Array, at: number): number {
  return u16be(data, at) * 0x10000 + u16be(data, at + 2);
}

export function u16le(data: Uint8Array, at: number): number {
  return (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);
}

export function u24le(data: Uint8Array, at: number): number {
  return u16le(data, at) | ((data[at + 2] ?? 0) << 16);
}

export function u32le(data: Uint8Array, at: number): number {
  return u16le(data, at) + u16le(data, at + 2) * 0x10000;
}

/** True if the bytes at `at` spell `text`, one Latin-1 character a byte. */
export function spells(data: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (data[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Four bytes as text. */
export function fourChars(data: Uint8Array, at: number): string {
  return String.fromCharCode(...data.subarray(at, at + 4));
}
