/** mmraw-protocol: the contract by which images travel through multimodal RL, in TypeScript. */
export * from "./codec/index.js";
export { convertRef } from "./convert.js";
export type { AssetStore, ConvertOptions } from "./convert.js";
export { MMRawError } from "./errors.js";
export { buildFeatures, mergeData, parseFeatures } from "./features.js";
export type {
  BuildOptions,
  Features,
  FeaturesBody,
  MultiModalData,
  PlaceholderRange,
} from "./features.js";
export { fieldsOf, formatRef, refFromFields, writeAny } from "./format.js";
export type { ErrorCode } from "./generated/errors.js";
export { DEFAULT_LIMITS } from "./generated/limits.js";
export type { Limits } from "./generated/limits.js";
export { DIALECTS } from "./generated/wire.js";
export type { Dialect, ListedFamily, WireDialect } from "./generated/wire.js";
export { describeImage, readHeader } from "./images/index.js";
export type { ImageDescription, ImageHeader } from "./images/index.js";
export { featureModality, itemToJson, makeItem, parseItem } from "./items.js";
export type { ItemDialect, ItemFields, RawMMItem } from "./items.js";
export {
  FAMILIES,
  fingerprintText,
  getAdapter,
  layoutFingerprint,
  presets,
  promptText,
} from "./layouts/index.js";
export type { Adapter, AdapterOptions, ConfigLike, Knobs, Layout } from "./layouts/index.js";
export { findImages, imageSource, isImagePart } from "./messages.js";
export type { MessageImage } from "./messages.js";
export { checkRawImageId, normalizeRunId } from "./names.js";
export { gridOf, isListedFamily } from "./payloads.js";
export type { KimiK25Payload, Payload, QwenVlPayload } from "./payloads.js";
export { isRef, parseRef } from "./refs.js";
export type { RawMMRef } from "./refs.js";
export { isInline, storedName } from "./sources.js";
