/**
 * The one reader of messages: every image of a conversation, in any spelling that people write.
 *
 * Source: spec/README.md, section "Messages", and spec/messages.json.
 */
import { isObject, JsonFloat } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import {
  ANSWERS,
  COLUMN_TAG,
  COLUMNS,
  CONTENTS,
  CONVERSATIONS,
  FILE_IDS,
  LOOKS_MEDIA_TYPES,
  MEDIA_COLUMNS,
  NESTED,
  REF_COLUMNS,
} from "../generated/messages.js";
import type { Place } from "../generated/messages.js";
import { MEDIA_NAMES, PARTS } from "../generated/modalities.js";
import { unsupported } from "../modality.js";
import {
  holdsPicture,
  holdsUrl,
  isNamedAsImage,
  isPicture,
  isUnread,
  looksLikeImage,
  rowsOf,
} from "./looks.js";
import { refusedModality } from "./parts.js";
import { field, isHolder, isSet, placeOf, put, valueAt, without, withoutSource } from "./places.js";

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
  /** Bytes, a URL, a path or base64; null if the part names none. */
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
/** Keys of a row under which messages stand, and keys that a message has. */
const LISTS = [...CONVERSATIONS, ...ANSWERS];
const ROLES = ["role", "from"];
const NAMES = [...ROLES, ...CONTENTS];
/** Of lists and keys that lead to a part; JSON has no more. */
const MAX_DEPTH = 256;
const NOWHERE = { types: [], at: [], having: [], media_type: [], url: {}, data: {}, ref: {} };
/** The images of a column, which are its entries themselves. */
export const COLUMN: Place = { ...NOWHERE, spelling: "images_column", encoded: false, file_id: false };
/** An image part that names no source. */
const SLOT: Place = { ...COLUMN, spelling: "transformers" };

/**
 * Every image of a conversation, in order, in any spelling of spec/messages.json.
 *
 * @param messages A list of messages, or a row that has one under `messages`, `prompt` or
 *   `conversations`, with answers and images beside.
 * @param skipped Without it, what looks like an image and cannot be read is rejected; with it, such
 *   parts are left out and counted there by error code.
 * @throws MMRawError invalid_type, image_part_unknown, modality_unsupported, source_unsupported (a
 *   file id), lengths_differ (a column and the places for its images), with the part's path.
 */
export function findImages(messages: unknown, skipped: Skipped | null = null): MessageImage[] {
  const names = listsOf(messages);
  const reader = new Reader(skipped);
  if (names.length === 0) {
    if (!Array.isArray(messages)) throw new MMRawError("invalid_type", "messages must be a list");
    reader.conversation(messages, []);
    return reader.images();
  }
  for (const name of names) reader.conversation(field(messages, name), [name]);
  reader.columns(messages, [], null);
  reader.beside(without(messages, names));
  return reader.images();
}

/** Keys under which a row has messages: its conversation's, then what stands beside it. */
function listsOf(row: unknown): string[] {
  const lists = LISTS.filter((name) => Array.isArray(field(row, name)));
  const read = LISTS.filter((name) => holdsMessage(field(row, name), NAMES, 1));
  const first = lists.find((name) => read.includes(name)) ?? lists[0];
  return first === undefined ? [] : [first, ...read.filter((name) => name !== first)];
}

/** Whether a value is a message, by one of its keys, or a list that has one. */
function holdsMessage(value: unknown, names: readonly string[], depth: number): boolean {
  if (isUnread(value)) return depth > 0;
  const rows = rowsOf(value);
  if (rows === null) return names.some((name) => field(value, name) !== null);
  return depth > 0 && rows.some((row) => holdsMessage(row, names, depth - 1));
}

class Reader {
  readonly segments: Segment[][] = [];
  /** The segments of each list of messages. */
  private readonly lists: (readonly number[])[] = [];
  /** The index of each segment's message in its list. */
  private readonly numbers: number[] = [];
  private depth = 0;
  private firstUser: number | null = null;

  constructor(private readonly skipped: Skipped | null) {}

  /** Adds the messages of a list, or a message that stands alone. */
  conversation(messages: unknown, steps: Steps): void {
    const start = this.segments.length;
    if (Array.isArray(messages)) {
      messages.forEach((row, index) => this.message(row, [...steps, index]));
    } else this.message(messages, steps);
    this.lists.push([...this.segments.keys()].slice(start));
  }

