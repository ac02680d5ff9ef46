/** A picture at the size its family gives it, under its grid of patches. */
import { MMRawError, getAdapter, isBuiltIn } from "../../typescript/src/index.js";
import type { Adapter, ImageHeader, Layout, RawMMRef } from "../../typescript/src/index.js";
import { namedGrid } from "../../typescript/src/families/index.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import { publishedAdapters } from "../../typescript/src/verdict.js";
import { el, rule, svg } from "./dom.js";

const MEDIA = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif" } as const;

let urls: string[] = [];

/** Frees the pictures of the findings before. */
export function forgetPictures(): void {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
}

/** A blob: URL of an image's bytes, under the type that the bytes themselves say. */
export function pictureUrl(data: Uint8Array, format: keyof typeof MEDIA): string {
  const url = URL.createObjectURL(new Blob([data.slice()], { type: MEDIA[format] }));
  urls.push(url);
  return url;
}

/** A ref's inline picture under the grid of its layout parameters, or of the family's defaults. */
export function pictureOf(ref: Pick<RawMMRef, "family" | "payload" | "fingerprint" | "dialect">, data: Uint8Array, header: ImageHeader | null): HTMLElement[] {
  if (header === null || !isBuiltIn(ref.family)) return [];
  const { format, width, height } = header;
  try {
    const [adapter = getAdapter(ref.family)] = publishedAdapters(ref);
    const layout = adapter.layout(width, height);
    const [across, down] = layout.resized;
    const caption = el("figcaption", { class: "soft small" }, `${width}×${height} ${format}, laid out on ${across}×${down} pixels`);
    return [el("figure", {}, drawing(pictureUrl(data, format), layout, adapter), caption)];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [el("p", { class: "soft" }, `${width}×${height} ${format}: `, rule(error.code), ` ${error.reason}`)];
  }
}

/** The drawing; thin lines are patches, strong lines tokens or tiles, a shaded rim is padding. */
export function drawing(url: string | null, layout: Layout, adapter: Adapter): HTMLElement {
  const [width, height] = layout.resized;
  const [wide, high] = layout.content;
  const [, rows, columns] = layout.grid_thw;
  const thin = lines(rows, columns, 1, width, height);
  const strong = lines(rows, columns, adapter.mergeSize, width, height);
  const beside = [...thumbnails(url, layout, adapter), ...rowEnds(layout, adapter)];
  const cell = width / columns;
  const [across, down] = [width + 1.25 * cell * thumbnailCount(layout, adapter) + rim(layout, adapter), height];
  const label = `${url === null ? "a picture" : "the picture"} under a grid of ${rows} by ${columns}`;
  const box = svg(
    "svg",
    { viewBox: `0 0 ${across} ${down}`, role: "img", "aria-label": label },
    svg("rect", { class: "rim", width: `${width}`, height: `${height}` }),
    image(url, "whole", { width: `${wide}`, height: `${high}` }),
    svg("path", { class: "thin", d: thin }),
    svg("path", { class: "shade", d: strong }),
    svg("path", { class: "strong", d: strong }),
    ...beside,
  );
  return el("div", { class: "picture" }, box);
}

/** The picture in a place; where there is none, the place alone. */
function image(url: string | null, kind: string, place: Readonly<Record<string, string>>): SVGElement {
  if (url === null) return svg("rect", { class: `${kind} blank`, ...place });
  return svg("image", { class: kind, href: url, ...place, preserveAspectRatio: "none" });
}

/** The tiles that the payload counts besides the grid: the whole picture, made small. */
function thumbnailCount({ grid_thw: [, rows, columns], payload }: Layout, { family }: Adapter): number {
  const { num_patches, tiles_hw } = namedGrid(family, payload);
  return tiles_hw === undefined ? 0 : Number(num_patches) - rows * columns;
}

function thumbnails(url: string | null, layout: Layout, adapter: Adapter): SVGElement[] {
  const [width, height] = layout.resized;
  const [, rows, columns] = layout.grid_thw;
  const [wide, high] = [width / columns, height / rows];
  return Array.from({ length: thumbnailCount(layout, adapter) }, (_, index) => {
    const place = { x: `${width + 0.25 * wide + 1.25 * wide * index}`, y: "0", width: `${wide}`, height: `${high}` };
    return image(url, "thumbnail", place);
  });
}

/** The width of the rim in which the ends of rows stand, where rows have ends. */
function rim({ resized: [width, height] }: Layout, { family }: Adapter): number {
  return FAMILY_TABLE[family].placeholder.row_end === "" ? 0 : Math.max(width, height) / 40;
}

/** A mark behind each row that a token ends; the last one is another token. */
function rowEnds(layout: Layout, adapter: Adapter): SVGElement[] {
  const wide = rim(layout, adapter);
  const [width, height] = layout.resized;
  const [, rows] = layout.grid_thw;
  if (wide === 0 || rows > MOST_LINES) return [];
  const high = height / rows;
  return Array.from({ length: rows }, (_, row) => {
    const place = { x: `${width + wide / 4}`, y: `${(row + 0.2) * high}`, width: `${wide / 2}`, height: `${0.6 * high}` };
    return svg("rect", { class: row + 1 < rows ? "row-end" : "last-end", ...place });
  });
}

/** Beyond this many lines a grid is a grey veil and slow to draw: only every n-th is drawn. */
const MOST_LINES = 400;

function lines(rows: number, columns: number, step: number, width: number, height: number): string {
  const stride = step * Math.max(1, Math.ceil((rows + columns) / step / MOST_LINES));
  const parts: string[] = [];
  for (let r = 0; r <= rows; r += stride) parts.push(`M0 ${((height * r) / rows).toFixed(2)}H${width}`);
  for (let c = 0; c <= columns; c += stride) parts.push(`M${((width * c) / columns).toFixed(2)} 0V${height}`);
  return parts.join("");
}
