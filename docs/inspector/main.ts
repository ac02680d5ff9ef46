/** The page: what was pasted, dropped or linked is inspected here and sent nowhere. */
import { formatOf } from "../../typescript/src/images/index.js";
import { byId, copyButton, el, size } from "./dom.js";
import { EXAMPLES } from "./example.js";
import { pictureCard, sizeCard } from "./families.js";
import { card } from "./findings.js";
import { forgetPictures } from "./picture.js";
import { scanText } from "./scan.js";
import type { Progress, Report } from "./scan.js";
import { strip } from "./strip.js";
import { scanAside, serve, stop } from "./worker.js";

/** Longer texts are read aside, and not shown in the text box. */
const MOST_AT_ONCE = 1 << 20;
/** Longer texts would make links that no browser opens. */
const MOST_LINK = 100_000;
/** The head of a file that tells its format. */
const HEAD = 64;

type State = "empty" | "loading" | "done";

function start(): void {
  const text = byId("text", HTMLTextAreaElement);
  const run = byId("run", HTMLInputElement);
  const file = byId("file", HTMLInputElement);
  const status = byId("status", HTMLParagraphElement);
  const verdict = byId("verdict", HTMLElement);
  const loading = byId("loading", HTMLElement);
  const bar = byId("progress", HTMLProgressElement);
  const results = byId("results", HTMLElement);
  /** The file that was read aside; it is read again when the run changes. */
  let aside: File | null = null;

  function enter(state: State): void {
    document.body.dataset.state = state;
    loading.hidden = state !== "loading";
    byId("examples", HTMLElement).hidden = state !== "empty";
    verdict.replaceChildren();
    results.replaceChildren();
    status.textContent = "";
    forgetPictures();
  }

  function runId(): string | null {
    return run.value.trim() || null;
  }

  function show(): void {
    stop();
    aside = null;
    if (text.value.trim() === "") return enter("empty");
    if (text.value.length > MOST_AT_ONCE) return void readAside(new File([text.value], "the text"));
    showReport(() => scanText(text.value, runId()));
  }

  function showReport(make: () => Report): void {
    enter("done");
    try {
      const report = make();
      const { rejected, contradicts, ok } = report.counts;
      const found = rejected + contradicts + ok;
      if (found === 0) {
        verdict.replaceChildren(el("p", { class: "nothing" }, "Nothing of this protocol is in it: no ref, no envelope, no features body."));
        return;
      }
      verdict.replaceChildren(strip(report, runId()));
      results.replaceChildren(...report.rows.map((row) => card(row, runId(), found === 1)));
      if (found > report.rows.length) status.textContent = `The worst ${report.rows.length} of ${found.toLocaleString("en")} are shown.`;
    } catch (error) {
      verdict.replaceChildren(el("p", { class: "nothing" }, `The run is no label: ${error instanceof Error ? error.message : "unreadable"}`));
    }
  }

  async function readAside(chosen: File): Promise<void> {
    enter("loading");
    aside = chosen;
    const words = byId("loading-text", HTMLElement);
    bar.max = Math.max(chosen.size, 1);
    bar.value = 0;
    const tell = ({ bytes, counts }: Progress): void => {
      bar.value = bytes;
      const percent = Math.floor((100 * bytes) / bar.max);
      const found = counts.rejected + counts.contradicts + counts.ok;
      words.textContent = `${percent}% of ${chosen.name}: ${found.toLocaleString("en")} found, ${counts.rejected.toLocaleString("en")} rejected`;
    };
    words.textContent = `Reading ${chosen.name}, ${size(chosen.size)}`;
    try {
      const report = await scanAside(chosen, runId(), tell);
      if (aside === chosen) showReport(() => report);
    } catch (error) {
      enter("empty");
      status.textContent = `The file could not be read: ${error instanceof Error ? error.message : "unknown"}`;
    }
  }

  async function open(chosen: File): Promise<void> {
    const head = new Uint8Array(await chosen.slice(0, HEAD).arrayBuffer());
    if (formatOf(head) !== null || chosen.type.startsWith("image/")) {
      enter("done");
      text.value = "";
      results.replaceChildren(pictureCard(chosen.name, new Uint8Array(await chosen.arrayBuffer())));
      return;
    }
    if (chosen.size > MOST_AT_ONCE) {
      text.value = "";
      return readAside(chosen);
    }
    text.value = (await chosen.text()).trimEnd();
    show();
  }

  function showLinked(): void {
    const fragment = location.hash.slice(1);
    if (!fragment.startsWith("text=")) return;
    try {
      text.value = decodeURIComponent(fragment.slice(5));
    } catch {
      return;
    }
    show();
  }

  for (const { id, title, text: words, make } of EXAMPLES) {
    const button = el("button", { type: "button", id: `example-${id}`, class: "example" }, el("strong", {}, title), el("span", {}, words));
    button.addEventListener("click", () => {
      text.value = make();
      show();
    });
    byId("examples-list", HTMLElement).append(button);
  }
  byId("sizes", HTMLButtonElement).addEventListener("click", () => {
    enter("done");
    results.replaceChildren(sizeCard());
  });
  byId("inspect", HTMLButtonElement).addEventListener("click", () => {
    show();
    verdict.focus();
  });
  byId("cancel", HTMLButtonElement).addEventListener("click", () => {
    stop();
    aside = null;
    enter("empty");
  });
  byId("clear", HTMLButtonElement).addEventListener("click", () => {
    stop();
    text.value = "";
    aside = null;
    history.replaceState(null, "", location.pathname);
    enter("empty");
    text.focus();
  });
  byId("link", HTMLButtonElement).addEventListener("click", () => {
    if (text.value.length > MOST_LINK) {
      status.textContent = "The text is too long for a link.";
      return;
    }
    // Behind the # it stays in the browser: no server ever sees it.
    history.replaceState(null, "", `#text=${encodeURIComponent(text.value)}`);
    copyButton(location.href, "the link").click();
    status.textContent = "The link is in the address bar and on the clipboard.";
  });
  text.addEventListener("paste", () => setTimeout(show));
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    show();
    verdict.focus();
  });
  run.addEventListener("change", () => (aside === null ? show() : void readAside(aside)));
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (chosen !== undefined) void open(chosen);
    file.value = "";
  });
  addEventListener("hashchange", showLinked);
  listenForDrops(open, (words) => {
    text.value = words;
    show();
  });
  enter("empty");
  showLinked();
}

/** Shows the drop zone while something is over the page, and takes what is dropped. */
function listenForDrops(open: (file: File) => Promise<void>, use: (text: string) => void): void {
  const { classList } = document.body;
  addEventListener("dragover", (event) => {
    event.preventDefault();
    classList.add("dragging");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) classList.remove("dragging");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    classList.remove("dragging");
    const [dropped] = event.dataTransfer?.files ?? [];
    const words = event.dataTransfer?.getData("text/plain") ?? "";
    if (dropped !== undefined) void open(dropped);
    else if (words !== "") use(words);
  });
}

if (typeof document === "undefined") serve();
else start();
