/** One image of 640 x 480 pixels, from its layout to the item of a request. */
import { getAdapter, makeItem } from "../dist/index.js";

const adapter = getAdapter("qwen_vl");
export const layout = adapter.layout(640, 480);
const item = makeItem({
  family: "qwen_vl",
  layout_fingerprint: adapter.fingerprint(),
  payload: layout.payload,
  raw_image_id: "67f463a70fcc80e6.png",
});
export const data = {
  mm_hashes: { image: ["67f463a70fcc80e6b6c13d2563a723f2"] },
  mm_placeholders: { image: [{ offset: 5, length: layout.placeholder_length }] },
  mm_items: { image: [item] },
};
