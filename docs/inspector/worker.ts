/** Large files are read by a worker, so that the page answers meanwhile. */
import { received, scanFile, sent } from "./scan.js";
import type { Progress, Report, SentRow } from "./scan.js";

interface Job {
  readonly file: Blob;
  readonly runId: string | null;
}

type SentReport = Omit<Report, "rows"> & { readonly rows: readonly SentRow[] };
type Answer = { readonly progress: Progress } | { readonly report: SentReport } | { readonly failed: string };

/** The worker's side: one job, with progress on the way. */
export function serve(): void {
  addEventListener("message", ({ data }: MessageEvent<Job>) => {
    const answer = (value: Answer): void => { postMessage(value); };
    scanFile(data.file, data.runId, (progress) => { answer({ progress }); }).then(
      (report) => { answer({ report: { ...report, rows: report.rows.map(sent) } }); },
      (error: unknown) => { answer({ failed: `${error}` }); },
    );
  });
}

/** The script of the page, which the worker runs too. */
const SCRIPT = typeof document === "undefined" ? null : (document.currentScript as HTMLScriptElement | null)?.src;

let running: Worker | null = null;

/** Ends the scan that runs. */
export function stop(): void {
  running?.terminate();
  running = null;
}

/** The report on a large file. From `file:` pages, which have no workers, the page reads it itself. */
export function scanAside(file: Blob, runId: string | null, tell: (progress: Progress) => void): Promise<Report> {
  stop();
  try {
    running = new Worker(SCRIPT ?? "");
  } catch {
    return scanFile(file, runId, tell);
  }
  const worker = running;
  return new Promise((resolve, reject) => {
    worker.addEventListener("error", () => { reject(new Error("the worker stopped")); });
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      if ("progress" in data) return tell(data.progress);
      stop();
      if ("failed" in data) reject(new Error(data.failed));
      else resolve({ ...data.report, rows: data.report.rows.map(received) });
    });
    worker.postMessage({ file, runId } satisfies Job);
  });
}
