/** What each family makes of a picture, with its layout parameters under the reader's hands. */
import { FAMILIES, MMRawError, getAdapter, mmHashOf, readHeader, sha256Hex } from "../../typescript/src/index.js";
import type { Adapter, BuiltInFamily } from "../../typescript/src/index.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import { DEFINITION_TEXTS } from "../../typescript/src/inspect.js";
import { el, row, size, table } from "./dom.js";
import { drawing, pictureUrl } from "./picture.js";

/** A layout parameter that a slider turns; its value is 2 to the power of the slider. */
interface Slider {
  readonly name: string;
  readonly label: string;
  readonly published: number;
}

/** Smaller parameters, as the size of a patch, belong to the model and are not turned. */
const LEAST_TURNED = 1024;
/** How far a slider goes below and above the published value, as powers of 2. */
const REACH = 8;

/** A slider for each count of pixels or patches. */
function slidersOf(family: BuiltInFamily): Slider[] {
  const { defaults, layoutSchema } = FAMILY_TABLE[family];
  const texts = DEFINITION_TEXTS[layoutSchema]?.fields ?? {};
  return Object.entries(defaults).flatMap(([name, published]) =>
    typeof published === "number" && published >= LEAST_TURNED
      ? [{ name, label: texts[name]?.title ?? name, published }]
      : [],
  );
}

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
  const values: Record<string, number> = {};
  const show = () => output.replaceChildren(...layoutOf(family, values, url, width, height));
  const parameters = el("div", { class: "parameters" });
  for (const slider of slidersOf(family)) {
    parameters.append(...turned(family, slider, (value) => { values[slider.name] = value; show(); }));
  }
  show();
  return el("section", {}, el("h3", {}, `${FAMILY_TABLE[family].title} (${family})`), parameters, output);
}

function turned(family: string, slider: Slider, use: (value: number) => void): HTMLElement[] {
  const id = `${family}-${slider.name}`;
  const shown = el("output", { for: id }, slider.published.toLocaleString("en"));
  const middle = Math.log2(slider.published);
  const range = { min: `${middle - REACH}`, max: `${middle + REACH}`, step: "0.5" };
  const input = el("input", { id, type: "range", ...range, value: `${middle}` });
  input.addEventListener("input", () => {
    const value = Math.round(2 ** Number(input.value));
    shown.textContent = value.toLocaleString("en");
    use(value);
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
    const adapter: Adapter = getAdapter(family, values);
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
