/**
 * The fingerprint of a layout: what both sides must agree on before they compare grids.
 *
 * Source: spec/README.md, section "Fingerprint".
 */
import { canonicalJson } from "../codec/canonical.js";
import { sha256Hex } from "../codec/sha256.js";
import { has } from "../codec/values.js";
import type { JsonObject } from "../codec/values.js";
import { MMRawError } from "../errors.js";
import { wireOf } from "../format.js";
import { FAMILY_TABLE } from "../generated/families.js";
import { DEFAULT_DIALECT } from "../generated/wire.js";
import { isBuiltIn } from "./table.js";

const encoder = new TextEncoder();
const ASCII = /^[\x00-\x7f]*$/;

type Values = { readonly [name: string]: unknown };

/** 32 hex digits over the layout parameters `values`, in the hashing scheme of `dialect`. */
export function layoutFingerprint(
  family: string,
  values: object,
  dialect: string = DEFAULT_DIALECT,
): string {
  return sha256Hex(encoder.encode(fingerprintText(family, values, dialect))).slice(0, 32);
}

/** The text that is hashed; some parameters are in it only where they have another value. */
export function fingerprintText(
  family: string,
  values: object,
  dialect: string = DEFAULT_DIALECT,
): string {
  const wire = wireOf(dialect);
  const scheme = wire.fingerprintScheme;
  if (!ASCII.test(family)) {
    throw new MMRawError("invalid_type", "expected a family, an ASCII string", "$.family");
  }
  if (!wire.fields.some(([, attribute]) => attribute === "fingerprint")) {
    const reason = `dialect ${wire.dialect} names no fingerprint`;
    throw new MMRawError("not_convertible", reason, "$.fingerprint");
  }
  const given = hashedOf(family, values as Values);
  if (scheme === "positional") return `image-layout:v1:${family}:${positional(family, given)}`;
  const names = Object.keys(given);
  if (!names.every((name) => ASCII.test(name))) {
    const reason = "the name of a layout parameter is an ASCII string";
    throw new MMRawError("invalid_type", reason, "$.values");
  }
  const parts = names.sort().map((name) => `${name}=${canonicalJson(given[name])}`);
  return `image-layout:${scheme === "v1" ? "v1:" : ""}${family}:${parts.join(":")}`;
}

/** The parameters without those that no fingerprint has. */
function hashedOf(family: string, values: Values): Values {
  const omits = omittedOf(family);
  const rows = Object.entries(values).filter(([name, value]) => {
    // A value of another type may have no canonical form, and another fault comes first.
    if (!has(omits, name) || typeof value !== typeof omits[name]) return true;
    return canonicalJson(value) !== canonicalJson(omits[name]);
  });
  return Object.fromEntries(rows);
}

function omittedOf(family: string): JsonObject {
  return isBuiltIn(family) ? FAMILY_TABLE[family].fingerprintOmits : {};
}

function positional(family: string, values: Values): string {
  const order = isBuiltIn(family) ? FAMILY_TABLE[family].fingerprintOrder : [];
  if (order.length === 0) {
    const reason = "this family has no positional fingerprint";
    throw new MMRawError("not_convertible", reason, "$.fingerprint");
  }
  for (const name of order) {
    if (!has(values, name)) {
      throw new MMRawError("missing_field", `expected layout parameter ${name}, got none`, "$.values");
    }
  }
  for (const name of Object.keys(omittedOf(family))) {
    if (!has(values, name)) continue;
    const reason = `the positional fingerprint has no place for ${name}`;
    throw new MMRawError("not_convertible", reason, "$.fingerprint");
  }
  return order.map((name) => canonicalJson(values[name])).join(":");
}
