/** Small helpers over the DOM. Whatever is shown goes in as text, never as markup. */

export type Child = Node | string;

/** An element with attributes and children; strings become text nodes. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An element of an SVG drawing. */
export function svg(tag: string, attributes: Readonly<Record<string, string>>, ...children: readonly Node[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The element of the page with this id. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page lacks #${id}`);
  return element;
}

/** A table that scrolls sideways on small screens. */
export function table(columns: readonly string[], rows: readonly HTMLTableRowElement[], label: string): HTMLElement {
  const head = el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)));
  const body = el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, body);
}

export function row(...cells: readonly Child[]): HTMLTableRowElement {
  return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
}

/** Pairs of a term and what it is. */
export function pairs(rows: readonly (readonly [string, Child])[]): HTMLElement {
  const parts = rows.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value)));
  return el("dl", { class: "pairs" }, ...parts);
}

/** A sentence of the specification; what stands between backticks is code. */
export function prose(text: string): Child[] {
  return text.split("`").map((part, index) => (index % 2 === 0 ? part : el("code", {}, part)));
}

/** An icon out of one path on a square of 16. */
export function icon(path: string): SVGElement {
  const line = svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": "1.5" });
  return svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, line);
}

const COPY = "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z";
const DONE = "M3 8.5l3.5 3.5L13 4.5";

/** A button that copies `text`, and says so. */
export function copyButton(text: string, what: string): HTMLButtonElement {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}`, title: `Copy ${what}` }, icon(COPY));
  button.addEventListener("click", () => {
    void navigator.clipboard?.writeText(text).then(() => {
      button.replaceChildren(icon(DONE));
      setTimeout(() => button.replaceChildren(icon(COPY)), 1500);
    }, () => undefined);
  });
  return button;
}

/** Longer texts show their beginning and their end until somebody asks for all. */
const MOST_SHOWN = 120;
const BEGINNING = 72;
const END = 16;
/** Longer texts are never laid out as a whole: the button copies them. */
const MOST_WHOLE = 100_000;

/** A value in the font of code, shortened where it is long, with a button to copy all of it. */
export function code(text: string, what: string): HTMLElement {
  const shown = el("code", {}, text);
  const line = el("span", { class: "value" }, shown, copyButton(text, what));
  if (text.length <= MOST_SHOWN) return line;
  const cut = `${text.slice(0, BEGINNING)}…${text.slice(-END)}`;
  shown.textContent = cut;
  const length = `${text.length.toLocaleString("en")} characters`;
  if (text.length > MOST_WHOLE) return el("div", {}, line, el("span", { class: "soft small" }, length));
  const more = el("button", { type: "button", class: "more", "aria-expanded": "false" }, `Show all ${length}`);
  more.addEventListener("click", () => {
    const open = more.getAttribute("aria-expanded") !== "true";
    more.setAttribute("aria-expanded", `${open}`);
    more.textContent = open ? "Show less" : `Show all ${length}`;
    shown.textContent = open ? text : cut;
    shown.classList.toggle("whole", open);
    if (open) shown.tabIndex = 0;
    else shown.removeAttribute("tabindex");
  });
  return el("div", {}, line, more);
}

/** Text of at most `most` characters, with its length where it was cut. */
export function shorten(text: string, most = 120): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length.toLocaleString("en")} characters)`;
}

/** Bytes for people. */
export function size(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} KB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** The page about an error code. */
export function rule(fault: string): HTMLAnchorElement {
  return el("a", { class: "code", href: `../reference/wire/errors.html#${fault}` }, fault);
}
