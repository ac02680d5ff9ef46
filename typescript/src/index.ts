/** mmraw-protocol: the contract by which images travel through multimodal RL, in TypeScript. */
export * from "./codec/index.js";
export type { DataUri } from "./codec/index.js";
export { parseContentParts } from "./contentParts.js";
export type { ContentImage } from "./contentParts.js";
export { convertRef } from "./convert.js";
export type { AssetStore, ConvertOptions, Storage } from "./convert.js";
export { MMRawError } from "./errors.js";
export { compactPrompt, expandPrompt } from "./expansion.js";
export type { CompactOptions, ExpandOptions, ImagePrompt, Vocabulary } from "./expansion.js";
export { buildFeatures, mergeData, parseFeatures } from "./features.js";
export type {
  BuildOptions,
  Features,
  FeaturesBody,
  MultiModalData,
  PlaceholderRange,
} from "./features.js";
export {
  FAMILIES,
  fingerprintText,
  getAdapter,
  gridOf,
  isBuiltIn,
  layoutFingerprint,
  presets,
  promptText,
} from "./families/index.js";
export type {
  Adapter,
  AdapterOptions,
  BuiltInFamily,
  ConfigLike,
  Layout,
} from "./families/index.js";
export { fieldsOf, formatRef, refFromFields, writeAny } from "./format.js";
export type { ErrorCode } from "./generated/errors.js";
export { DEFAULT_LIMITS } from "./generated/limits.js";
export type { Limits } from "./generated/limits.js";
export type * from "./generated/types.js";
export { DEFAULT_DIALECT, DIALECTS, WRITABLE } from "./generated/wire.js";
export type { Dialect, WireDialect } from "./generated/wire.js";
export { describeImage, readHeader } from "./images/index.js";
export { orientationOf } from "./images/orientation.js";
export type { ImageDescription, ImageHeader } from "./images/index.js";
export { urlKindOf } from "./imageUrls.js";
export type { ImageByUrl, UrlKind } from "./imageUrls.js";
export { featureModality, itemToJson, makeItem, parseItem } from "./items.js";
export type { ItemDialect, ItemFields, RawMMItem } from "./items.js";
export { imageSource, isImagePart } from "./messages/parts.js";
export { findImages } from "./messages/reader.js";
export type { MessageImage, Skipped } from "./messages/reader.js";
export { inlineMessages, offloadMessages, packImages } from "./messages/rewriting.js";
export type { MessageOptions, Note, PackedImage, PackOptions } from "./messages/rewriting.js";
export { parseMmRefs } from "./mmRefs.js";
export type { PlacedImage } from "./mmRefs.js";
export { checkRawImageId, normalizeRunId } from "./names.js";
export { isRef, parseRef } from "./refs.js";
export type { RawMMRef } from "./refs.js";
export { isInline, storedName } from "./sources.js";
