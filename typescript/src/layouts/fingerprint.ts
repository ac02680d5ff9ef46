/**
 * The fingerprint of a layout: what both sides must agree on before they compare grids.
 *
 * Source: spec/README.md, section "Fingerprint".
 */
import { canonicalJson } from "../codec/canonical.js";
import { sha256Hex } from "../codec/sha256.js";
import { has } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import { wireOf } from "../format.js";
import { FINGERPRINT_ORDER } from "../generated/wire.js";

const encoder = new TextEncoder();
const ASCII = /^[\x00-\x7f]*$/;

/** 32 hex digits over the knobs `values` of `family`, in the hashing scheme of `dialect`. */
export function layoutFingerprint(family: string, values: object, dialect: string = "v3"): string {
  return sha256Hex(encoder.encode(fingerprintText(family, values, dialect))).slice(0, 32);
}

/** The text that is hashed. */
export function fingerprintText(family: string, values: object, dialect: string = "v3"): string {
  const scheme = wireOf(dialect).fingerprintScheme;
  if (!ASCII.test(family)) {
    throw new MMRawError("invalid_type", "a family is an ASCII string", "$.family");
  }
  const knobs = values as { readonly [name: string]: unknown };
  if (scheme === "positional") return `image-layout:v1:${family}:${positional(family, knobs)}`;
  const names = Object.keys(knobs);
  if (!names.every((name) => ASCII.test(name))) {
    throw new MMRawError("invalid_type", "a knob's name is an ASCII string", "$.values");
  }
  const parts = names.sort().map((name) => `${name}=${canonicalJson(knobs[name])}`);
  return `image-layout:${scheme === "v1" ? "v1:" : ""}${family}:${parts.join(":")}`;
}

function positional(family: string, knobs: { readonly [name: string]: unknown }): string {
  const order = has(FINGERPRINT_ORDER, family) ? FINGERPRINT_ORDER[family] : undefined;
  if (order === undefined) {
    const reason = "this family has no fingerprint in dialect v1";
    throw new MMRawError("not_convertible", reason, "$.fingerprint");
  }
  for (const name of order) {
    if (!has(knobs, name))
      throw new MMRawError("missing_field", `knob ${name} is absent`, "$.values");
  }
  return order.map((name) => canonicalJson(knobs[name])).join(":");
}
