/** A control for each layout parameter of a family; what it may be is in spec/. */
import type { BuiltInFamily, JsonValue } from "../../typescript/src/index.js";
import { JsonFloat } from "../../typescript/src/codec/values.js";
import { FAMILY_TABLE } from "../../typescript/src/generated/families.js";
import type { Range } from "../../typescript/src/generated/texts.js";
import { DEFINITION_TEXTS } from "../../typescript/src/inspect.js";
import { el } from "./dom.js";

type Use = (name: string, value: JsonValue) => void;

/** Above this a slider multiplies; below it goes one by one. */
const LEAST_DOUBLED = 64;
/** The doublings and halvings of the published value on a slider, and the steps between two. */
const REACH = 8;
const STEPS = 2;
/** The start of a slider whose parameter is null by default. */
const BEGINNINGS = { integer: 256, number: 1 } as const;

/** Label, control and output of every layout parameter that is one value; lists are not turned. */
export function controls(family: BuiltInFamily, use: Use): HTMLElement[] {
  const { defaults, layoutSchema } = FAMILY_TABLE[family];
  const texts = DEFINITION_TEXTS[layoutSchema]?.fields ?? {};
  return Object.entries(defaults).flatMap(([name, published]) => {
    const { range, title = name } = texts[name] ?? {};
    if (range === undefined) return [];
    const id = `${family}-${name}`;
    const label = el("label", { for: id }, `${title} (${name})`);
    const set = (value: JsonValue) => use(name, value);
    return [label, ...(range.kind === "boolean" ? checkbox(id, published, set) : slider(id, range, published, set))];
  });
}

function checkbox(id: string, published: JsonValue | undefined, set: (value: JsonValue) => void): HTMLElement[] {
  const input = el("input", { id, type: "checkbox" });
  const shown = el("output", { for: id }, `${published}`);
  input.checked = published === true;
  input.addEventListener("change", () => {
    shown.textContent = `${input.checked}`;
    set(input.checked);
  });
  return [input, shown];
}

/** A slider over the values that are near the published one; beside it a box for null. */
function slider(
  id: string,
  range: Range,
  published: JsonValue | undefined,
  set: (value: JsonValue) => void,
): HTMLElement[] {
  const kind = range.kind === "number" ? "number" : "integer";
  const isNull = published === null || published === undefined;
  const middle = isNull ? BEGINNINGS[kind] : Number(published);
  const values = range.choices ?? (kind === "number" ? fractions(middle) : integers(range, middle));
  const last = `${values.length - 1}`;
  const input = el("input", { id, type: "range", min: "0", max: last, step: "1", value: `${values.indexOf(middle)}` });
  const shown = el("output", { for: id });
  const current = (): JsonValue => {
    const value = values[Number(input.value)] ?? middle;
    return kind === "number" ? new JsonFloat(value) : value;
  };
  const tell = (value: JsonValue): void => {
    shown.textContent = value === null ? "null" : Number(value).toLocaleString("en", { maximumFractionDigits: 4 });
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  tell(isNull ? null : middle);
  const change = (value: JsonValue): void => { tell(value); set(value); };
  input.addEventListener("input", () => change(current()));
  if (!range.nullable) return [input, shown];
  const box = el("input", { id: `${id}-null`, type: "checkbox" });
  box.checked = isNull;
  input.disabled = isNull;
  box.addEventListener("change", () => {
    input.disabled = box.checked;
    change(box.checked ? null : current());
  });
  return [el("span", { class: "nullable" }, input, el("label", {}, box, " null")), shown];
}

/** Integers around `middle`, within the bounds: each of them, or powers of the root of 2 times it. */
function integers({ least = 0, most = Number.MAX_SAFE_INTEGER }: Range, middle: number): number[] {
  const found = new Set([middle]);
  if (least === 0) found.add(0);
  if (middle < LEAST_DOUBLED) {
    for (let value = least; value <= Math.min(most, LEAST_DOUBLED); value += 1) found.add(value);
  } else {
    for (const factor of powers(REACH)) found.add(Math.round(middle * factor));
  }
  return [...found].filter((value) => value >= least && value <= most).sort((a, b) => a - b);
}

/** Halves and doubles of `middle`, and what lies between. */
function fractions(middle: number): number[] {
  return powers(2).map((factor) => middle * factor);
}

/** Powers of the root of 2 as far as `reach` doublings on both sides of 1. */
function powers(reach: number): number[] {
  return Array.from({ length: 2 * reach * STEPS + 1 }, (_, step) => 2 ** (step / STEPS - reach));
}
