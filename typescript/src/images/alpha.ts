/** True if an image's header declares pixels that may be transparent. */
import { spells, u32be } from "./bytes.js";
import { formatOf } from "./structure.js";

const CONTROL = 0xf9;

/** True if the header declares alpha; an image that decodes as opaque may do so, too. */
export function declaresAlpha(data: Uint8Array): boolean {
  switch (formatOf(data)) {
    case "png":
      return png(data);
    case "webp":
      return webp(data);
    case "gif":
      return gif(data);
    default:
      return false;
  }
}

/** A colour type with alpha, or a table of transparent colours in front of the picture. */
function png(data: Uint8Array): boolean {
  if ((data[25]! & 4) !== 0) return true;
  for (let at = 8; at + 8 <= data.length && !spells(data, at + 4, "IDAT"); ) {
    if (spells(data, at + 4, "tRNS")) return true;
    at += 12 + u32be(data, at);
  }
  return false;
}

function webp(data: Uint8Array): boolean {
  if (spells(data, 12, "VP8X")) return (data[20]! & 0x10) !== 0;
  return spells(data, 12, "VP8L") && (data[24]! & 0x10) !== 0;
}

/** A transparent colour in an extension in front of the first frame. */
function gif(data: Uint8Array): boolean {
  const flags = data[10]!;
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  while (data[at] === 0x21) {
    if (data[at + 1] === CONTROL && (data[at + 3]! & 1) !== 0) return true;
    at += 2;
    while (at < data.length && data[at] !== 0) at += 1 + data[at]!;
    at++;
  }
  return false;
}
