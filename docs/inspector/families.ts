/** Each family's layout of a picture, with sliders for its layout parameters. */
import { FAMILIES, MMRawError, getAdapter, mmHashOf, readHeader, sha256Hex } from "../../typescript/src/index.js";
import type { Adapter, BuiltInFamily, JsonValue } from "../../typescript/src/index.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import { code, el, pairs, rule, size } from "./dom.js";
import { controls } from "./parameters.js";
import { drawing, pictureUrl } from "./picture.js";
import { gridText } from "./values.js";

/** A picture under its sides, which sliders change; without a picture the grids are drawn alone. */
interface Subject {
  readonly url: string | null;
  width: number;
  height: number;
}

/** The sides of the grids that are shown without a picture. */
const WITHOUT_PICTURE = { url: null, width: 1920, height: 1080 };
const MOST_SIDE = 4096;

/** Each family's layout of a size that sliders choose. */
export function sizeCard(): HTMLElement {
  const subject = { ...WITHOUT_PICTURE };
  return el("div", { class: "families-of" }, el("h2", {}, "A picture of any size"), ...familiesOf(subject));
}

/** A picture: its facts, and a card for each family. */
export function pictureCard(name: string, data: Uint8Array): HTMLElement {
  const card = el("div", { class: "families-of" }, el("h2", {}, `Picture ${name}`));
  try {
    const { format, frames, width, height } = readHeader(data);
    if (frames !== 1) throw new MMRawError("multiple_frames", "expected an image of one frame, got an animation");
    const sha256 = sha256Hex(data);
    card.append(
      el("p", {}, `${width}×${height} ${format}, ${size(data.length)}. EXIF orientation is not applied.`),
      pairs([["sha256", code(sha256, "sha256")], ["mm_hash", code(mmHashOf(sha256), "mm_hash")]]),
      ...familiesOf({ url: pictureUrl(data, format), width, height }),
    );
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    card.append(el("ul", { class: "faults" }, el("li", {}, rule(error.code), ` ${error.reason}`)));
  }
  return card;
}

/** The two sliders for the size, and a card for each family. */
function familiesOf(subject: Subject): HTMLElement[] {
  const panels = FAMILIES.map((family) => panel(family, subject));
  const show = (): void => { for (const { update } of panels) update(); };
  const sides = (["width", "height"] as const).flatMap((side) => {
    const most = `${Math.max(MOST_SIDE, subject[side])}`;
    const input = el("input", { id: `size-${side}`, type: "range", min: "1", max: most, value: `${subject[side]}` });
    const shown = el("output", { for: input.id }, `${subject[side]}`);
    input.addEventListener("input", () => {
      subject[side] = Number(input.value);
      shown.textContent = input.value;
      show();
    });
    return [el("label", { for: input.id }, `${side === "width" ? "Width" : "Height"} in pixels`), input, shown];
  });
  show();
  return [el("div", { class: "parameters sides" }, ...sides), el("div", { class: "families" }, ...panels.map(({ card }) => card))];
}

interface Panel {
  readonly card: HTMLElement;
  readonly update: () => void;
}

function panel(family: BuiltInFamily, subject: Subject): Panel {
  const output = el("div", { "aria-live": "polite" });
  const values: Record<string, JsonValue> = {};
  const update = (): void => { output.replaceChildren(...layoutOf(family, values, subject)); };
  const parameters = el("div", { class: "parameters" });
  parameters.append(...controls(family, (name, value) => { values[name] = value; update(); }));
  const more = el("details", { class: "more-of" }, el("summary", {}, "Layout parameters"), parameters);
  const title = el("h3", {}, FAMILY_TABLE[family].title, " ", el("code", {}, family));
  return { card: el("section", { class: "card family", "data-family": family }, title, output, more), update };
}

function layoutOf(family: BuiltInFamily, values: Readonly<Record<string, JsonValue>>, { url, width, height }: Subject): HTMLElement[] {
  try {
    const adapter: Adapter = getAdapter(family, values);
    const layout = adapter.layout(width, height);
    const tokens = el("p", { class: "tokens" }, el("strong", {}, layout.num_tokens.toLocaleString("en")), " tokens");
    const facts = pairs([
      ["Grid", gridText(family, layout.payload)],
      ["Resized to", `${layout.content.join("×")}`],
      ["Placeholder", `${layout.placeholder_length}`],
      ["Fingerprint", code(adapter.fingerprint(), "the fingerprint")],
    ]);
    return [el("figure", {}, drawing(url, layout, adapter)), tokens, facts];
  } catch (error) {
    if (!(error instanceof MMRawError)) throw error;
    return [el("p", { class: "impossible" }, rule(error.code), ` ${error.reason}`)];
  }
}
