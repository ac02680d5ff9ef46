/** A picture at the size its family gives it, under its grid of patches. */
import type { Adapter, Layout } from "../../typescript/src/index.js";
import { el, svg } from "./dom.js";

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

/** The drawing; thin lines are patches, strong lines tokens, a shaded rim is padding. */
export function drawing(url: string, layout: Layout, adapter: Adapter): HTMLElement {
  const [width, height] = layout.resized;
  const [wide, high] = layout.content;
  const [, rows, columns] = layout.grid_thw;
  const thin = lines(rows, columns, 1, width, height);
  const strong = lines(rows, columns, adapter.mergeSize, width, height);
  const label = `the picture under a grid of ${rows} by ${columns} patches`;
  const box = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("rect", { class: "rim", width: `${width}`, height: `${height}` }),
    svg("image", { href: url, width: `${wide}`, height: `${high}`, preserveAspectRatio: "none" }),
    svg("path", { class: "thin", d: thin }),
    svg("path", { class: "shade", d: strong }),
    svg("path", { class: "strong", d: strong }),
  );
  return el("div", { class: "picture" }, box);
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
