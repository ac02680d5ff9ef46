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
export function table(columns: readonly string[], rows: readonly HTMLTableRowElement[]): HTMLElement {
  const head = el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)));
  const body = el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "table" }, body);
}

export function row(...cells: readonly Child[]): HTMLTableRowElement {
  return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
}

/** Text of at most `most` characters, with its length where it was cut. */
export function shorten(text: string, most = 400): string {
  return text.length <= most ? text : `${text.slice(0, most - 60)}… (${text.length.toLocaleString("en")} characters)`;
}

/** Bytes for people. */
export function size(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} KB` : `${(count / 1e6).toFixed(1)} MB`;
}
