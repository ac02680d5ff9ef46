/** What each family makes of a picture, with its layout parameters under the reader's hands. */
import { FAMILIES, MMRawError, getAdapter, mmHashOf, readHeader, sha256Hex } from "../../typescript/src/index.js";
import type { Adapter, BuiltInFamily, JsonValue } from "../../typescript/src/index.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import { el, row, size, table } from "./dom.js";
import { controls } from "./parameters.js";
import { drawing, pictureUrl } from "./picture.js";
import { gridText } from "./values.js";

/** A card for a picture: its facts, and a panel for each family. */
export function pictureCard(name: string, data: Uint8Array): HTMLElement {
  const card = el("article", { class: "card" }, el("h2", {}, `Picture ${name}`));
  try {
    const { format, frames, width, height } = readHeader(data);
    if (frames !== 1) throw new MMRawError("multiple_frames", "an animation has no one layout");
    const sha256 = sha256Hex(data);
    card.append(
      el("p", {}, `${width}x${height} ${format}, ${size(data.length)}. EXIF orientation is not applied.`),
      el("p", {}, "sha256 ", el("code", {}, sha256), ", mm_hash ", el("code", {}, mmHashOf(sha256))),
    );
    const url = pictureUrl(data, format);
    for (const family of FAMILIES) card.append(panel(family, url, width, height));
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    const link = el("a", { href: `../reference/wire/errors.html#${error.code}` }, error.code);
    card.append(el("p", { class: "bad" }, link, `: ${error.reason}`));
  }
  return card;
}

function panel(family: BuiltInFamily, url: string, width: number, height: number): HTMLElement {
  const output = el("div", { "aria-live": "polite" });
  const values: Record<string, JsonValue> = {};
  const show = () => output.replaceChildren(...layoutOf(family, values, url, width, height));
  const parameters = el("div", { class: "parameters" });
  parameters.append(...controls(family, (name, value) => { values[name] = value; show(); }));
  show();
  return el("section", {}, el("h3", {}, `${FAMILY_TABLE[family].title} (${family})`), parameters, output);
}

function layoutOf(
  family: BuiltInFamily,
  values: Readonly<Record<string, JsonValue>>,
  url: string,
  width: number,
  height: number,
): HTMLElement[] {
  try {
    const adapter: Adapter = getAdapter(family, values);
    const layout = adapter.layout(width, height);
    const facts = table(
      ["grid", "tokens", "resized to", "placeholder", "fingerprint"],
      [
        row(
          gridText(family, layout.payload),
          layout.num_tokens.toLocaleString("en"),
          layout.content.join("x"),
          `${layout.placeholder_length}`,
          el("code", {}, adapter.fingerprint()),
        ),
      ],
    );
    return [facts, el("figure", {}, drawing(url, layout, adapter))];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [el("p", { class: "bad" }, `${error.code}: ${error.reason}`)];
  }
}