  private message(message: unknown, steps: Steps): void {
    const path = pathOf(steps);
    if (!isMessage(message)) {
      throw new MMRawError("invalid_type", "expected a message, an object", path);
    }
    this.segments.push([]);
    const index = this.segments.length - 1;
    const last = steps.at(-1);
    this.numbers.push(typeof last === "number" ? last : 0);
    this.depth = steps.length;
    if (this.lists.length === 0 && field(message, "role") === "user") this.firstUser ??= index;
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

  /**
   * Refuses other keys of a row that hold images of its conversation: messages; and, where no image
   * was found or a tag has none, keys that name images, and whole images: a column named otherwise.
   */
  beside(others: object): void {
    const rows = Object.entries(others) as [string, unknown][];
    for (const [name, value] of rows) {
      const hasMessage = holdsMessage(value, ROLES, 3);
      if (!hasMessage && !LISTS.includes(name)) continue;
      const isList = hasMessage && field(value, "role") === null && field(value, "from") === null;
      this.refuseLooks(value, LISTS.includes(name) ? `$.${name}` : "$", !isList);
    }
    const isTagged = (one: Segment): boolean => typeof one === "string" && one.includes(COLUMN_TAG);
    if (this.images().length > 0 && !this.segments.flat().some(isTagged)) return;
    const known = [...COLUMNS, ...REF_COLUMNS];
    const rest = rows.filter(([name, value]) => isFilled(value) && !known.includes(name));
    const hasName = looksLikeImage(Object.fromEntries(rest.map(([name]) => [name, name]))) !== null;
    if (hasName || holdsPicture(rest.map(([, value]) => value))) {
      const reason = "a column of another name than images looks like one of images";
      this.refuse(new MMRawError("image_part_unknown", reason, "$"));
    }
  }

  private content(content: unknown, steps: Steps): void {
    if (typeof content === "string") this.text(content, pathOf(steps));
    else if (Array.isArray(content)) {
      content.forEach((part, index) => this.part(part, [...steps, index]));
    } else this.part(content, steps, `${pathOf(steps)}[0]`);
  }

  private part(part: unknown, steps: Steps, path = pathOf(steps)): void {
    if (steps.length > MAX_DEPTH) {
      throw new MMRawError("limit_exceeded", `nested deeper than ${MAX_DEPTH} levels`);
    }
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
      return this.refuseLooks(withoutSource(part, found.place.at), path, true);
    }
    if (isSlot(part, kind)) {
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
    const isNamed = kind !== "text" && isNamedAsImage(part);
    this.refuseLooks(isNamed ? { type: "image" } : rest, path);
    const text = field(part, "text");
    if (typeof text === "string") this.text(text, path);
  }

  private text(text: string, path: string): void {
    this.refuseLooks(text, path, true);
    this.segments.at(-1)?.push(text);
  }

  private add(part: unknown, source: unknown, place: Place, steps: Steps, path: string): void {
    const messageIndex = this.numbers.at(-1) ?? 0;
    const partIndex = steps.slice(this.depth).find((step) => typeof step === "number") ?? 0;
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
    const lists = message === null ? this.lists : [[message]];
    const split = new Map(
      lists.flat().map((index) => [index, splitAtTags(this.segments[index] ?? [])]),
    );
    const slotsOf = (rows: readonly number[]): number =>
      rows.flatMap((index) => split.get(index) ?? []).filter((one) => one === null).length;
    let slots = slotsOf(lists.flat());
    if (slots !== images.length && lists.every((rows) => slotsOf(rows) === images.length)) {
      // Answers that repeat the prompt: each has its places for the same images.
      for (const index of lists.slice(1).flat()) {
        this.segments[index] = (split.get(index) ?? []).filter((one) => one !== null);
        split.delete(index);
      }
      slots = images.length;
    }
    const others = [...split.values()].flat().some((one) => one !== null && typeof one !== "string");
    // A text that names no image, such as a container's.
    const isOther = ({ part }: MessageImage): boolean =>
      typeof part === "string" && looksLikeImage(part) === null;
    if (others && slots === 0 && images.every(isOther)) return;
    if (slots !== images.length && (slots > 0 || others)) {
      const reason = `${images.length} images, and ${slots} places for them`;
      throw new MMRawError("lengths_differ", reason, path);
    }
    const placed = (one: MessageImage, index: number): MessageImage => {
      return { ...one, messageIndex: this.numbers[index] ?? 0 };
    };
    if (slots === 0 && split.size > 0) {
      const index = message ?? this.firstUser ?? 0;
      this.segments[index]?.unshift(...images.map((one) => placed(one, index)));
      return;
    }
    const waiting = images.values();
    for (const [index, row] of split) {
      this.segments[index] = row.map((one) => one ?? placed(waiting.next().value as MessageImage, index));
    }
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
  const hasTwo = known && looksLikeImage(withoutSource(value, found.place.at), true) !== null;
  if (hasTwo || (!known && (isHolder(value) || value === null))) {
    const reason = "an entry of the column is no image that is read, or holds two";
    throw new MMRawError("image_part_unknown", reason, path);
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

/** Whether something is set; of what has no length, nothing says that it is empty. */
function isFilled(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (typeof value !== "object" || value === null || value instanceof JsonFloat) return false;
  return !isObject(value) || Object.keys(value).length > 0;
}

/** Whether a value is an object that a message's keys can be read of. */
function isMessage(value: unknown): boolean {
  if (!isHolder(value)) return false;
  const hasNames = NAMES.some((name) => field(value, name) !== null);
  return isObject(value) || hasNames || Object.keys(value).length > 0;
}

/** Whether a part is an image without source: by its type, or a cell that holds nothing. */
function isSlot(part: unknown, kind: unknown): boolean {
  const rest = without(part, ["type"]);
  if (["image", "image_url", "input_image"].includes(kind as string)) {
    return looksLikeImage(rest) === null && !holdsUrl(rest);
  }
  const isCell = (kind === null || kind === "") && "bytes" in rest && "path" in rest;
  return isCell && !Object.values(rest).some(isFilled);
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
