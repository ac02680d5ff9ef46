/**
 * Images in a column outside of the texts, and their positions in these.
 *
 * Source: spec/README.md, section "Messages".
 */
import { MMRawError } from "../errors.js";
import { COLUMN_TAG, LAYOUT_PARAMETERS } from "../generated/messages.js";
import type { Place } from "../generated/messages.js";
import { looksLikeImage } from "./looks.js";
import { field, isHolder, pathOf, placeOf, valueAt, withoutSource } from "./places.js";
import type { Steps } from "./places.js";
import type { MessageImage } from "./reader.js";

/** Layout parameters by their names. */
export type LayoutSaid = { readonly [name: string]: unknown };
/** A text of a message, or an image. */
export type Segment = string | MessageImage;

/** A message that was read: its texts and images, its number, what it and its row say of layout. */
export interface ReadMessage {
  segments: Segment[];
  readonly number: number;
  readonly layout: LayoutSaid;
}

/** The place of a column's image, and what the part there says of its layout. */
class Slot {
  constructor(readonly layout: LayoutSaid) {}
}

const NOWHERE = { types: [], at: [], having: [], media_type: [], url: {}, data: {}, ref: {} };
/** The images of a column, which are its entries themselves. */
const COLUMN: Place = { ...NOWHERE, spelling: "images_column", encoded: false, file_id: false };
/** An image part that names no source. */
export const SLOT: Place = { ...COLUMN, spelling: "transformers" };

/**
 * Puts the images of a column where the tags of the texts are, else before those of `first`.
 *
 * @param lists The messages of each list.
 * @throws MMRawError lengths_differ, at the column.
 */
export function fill(
  images: readonly MessageImage[],
  lists: readonly (readonly ReadMessage[])[],
  first: ReadMessage | undefined,
  path: string,
): void {
  const split = new Map(lists.flat().map((one) => [one, splitAtTags(one.segments)]));
  const slotsOf = (rows: readonly ReadMessage[]): number =>
    rows.flatMap((one) => split.get(one) ?? []).filter((one) => one instanceof Slot).length;
  let slots = slotsOf(lists.flat());
  if (slots !== images.length && lists.every((rows) => slotsOf(rows) === images.length)) {
    // Answers that repeat the prompt: each has its places for the same images.
    for (const one of lists.slice(1).flat()) {
      one.segments = (split.get(one) ?? []).filter((piece): piece is Segment => !(piece instanceof Slot));
      split.delete(one);
    }
    slots = images.length;
  }
  const isImage = (one: Segment | Slot): boolean => typeof one !== "string" && !(one instanceof Slot);
  const others = [...split.values()].flat().some(isImage);
  // A text that names no image, such as a container's.
  const isOther = ({ part }: MessageImage): boolean =>
    typeof part === "string" && looksLikeImage(part) === null;
  if (others && slots === 0 && images.every(isOther)) return;
  if (slots !== images.length && (slots > 0 || others)) {
    const reason = `expected one image for each of ${slots} places, got ${images.length}`;
    throw new MMRawError("lengths_differ", reason, path);
  }
  if (slots === 0 && first !== undefined) {
    first.segments.unshift(...images.map((one) => placed(one, first, {})));
    return;
  }
  const waiting = images.values();
  for (const [message, row] of split) {
    message.segments = row.map((one) =>
      one instanceof Slot ? placed(waiting.next().value as MessageImage, message, one.layout) : one,
    );
  }
}

/** An image of a column with what its message says of it. */
function placed(one: MessageImage, { number, layout }: ReadMessage, slot: LayoutSaid): MessageImage {
  const layoutParameters = { ...layout, ...slot, ...one.layoutParameters };
  return { ...one, messageIndex: number, layoutParameters };
}

/** Texts cut at their tags, with the places of a column's images. */
function splitAtTags(segments: readonly Segment[]): (Segment | Slot)[] {
  return segments.flatMap((one): (Segment | Slot)[] => {
    if (typeof one !== "string") return [one.place === SLOT ? new Slot(one.layoutParameters) : one];
    return one.split(COLUMN_TAG).flatMap((text, index) => [
      ...(index > 0 ? [new Slot({})] : []),
      ...(text === "" ? [] : [text]),
    ]);
  });
}

/** An entry of a column. */
export function entryOf(value: unknown, steps: Steps): MessageImage {
  const found = placeOf(value);
  const path = pathOf(steps);
  const known = found !== null && !found.place.file_id;
  const hasTwo = known && looksLikeImage(withoutSource(value, found.place.at), true) !== null;
  if (hasTwo || (!known && (isHolder(value) || value === null))) {
    const reason = "expected one image in a known spelling in each entry of the column";
    throw new MMRawError("image_part_unknown", reason, path);
  }
  const last = steps.at(-1);
  const place = known ? found.place : COLUMN;
  return {
    messageIndex: 0,
    partIndex: typeof last === "number" ? last : 0,
    part: value,
    source: known ? found.source : value,
    path,
    steps,
    spelling: COLUMN.spelling,
    place,
    layoutParameters: layoutOf(value, place),
  };
}

/** The layout parameters that a part, a message or a row names. */
export function layoutSaid(holder: unknown): LayoutSaid {
  const said = LAYOUT_PARAMETERS.map((name) => [name, field(holder, name)] as const);
  return Object.fromEntries(said.filter(([, value]) => value !== null));
}

/** Those of a part; they may stand beside the source, too: in `image_url`, beside its `url`. */
export function layoutOf(part: unknown, place: Place): LayoutSaid {
  return { ...layoutSaid(valueAt(part, place.at.slice(0, -1))), ...layoutSaid(part) };
}
