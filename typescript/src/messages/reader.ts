/**
 * The one reader of messages: every image of a conversation, in any spelling that people write.
 *
 * Source: spec/README.md, section "Messages", and spec/messages.json.
 */
import { isObject, JsonFloat } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import {
  COLUMN_TAG,
  COLUMNS,
  CONTENTS,
  CONVERSATIONS,
  FILE_IDS,
  LOOKS_MEDIA_TYPES,
  NESTED,
} from "../generated/messages.js";
import type { Place } from "../generated/messages.js";
import { MEDIA_NAMES, PARTS } from "../generated/modalities.js";
import { unsupported } from "../modality.js";
import { isPicture, looksLikeImage } from "./looks.js";
import { refusedModality } from "./parts.js";
import { field, isHolder, isSet, placeOf, put, valueAt } from "./places.js";

type Steps = readonly (string | number)[];

/** How many parts were skipped, by error code. */
export type Skipped = Map<string, number>;

/** An image of a conversation. */
export interface MessageImage {
  /** The message that it stands in. */
  readonly messageIndex: number;
  /** The part of its content, or the entry of its column, that it is or stands in. */
  readonly partIndex: number;
  /** What holds it: a part, or an entry of a column. */
  readonly part: unknown;
  /** Bytes, a URL, a path or base64; null where the part names none. */
  readonly source: unknown;
  /** Where it stands, for errors. */
  readonly path: string;
  /** Keys and indices that lead to `part`. */
  readonly steps: Steps;
  /** One of the spellings of spec/messages.json. */
  readonly spelling: string;
  /** Where in the part the source stands. */
  readonly place: Place;
}

type Segment = string | MessageImage;

const SKIPPED = ["image_part_unknown", "modality_unsupported", "source_unsupported"];
const MEDIA_COLUMNS = [
  ["videos", "video"],
  ["audios", "audio"],
  ["video", "video"],
] as const;
const NOWHERE = { types: [], at: [], having: [], media_type: [], url: {}, data: {}, ref: {} };
/** The images of a column, which stand there themselves. */
export const COLUMN: Place = { ...NOWHERE, spelling: "images_column", encoded: false, file_id: false };
/** An image part that names no source. */
const SLOT: Place = { ...COLUMN, spelling: "transformers" };

/**
 * Every image of a conversation, in order, in any spelling of spec/messages.json.
 *
 * @param messages A list of messages, or a row that has one under `messages`, `prompt` or
 *   `conversations` with its images beside.
 * @param skipped Without it, what looks like an image and cannot be read is rejected; with it, such
 *   parts are left out and counted there by error code.
 * @throws MMRawError invalid_type, image_part_unknown, modality_unsupported, source_unsupported (a
 *   file id), lengths_differ (a column and the places for its images), with the part's path.
 */
export function findImages(messages: unknown, skipped: Skipped | null = null): MessageImage[] {
  const isRow = (name: string): boolean =>
    !Array.isArray(messages) && Array.isArray(field(messages, name));
  const key = CONVERSATIONS.find(isRow);
  const rows = key === undefined ? messages : field(messages, key);
  if (!Array.isArray(rows)) throw new MMRawError("invalid_type", "messages are a list");
  const reader = new Reader(skipped);
  rows.forEach((row, index) => reader.message(row, key === undefined ? [index] : [key, index]));
  if (key !== undefined) reader.columns(messages, [], null);
  if (key !== undefined && reader.images().length === 0) reader.keysBeside(messages);
  return reader.images();
}

class Reader {
  readonly segments: Segment[][] = [];
  private firstUser: number | null = null;

  constructor(private readonly skipped: Skipped | null) {}

  message(message: unknown, steps: Steps): void {
    const path = pathOf(steps);
    if (!isHolder(message)) {
      throw new MMRawError("invalid_type", "expected a message, an object", path);
    }
    this.segments.push([]);
    const index = this.segments.length - 1;
    if (field(message, "role") === "user") this.firstUser ??= index;
    const found = CONTENTS.filter((name) => field(message, name) !== null);
    for (const name of found) this.content(field(message, name), [...steps, name]);
    // Attachments, or no message but a part: nothing of it may vanish.
    this.refuseLooks(without(message, [...found, ...COLUMNS]), path);
    this.columns(message, steps, index);
  }

