export { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from "./base64.js";
export { canonicalJson } from "./canonical.js";
export { parseDataUri } from "./datauri.js";
export type { DataUri } from "./datauri.js";
export { parseJson } from "./json.js";
export { mmHashOf, sha256Hex } from "./sha256.js";
export { JsonFloat, toPlain } from "./values.js";
export type { JsonObject, JsonValue } from "./values.js";
