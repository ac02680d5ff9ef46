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
import { entryOf, fill, layoutOf, layoutSaid, SLOT } from "./columns.js";
import type { LayoutSaid, ReadMessage, Segment } from "./columns.js";
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
import { field, isHolder, isSet, pathOf, placeOf, put, valueAt, without, withoutSource } from "./places.js";
import type { Steps } from "./places.js";

/** Counts of skipped parts, by error code. */
export type Skipped = Map<string, number>;

/** An image of a conversation. */
export interface MessageImage {
  /** The message that it stands in. */
  readonly messageIndex: number;
  /** The part of its content, or the entry of its column, that it is or stands in. */
  readonly partIndex: number;
  /** The part or the entry of a column that has it. */
  readonly part: unknown;
  /** Bytes, a URL, a path or base64; null if the part names none. */
  readonly source: unknown;
  /** Its path, for errors. */
  readonly path: string;
  /** Keys and indices that lead to `part`. */
  readonly steps: Steps;
  /** One of the spellings of spec/messages.json. */
  readonly spelling: string;
  /** The place of the source in the part. */
  readonly place: Place;
  /** The layout parameters in its part, slot, message and row, such as `max_pixels`. */
  readonly layoutParameters: LayoutSaid;
}

const SKIPPED = ["image_part_unknown", "modality_unsupported", "source_unsupported"];
/** Keys of a row under which messages stand, and keys that a message has. */
const LISTS = [...CONVERSATIONS, ...ANSWERS];
const ROLES = ["role", "from"];
const NAMES = [...ROLES, ...CONTENTS];
/** Of lists and keys that lead to a part; JSON has no more. */
const MAX_DEPTH = 256;
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
  const reader = new Reader(skipped, names.length > 0 ? layoutSaid(messages) : {});
  if (names.length === 0) {
    if (!Array.isArray(messages)) throw new MMRawError("invalid_type", "expected a list of messages");
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

/** True if a value is a message, by one of its keys, or a list that has one. */
function holdsMessage(value: unknown, names: readonly string[], depth: number): boolean {
  if (isUnread(value)) return depth > 0;
  const rows = rowsOf(value);
  if (rows === null) return names.some((name) => field(value, name) !== null);
  return depth > 0 && rows.some((row) => holdsMessage(row, names, depth - 1));
}

class Reader {
  private readonly messages: ReadMessage[] = [];
  /** Those of each list. */
  private readonly lists: (readonly ReadMessage[])[] = [];
  private depth = 0;
  private firstUser: ReadMessage | null = null;

  constructor(
    private readonly skipped: Skipped | null,
    private readonly layout: LayoutSaid,
  ) {}

  /** Adds the messages of a list, or a message that stands alone. */
  conversation(messages: unknown, steps: Steps): void {
    const start = this.messages.length;
    if (Array.isArray(messages)) {
      messages.forEach((row, index) => this.message(row, [...steps, index]));
    } else this.message(messages, steps);
    this.lists.push(this.messages.slice(start));
  }

  private message(message: unknown, steps: Steps): void {
    const path = pathOf(steps);
    if (!isMessage(message)) {
      throw new MMRawError("invalid_type", "expected a message, an object", path);
    }
    const last = steps.at(-1);
    const read: ReadMessage = {
      segments: [],
      number: typeof last === "number" ? last : 0,
      layout: { ...this.layout, ...layoutSaid(message) },
    };
    this.messages.push(read);
    this.depth = steps.length;
    if (this.lists.length === 0 && field(message, "role") === "user") this.firstUser ??= read;
    const found = CONTENTS.filter((name) => field(message, name) !== null);
    for (const name of found) this.content(field(message, name), [...steps, name]);
    // Attachments, or no message but a part: nothing of it may vanish.
    this.refuseLooks(without(message, [...found, ...COLUMNS]), path);
    this.columns(message, steps, read);
  }

  /** Adds the images that stand beside the texts of a message, or of a whole row (null). */
  columns(holder: unknown, steps: Steps, message: ReadMessage | null): void {
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
      const lists = message === null ? this.lists : [[message]];
      fill(entries, lists, message ?? this.firstUser ?? this.messages[0], pathOf(at));
    }
  }

  private segments(): Segment[] {
    return this.messages.flatMap(({ segments }) => segments);
  }

  images(): MessageImage[] {
    return this.segments().filter((one) => typeof one !== "string");
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
    if (this.images().length > 0 && !this.segments().some(isTagged)) return;
    const known = [...COLUMNS, ...REF_COLUMNS];
    const rest = rows.filter(([name, value]) => isFilled(value) && !known.includes(name));
    const hasName = looksLikeImage(Object.fromEntries(rest.map(([name]) => [name, name]))) !== null;
    if (hasName || holdsPicture(rest.map(([, value]) => value))) {
      const reason = "expected images in the column images only, got another column of them";
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
      throw new MMRawError("limit_exceeded", `expected at most ${MAX_DEPTH} levels of nesting, got more`);
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
    this.messages.at(-1)?.segments.push(text);
  }

  private add(part: unknown, source: unknown, place: Place, steps: Steps, path: string): void {
    const partIndex = steps.slice(this.depth).find((step) => typeof step === "number") ?? 0;
    const { spelling } = place;
    const message = this.messages.at(-1);
    const messageIndex = message?.number ?? 0;
    const layoutParameters = { ...message?.layout, ...layoutOf(part, place) };
    const image = { messageIndex, partIndex, part, source, path, steps, spelling, place, layoutParameters };
    this.messages.at(-1)?.segments.push(image);
  }

  private refuseLooks(value: unknown, path: string, strict = false): void {
    const by = looksLikeImage(value, strict);
    if (by === null) return;
    const reason = `expected an image in a known spelling; this looks like one by its ${by}`;
    this.refuse(new MMRawError("image_part_unknown", reason, path));
  }

  private refuse(error: MMRawError): void {
    if (this.skipped === null || !SKIPPED.includes(error.code)) throw error;
    this.skipped.set(error.code, (this.skipped.get(error.code) ?? 0) + 1);
  }
}

/** True if something is set; of what has no length, nothing says that it is empty. */
function isFilled(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (typeof value !== "object" || value === null || value instanceof JsonFloat) return false;
  return !isObject(value) || Object.keys(value).length > 0;
}

/** True if a value is an object that a message's keys can be read of. */
function isMessage(value: unknown): boolean {
  if (!isHolder(value)) return false;
  const hasNames = NAMES.some((name) => field(value, name) !== null);
  return isObject(value) || hasNames || Object.keys(value).length > 0;
}

/** True if a part is an image without source: by its type, or a cell that holds nothing. */
function isSlot(part: unknown, kind: unknown): boolean {
  const rest = without(part, ["type"]);
  if (["image", "image_url", "input_image"].includes(kind as string)) {
    return looksLikeImage(rest) === null && !holdsUrl(rest);
  }
  const isCell = (kind === null || kind === "") && "bytes" in rest && "path" in rest;
  return isCell && !Object.values(rest).some(isFilled);
}

/** True if a part is an object of which nothing can be read: a set, a stream, a buffer. */
function isClosed(part: unknown): boolean {
  if (typeof part !== "object" || part === null) return false;
  if (isObject(part) || part instanceof JsonFloat) return false;
  return !isHolder(part) || (Object.keys(part).length === 0 && typeof field(part, "text") !== "string");
}

/** True if a part is a file that its server knows by an id, and that may be an image. */
function namesFile(part: unknown): boolean {
  const declared = MEDIA_NAMES.map((name) => field(part, name)).find(isSet) ?? "image/";
  const text = typeof declared === "string" ? declared.toLowerCase() : "";
  if (!LOOKS_MEDIA_TYPES.some((start) => text.startsWith(start))) return false;
  return FILE_IDS.some((at) => typeof valueAt(part, at) === "string");
}

function fileId(path: string): MMRawError {
  const reason = "expected the image itself, got a file id, which only its own server can read";
  return new MMRawError("source_unsupported", reason, path);
}