  /** Adds the images that stand beside the texts of a message, or of a whole row (null). */
  columns(holder: unknown, steps: Steps, message: number | null): void {
    for (const [name, modality] of MEDIA_COLUMNS) {
      if (isFilled(field(holder, name))) {
        this.refuse(unsupported(modality, pathOf([...steps, name])));
      }
    }
    for (const name of COLUMNS) {
      const value = field(holder, name);
      if (!isFilled(value)) continue;
      const at = [...steps, name];
      const entries = Array.isArray(value)
        ? value.map((row: unknown, index) => entryOf(row, [...at, index]))
        : [entryOf(value, at)];
      this.column(entries, message, pathOf(at));
    }
  }

  images(): MessageImage[] {
    return this.segments.flat().filter((one) => typeof one !== "string");
  }

  /** Refuses keys of a row that name images where none was found: its column, named otherwise. */
  keysBeside(row: unknown): void {
    const filled = Object.entries(without(row, COLUMNS)).filter(([, value]) => isFilled(value));
    this.refuseLooks(Object.fromEntries(filled.map(([name]) => [name, name])), "$");
  }

  private content(content: unknown, steps: Steps): void {
    if (typeof content === "string") this.text(content, pathOf(steps));
    else if (Array.isArray(content)) {
      content.forEach((part, index) => this.part(part, [...steps, index]));
    } else this.part(content, steps, `${pathOf(steps)}[0]`);
  }

  private part(part: unknown, steps: Steps, path = pathOf(steps)): void {
    if (typeof part === "string") return this.text(part, path);
    if (Array.isArray(part)) return this.content(part, steps);
    if (isPicture(part)) return this.refuseLooks(part, path);
    const kind = field(part, "type");
    const modality = refusedModality(part, kind);
    if (modality !== null) return this.refuse(unsupported(modality, path));
    const found = placeOf(part);
    if (found !== null) {
      if (found.place.file_id) return this.refuse(fileId(path));
      this.add(part, found.source, found.place, steps, path);
      // A second image in the same part would stay behind.
      return this.refuseLooks(without(part, found.place.at.slice(0, 1)), path, true);
    }
    const isImage = ["image", "image_url", "input_image"].includes(kind as string);
    if (isImage && looksLikeImage(without(part, ["type"])) === null) {
      // A slot for an image of a column; without one it has no source.
      return this.add(part, null, SLOT, steps, path);
    }
    this.other(part, kind, steps, path);
  }

  /** A part that is no image: its text, the parts within it, and what looks like an image. */
  private other(part: unknown, kind: unknown, steps: Steps, path: string): void {
    if (isClosed(part)) {
      const reason = "expected a part with keys; an image in this one would be lost";
      return this.refuse(new MMRawError("image_part_unknown", reason, path));
    }
    const nested = NESTED.filter((at) => valueAt(part, at) !== null);
    for (const at of nested) this.content(valueAt(part, at), [...steps, ...at]);
    if (kind !== "text" && namesFile(part)) return this.refuse(fileId(path));
    for (const [name, modality] of PARTS) {
      if (isFilled(field(part, name))) return this.refuse(unsupported(modality, path));
    }
    const rest = nested.reduce((held: unknown, at) => put(held, at, null), without(part, []));
    this.refuseLooks(rest, path);
    const text = field(part, "text");
    if (typeof text === "string") this.text(text, path);
  }

  private text(text: string, path: string): void {
    this.refuseLooks(text, path, true);
    this.segments.at(-1)?.push(text);
  }

  private add(part: unknown, source: unknown, place: Place, steps: Steps, path: string): void {
    const [messageIndex = 0, partIndex = 0] = steps.filter((step) => typeof step === "number");
    const { spelling } = place;
    const image = { messageIndex, partIndex, part, source, path, steps, spelling, place };
    this.segments.at(-1)?.push(image);
  }

  private refuseLooks(value: unknown, path: string, strict = false): void {
    const by = looksLikeImage(value, strict);
    if (by === null) return;
    const reason = `looks like an image by its ${by}, in no spelling that is read`;
    this.refuse(new MMRawError("image_part_unknown", reason, path));
  }

