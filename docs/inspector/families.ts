/** What each family makes of a picture, with its knobs under the reader's hands. */
import { FAMILIES, MMRawError, describeImage, getAdapter } from "../../typescript/src/index.js";
import type { Adapter } from "../../typescript/src/index.js";
import { el, row, size, table } from "./dom.js";
import { drawing, pictureUrl } from "./picture.js";

/** A knob that a slider turns; its value is 2 to the power of the slider. */
interface Slider {
  readonly name: string;
  readonly label: string;
  readonly least: number;
  readonly most: number;
}

const SLIDERS: Readonly<Record<string, readonly Slider[]>> = {
  qwen_vl: [
    { name: "min_pixels", label: "Fewest pixels", least: 10, most: 24 },
    { name: "max_pixels", label: "Most pixels", least: 12, most: 25 },
  ],
  kimi_k25: [{ name: "in_patch_limit", label: "Most patches", least: 4, most: 16 }],
};

/** A card for a picture: its facts, and a panel for each family. */
export function pictureCard(name: string, data: Uint8Array): HTMLElement {
  const card = el("article", { class: "card" }, el("h2", {}, `Picture ${name}`));
  try {
    const { format, width, height, sha256, mm_hash } = describeImage(data, getAdapter("kimi_k25"));
    card.append(
      el("p", {}, `${width}x${height} ${format}, ${size(data.length)}. EXIF orientation is not applied.`),
      el("p", {}, "sha256 ", el("code", {}, sha256), ", mm_hash ", el("code", {}, mm_hash)),
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

function panel(family: string, url: string, width: number, height: number): HTMLElement {
  const output = el("div", { "aria-live": "polite" });
  const values: Record<string, number> = {};
  const show = () => output.replaceChildren(...layoutOf(family, values, url, width, height));
  const knobs = el("div", { class: "knobs" });
  const published = getAdapter(family).knobs as unknown as Readonly<Record<string, number>>;
  for (const slider of SLIDERS[family] ?? []) {
    const start = published[slider.name] ?? 2 ** slider.least;
    knobs.append(...knob(family, slider, start, (value) => { values[slider.name] = value; show(); }));
  }
  show();
  return el("section", {}, el("h3", {}, family), knobs, output);
}

function knob(family: string, slider: Slider, start: number, turned: (value: number) => void): HTMLElement[] {
  const id = `${family}-${slider.name}`;
  const shown = el("output", { for: id }, start.toLocaleString("en"));
  const attributes = { id, type: "range", min: `${slider.least}`, max: `${slider.most}`, step: "0.25" };
  const input = el("input", { ...attributes, value: `${Math.log2(start)}` });
  input.addEventListener("input", () => {
    const value = Math.round(2 ** Number(input.value));
    shown.textContent = value.toLocaleString("en");
    turned(value);
  });
  return [el("label", { for: id }, `${slider.label} (${slider.name})`), input, shown];
}

function layoutOf(
  family: string,
  values: Readonly<Record<string, number>>,
  url: string,
  width: number,
  height: number,
): HTMLElement[] {
  try {
    const base = getAdapter(family).knobs;
    const adapter: Adapter = getAdapter(family, { ...base, ...values });
    const layout = adapter.layout(width, height);
    const facts = table(
      ["grid", "tokens", "resized to", "placeholder", "fingerprint"],
      [
        row(
          layout.grid_thw.join("x"),
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
