/** The checks of raw_uri that no pattern can express: those that `x-mmraw-syntax` names. */
import { parseDataUri, parseFileLabel } from "./codec/datauri.js";
import type { Check } from "./codec/check.js";
import { checkRawImageId } from "./generated/checks.js";

export type Syntax = "data_url" | "file_label" | "raw_uri";

const dataUrl: Check = (value, path, limits, faults) =>
  faults.catch(() => void parseDataUri(value, limits, path));

const fileLabel: Check = (value, path, limits, faults) =>
  faults.catch(() => checkRawImageId(parseFileLabel(value, path), path, limits, faults));

const rawUri: Check = (value, path, limits, faults) => {
  const check = typeof value === "string" && value.startsWith("file:") ? fileLabel : dataUrl;
  check(value, path, limits, faults);
};

export const SYNTAXES: { readonly [S in Syntax]: Check } = {
  data_url: dataUrl,
  file_label: fileLabel,
  raw_uri: rawUri,
};
