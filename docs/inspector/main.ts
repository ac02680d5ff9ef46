/** The page: what was pasted, dropped or linked is inspected here and sent nowhere. */
import { inspectText } from "../../typescript/src/inspect.js";
import type { Finding } from "../../typescript/src/inspect.js";
import { formatOf } from "../../typescript/src/images/index.js";
import { byId, el } from "./dom.js";
import { EXAMPLE } from "./example.js";
import { pictureCard } from "./families.js";
import { card } from "./findings.js";
import { forgetPictures } from "./picture.js";

const MOST_CARDS = 100;
const MOST_FILE_BYTES = 512 * 1024 * 1024;
/** Longer texts would make links that no browser opens. */
const MOST_LINK = 100_000;

const text = byId("text", HTMLTextAreaElement);
const run = byId("run", HTMLInputElement);
const file = byId("file", HTMLInputElement);
const status = byId("status", HTMLParagraphElement);
const results = byId("results", HTMLElement);

/** A whole document, or, where that is none and there are several lines, each line for itself. */
function findingsOf(source: string): Finding[] {
  const whole = inspectText(source);
  const lines = source.split("\n").filter((line) => line.trim() !== "");
  if (whole[0]?.kind !== "document" || lines.length < 2) return whole;
  return lines.flatMap((line, index) =>
    inspectText(line).map((found) => ({ ...found, path: `line ${index + 1}, ${found.path}` })),
  );
}

function show(source: string): void {
  forgetPictures();
  if (source.trim() === "") {
    results.replaceChildren();
    status.textContent = "";
    return;
  }
  const findings = findingsOf(source);
  const refused = findings.filter((found) => found.faults.length > 0);
  const shown = [...refused, ...findings.filter((found) => found.faults.length === 0)].slice(0, MOST_CARDS);
  const runId = run.value.trim() || null;
  results.replaceChildren(...shown.map((found) => card(found, runId)));
  if (findings.length === 0) results.append(el("p", {}, "Valid JSON, and nothing of this protocol in it."));
  const more = findings.length > shown.length ? ` The first ${shown.length} are shown, refused ones first.` : "";
  status.textContent = `${findings.length} found, ${refused.length} refused.${more}`;
}

async function open(chosen: File): Promise<void> {
  if (chosen.size > MOST_FILE_BYTES) {
    status.textContent = "This file is too large for a page; mmraw validate reads files of any size.";
    return;
  }
  const data = new Uint8Array(await chosen.arrayBuffer());
  if (formatOf(data) !== null || chosen.type.startsWith("image/")) {
    forgetPictures();
    text.value = "";
    results.replaceChildren(pictureCard(chosen.name, data));
    status.textContent = "A picture: what each family makes of it.";
    return;
  }
  text.value = new TextDecoder().decode(data).trimEnd();
  show(text.value);
}

function linked(): string | null {
  const fragment = location.hash.slice(1);
  if (!fragment.startsWith("text=")) return null;
  try {
    return decodeURIComponent(fragment.slice(5));
  } catch {
    return null;
  }
}

function showLinked(): void {
  const found = linked();
  if (found === null) return;
  text.value = found;
  show(found);
}

byId("inspect", HTMLButtonElement).addEventListener("click", () => {
  show(text.value);
  results.focus();
});
byId("example", HTMLButtonElement).addEventListener("click", () => {
  text.value = EXAMPLE;
  show(EXAMPLE);
});
byId("clear", HTMLButtonElement).addEventListener("click", () => {
  text.value = "";
  show("");
  history.replaceState(null, "", location.pathname);
  text.focus();
});
byId("link", HTMLButtonElement).addEventListener("click", () => {
  if (text.value.length > MOST_LINK) {
    status.textContent = "The text is too long for a link.";
    return;
  }
  // Behind the # it stays in the browser: no server ever sees it.
  history.replaceState(null, "", `#text=${encodeURIComponent(text.value)}`);
  void navigator.clipboard?.writeText(location.href).catch(() => undefined);
  status.textContent = "The link is in the address bar and on the clipboard.";
});
text.addEventListener("paste", () => setTimeout(() => show(text.value)));
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) show(text.value);
});
run.addEventListener("change", () => show(text.value));
file.addEventListener("change", () => {
  const [chosen] = file.files ?? [];
  if (chosen !== undefined) void open(chosen);
  file.value = "";
});
addEventListener("hashchange", showLinked);
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", () => document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const [dropped] = event.dataTransfer?.files ?? [];
  if (dropped !== undefined) {
    void open(dropped);
    return;
  }
  const words = event.dataTransfer?.getData("text/plain");
  if (words) {
    text.value = words;
    show(words);
  }
});
showLinked();
