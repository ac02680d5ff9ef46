/**
 * The orientation that an image declares. Nothing here turns a picture; packing says of each that it
 * is to be shown turned.
 *
 * Source: spec/README.md, section "Images"; EXIF 3.0, TIFF 6.0.
 */
import { fourChars, spells, u16be, u16le, u32be, u32le } from "./bytes.js";
import { formatOf } from "./structure.js";

const ORIENTATION = 0x0112;
/** Types of integers in a TIFF directory: of two bytes, and of four. */
const SHORTS: readonly number[] = [3, 8];
const LONGS: readonly number[] = [4, 9];
const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
/** Keywords of text chunks of a PNG. */
const PNG_EXIF = "Raw profile type exif\0";
const PNG_XMP = "XML:com.adobe.xmp\0";

const latin1 = new TextDecoder("latin1");

/** A segment or chunk with metadata; `packed` is compressed text, which is not read. */
type Block = readonly [name: "exif" | "xmp" | "packed", content: Uint8Array];

/**
 * The orientation of an image by its EXIF, else by its XMP: 1 to 8, and 1 if it declares none; null
 * if it may stand in compressed text of a PNG.
 */
export function orientationOf(data: Uint8Array): number | null {
  const blocks = [...blocksOf(data)];
  const first = (wanted: Block[0], read: (content: Uint8Array) => number | null): number | null => {
    const found = blocks.filter(([name]) => name === wanted).map(([, content]) => read(content));
    return found.find((one) => one !== null) ?? null;
  };
  const said = first("exif", inExif) ?? first("xmp", inXmp);
  if (said === null) return blocks.some(([name]) => name === "packed") ? null : 1;
  return said >= 1 && said <= 8 ? said : 1;
}

function blocksOf(data: Uint8Array): Iterable<Block> {
  switch (formatOf(data)) {
    case "jpeg":
      return jpegBlocks(data);
    case "png":
      return pngBlocks(data);
    case "webp":
      return webpBlocks(data);
    default:
      return [];
  }
}

function* jpegBlocks(data: Uint8Array): Generator<Block> {
  // EXIF may go on in further segments.
  let exif = new Uint8Array();
  for (let at = data.indexOf(0xff, 2); at >= 0 && at + 4 <= data.length; at = data.indexOf(0xff, at)) {
    const code = data[at + 1]!;
    if (code === 0xda) break;
    if (code === 0xff || code <= 0x01 || (code >= 0xd0 && code <= 0xd9)) {
      at += code === 0xff ? 1 : 2;
      continue;
    }
    const content = data.subarray(at + 4, at + 2 + u16be(data, at + 2));
    if (code === 0xe1 && spells(content, 0, EXIF)) {
      exif = Uint8Array.from([...exif, ...content.subarray(EXIF.length)]);
    }
    if (code === 0xe1 && spells(content, 0, XMP)) yield ["xmp", content];
    at += 2 + u16be(data, at + 2);
  }
  yield ["exif", exif];
}

function* pngBlocks(data: Uint8Array): Generator<Block> {
  for (let at = 8; at + 8 <= data.length; at += 12 + u32be(data, at)) {
    const content = data.subarray(at + 8, at + 8 + u32be(data, at));
    const kind = fourChars(data, at + 4);
    if (kind === "eXIf") yield ["exif", content];
    else if (kind === "tEXt" && spells(content, 0, PNG_EXIF)) yield ["exif", inHexadecimal(content)];
    else if (kind === "zTXt" && spells(content, 0, PNG_EXIF)) yield ["packed", content];
    else if (kind === "iTXt" && spells(content, 0, PNG_XMP)) {
      yield [content[PNG_XMP.length] === 0 ? "xmp" : "packed", content];
    }
  }
}

/** EXIF as ImageMagick writes it: a name, a length, and lines of hexadecimal digits. */
function inHexadecimal(content: Uint8Array): Uint8Array {
  const digits = latin1.decode(content).split("\n").slice(3).join("");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function* webpBlocks(data: Uint8Array): Generator<Block> {
  for (let at = 12; at + 8 <= data.length; ) {
    const length = u32le(data, at + 4);
    const content = data.subarray(at + 8, at + 8 + length);
    if (fourChars(data, at) === "EXIF") yield ["exif", content];
    if (fourChars(data, at) === "XMP ") yield ["xmp", content];
    at += 8 + length + (length % 2);
  }
}

/** The orientation in the first directory of EXIF; null if there is none, or it is damaged. */
function inExif(content: Uint8Array): number | null {
  const tiff = spells(content, 0, EXIF) ? content.subarray(EXIF.length) : content;
  const isLittle = spells(tiff, 0, "II*\0");
  if (!isLittle && !spells(tiff, 0, "MM\0*")) return null;
  const [u16, u32] = isLittle ? [u16le, u32le] : [u16be, u32be];
  const start = u32(tiff, 4);
  for (let at = start + 2; at < start + 2 + 12 * u16(tiff, start) && at + 12 <= tiff.length; at += 12) {
    if (u16(tiff, at) !== ORIENTATION || u32(tiff, at + 4) !== 1) continue;
    const type = u16(tiff, at + 2);
    return SHORTS.includes(type) ? u16(tiff, at + 8) : LONGS.includes(type) ? u32(tiff, at + 8) : 0;
  }
  return null;
}

function inXmp(content: Uint8Array): number | null {
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(latin1.decode(content));
  return found === null ? null : Number(found[1]);
}