  private refuse(error: MMRawError): void {
    if (this.skipped === null || !SKIPPED.includes(error.code)) throw error;
    this.skipped.set(error.code, (this.skipped.get(error.code) ?? 0) + 1);
  }

  /** Puts the images of a column where the tags of the texts are, else before the texts. */
  private column(images: readonly MessageImage[], message: number | null, path: string): void {
    const chosen = message === null ? [...this.segments.keys()] : [message];
    const split = chosen.map((index) => splitAtTags(this.segments[index] ?? []));
    const slots = split.flat().filter((one) => one === null).length;
    const others = split.flat().some((one) => one !== null && typeof one !== "string");
    // A text that names no image, such as a container's.
    const isOther = ({ part }: MessageImage): boolean =>
      typeof part === "string" && looksLikeImage(part) === null;
    if (others && slots === 0 && images.every(isOther)) return;
    if (slots !== images.length && (slots > 0 || others)) {
      const reason = `${images.length} images, and ${slots} places for them`;
      throw new MMRawError("lengths_differ", reason, path);
    }
    if (slots === 0 && chosen.length > 0) {
      const index = message ?? this.firstUser ?? 0;
      this.segments[index]?.unshift(...images.map((one) => ({ ...one, messageIndex: index })));
      return;
    }
    const waiting = images.values();
    split.forEach((row, at) => {
      const index = chosen[at] ?? 0;
      this.segments[index] = row.map(
        (one) => one ?? { ...(waiting.next().value as MessageImage), messageIndex: index },
      );
    });
  }
}

/** Texts cut at their tags; null for each place of a column's image. */
function splitAtTags(segments: readonly Segment[]): (Segment | null)[] {
  return segments.flatMap((one): (Segment | null)[] => {
    if (typeof one !== "string") return [one.place === SLOT ? null : one];
    return one.split(COLUMN_TAG).flatMap((text, index) => [
      ...(index > 0 ? [null] : []),
      ...(text === "" ? [] : [text]),
    ]);
  });
}

/** An entry of a column. */
function entryOf(value: unknown, steps: Steps): MessageImage {
  const found = placeOf(value);
  const path = pathOf(steps);
  const known = found !== null && !found.place.file_id;
  if (!known && (isHolder(value) || value === null)) {
    throw new MMRawError("image_part_unknown", "an entry of the column is no image that is read", path);
  }
  const last = steps.at(-1);
  return {
    messageIndex: 0,
    partIndex: typeof last === "number" ? last : 0,
    part: value,
    source: known ? found.source : value,
    path,
    steps,
    spelling: COLUMN.spelling,
    place: known ? found.place : COLUMN,
  };
}

/** What an object holds but these keys. */
function without(value: unknown, names: readonly string[]): object {
  const rows = isHolder(value) ? Object.entries(value) : [];
  return Object.fromEntries(rows.filter(([name]) => !names.includes(name)));
}

function isFilled(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  return isHolder(value) ? isSet(value) : value instanceof Uint8Array;
}

/** Whether a part is an object of which nothing can be read: a set, a stream, a buffer. */
function isClosed(part: unknown): boolean {
  if (typeof part !== "object" || part === null) return false;
  if (isObject(part) || part instanceof JsonFloat) return false;
  return !isHolder(part) || (Object.keys(part).length === 0 && typeof field(part, "text") !== "string");
}

/** Whether a part is a file that its server knows by an id, and that may be an image. */
function namesFile(part: unknown): boolean {
  const declared = MEDIA_NAMES.map((name) => field(part, name)).find(isSet) ?? "image/";
  const text = typeof declared === "string" ? declared.toLowerCase() : "";
  if (!LOOKS_MEDIA_TYPES.some((start) => text.startsWith(start))) return false;
  return FILE_IDS.some((at) => typeof valueAt(part, at) === "string");
}

function fileId(path: string): MMRawError {
  const reason = "a file id names a file on its own server; send the image itself";
  return new MMRawError("source_unsupported", reason, path);
}

function pathOf(steps: Steps): string {
  return `$${steps.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("")}`;
}
