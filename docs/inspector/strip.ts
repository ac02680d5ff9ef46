/** The verdict at a glance: one sentence, then ref, hash, grid, run and source. */
import { verdictOf } from "../../typescript/src/verdict.js";
import type { Check, CheckName, State, Verdict } from "../../typescript/src/verdict.js";
import { el, icon, prose, rule, shorten } from "./dom.js";
import type { Child } from "./dom.js";
import type { Report } from "./scan.js";

const MARKS: Readonly<Record<State, string>> = {
  ok: "M3 8.5l3.5 3.5L13 4.5",
  contradicts: "M4 4l8 8M12 4l-8 8",
  unchecked: "M3.5 8h9",
};
const TITLES: Readonly<Record<CheckName, string>> = { ref: "Ref", hash: "Hash", grid: "Grid", run: "Run", source: "Source" };
const WORST: readonly State[] = ["contradicts", "unchecked", "ok"];

export function mark(state: State): SVGElement {
  return icon(MARKS[state]);
}

/** The word for an outcome, in its colour. */
export function badge(outcome: Verdict["state"]): HTMLElement {
  const text = { ok: "valid", contradicts: "contradicts itself", rejected: "rejected" }[outcome];
  const state = outcome === "ok" ? "ok" : "contradicts";
  return el("span", { class: "badge", "data-state": state }, mark(state), text);
}

/** The five checks as a list. */
export function checks(found: readonly Check[]): HTMLElement {
  const items = found.map(({ name, state, text, fault }) => {
    const head = el("span", { class: "check-name" }, mark(state), `${TITLES[name]}: ${state}`);
    const why: Child[] = fault === null ? [text] : [rule(fault.code), ` ${text}`];
    const more = text === "" ? [] : [el("span", { class: "check-text" }, ...why)];
    return el("li", { "data-state": state, "data-check": name }, head, ...more);
  });
  return el("ul", { class: "checks" }, ...items);
}

/** The strip of a whole report. */
export function strip(report: Report, runId: string | null): HTMLElement {
  const verdicts = report.rows.map(({ finding }) => verdictOf(finding, { runId }));
  const all = TITLES_IN_ORDER.map((name) => worst(verdicts, name));
  const [first] = verdicts;
  const outcome = first?.state ?? "ok";
  const state = outcome === "ok" ? "ok" : "contradicts";
  const headline = el("div", { class: "headline", "data-state": state }, mark(state), el("div", {}, ...sentence(report, first)));
  return el("div", { class: "strip", "data-outcome": outcome }, headline, checks(all));
}

const TITLES_IN_ORDER = Object.keys(TITLES) as CheckName[];

function worst(verdicts: readonly Verdict[], name: CheckName): Check {
  const found = verdicts.flatMap((verdict) => verdict.checks.filter((check) => check.name === name));
  for (const state of WORST) {
    const check = found.find((one) => one.state === state);
    if (check !== undefined) return check;
  }
  return { name, state: "unchecked", text: "", fault: null };
}

/** The worst first, then how many there are. */
function sentence(report: Report, first: Verdict | undefined): Child[] {
  const { rejected, contradicts, ok } = report.counts;
  const found = rejected + contradicts + ok;
  const fault = first?.checks.find((check) => check.fault !== null)?.fault ?? null;
  const counted = [[rejected, "rejected"], [contradicts, "contradicting"], [ok, "valid"]] as const;
  const counts = counted.filter(([count]) => count > 0).map(([count, word]) => `${count.toLocaleString("en")} ${word}`).join(", ");
  const lines = report.lines > 1 ? ` in ${report.lines.toLocaleString("en")} lines` : "";
  const many = found > 1 ? [el("p", { class: "soft" }, `${found.toLocaleString("en")} found${lines}: ${counts}`)] : [];
  if (fault === null) {
    const open = first?.checks.filter(({ state }) => state === "unchecked").length ?? 0;
    const rest = open === 0 ? "Every check was made." : `Checked: ${5 - open} of 5. The others need a store or the expected run.`;
    const title = el("p", { class: "title" }, found > 1 ? "All valid" : "Valid");
    return [title, ...many, ...(found > 1 ? [] : [el("p", { class: "soft" }, rest)])];
  }
  const word = first?.state === "rejected" ? "Rejected: " : "Contradicts itself: ";
  const why = el("p", {}, ...prose(fault.reason), " at ", el("code", {}, shorten(fault.path)));
  return [el("p", { class: "title" }, word, rule(fault.code)), why, ...many];
}
