const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 of the bytes from `start` up to `end` (ISO 3309, as PNG uses it). */
export function crc32(data: Uint8Array, start: number, end: number): number {
  let value = 0xffffffff;
  for (let at = start; at < end; at++) value = TABLE[(value ^ data[at]!) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
