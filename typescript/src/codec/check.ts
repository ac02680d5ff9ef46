/**
 * Parts of the generated checks. Each notes the first fault, or all up to a number.
 *
 * Keys are checked in the document's order, then absent fields, then sources.
 */
import { MMRawError } from "../errors.js";
import type { ErrorCode } from "../generated/errors.js";
import type { Limits } from "../generated/limits.js";
import { MODALITIES } from "../generated/modalities.js";
import { codePoints } from "./strings.js";
import { get, has, isArray, isInteger, isObject, JsonFloat, keysOf } from "./values.js";

/** Adds the faults of the value at `path` to `faults`. */
export type Check = (value: unknown, path: string, limits: Limits, faults: Faults) => void;

/** Characters of an error's message at most. */
const MOST_MESSAGE = 200;

/** The error of a wrong value, and what is expected there. */
export interface Rule {
  readonly code: ErrorCode;
  readonly hint: string;
}

/** A property of a closed object. */
export interface FieldCheck {
  readonly check: Check;
  readonly required: boolean;
}

/** A map's key as part of a path: named where the contract knows it, else `[...]`. */
export function keyInPath(key: string): string {
  return MODALITIES.includes(key) ? `.${key}` : "[...]";
}

/** The faults of one document, at most `most` of them. */
export class Faults {
  readonly found: MMRawError[] = [];

  constructor(readonly most = 1) {}

  get full(): boolean {
    return this.found.length >= this.most;
  }

  add(code: ErrorCode, reason: string, path: string): void {
    if (!this.full) this.found.push(new MMRawError(code, reason, path));
  }

  /** Does `work`, which throws; what it throws is noted. */
  catch(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof MMRawError)) throw error;
      if (!this.full) this.found.push(error);
    }
  }

  /** Throws the first fault, where there is one. */
  raise(): void {
    if (this.found[0] !== undefined) throw this.found[0];
  }
}

/** Throws the first fault that a check finds. */
export function enforce(check: Check, value: unknown, path: string, limits: Limits): void {
  const faults = new Faults();
  check(value, path, limits, faults);
  faults.raise();
}

/** Describes the kind of value that was got: its JSON type and its length, never its content. */
function kindInWords(value: unknown): string {
  if (typeof value === "string") return `a string of ${codePoints(value)} characters`;
  if (isArray(value)) return `an array of ${value.length} values`;
  if (isObject(value)) return `an object of ${keysOf(value).length} fields`;
  if (value === null) return "null";
  if (typeof value === "boolean") return "a boolean";
  if (typeof value === "bigint" || isInteger(value)) return "an integer";
  const isFloat = value instanceof JsonFloat || typeof value === "number";
  return isFloat ? "a float" : "a value of no JSON type";
}

/** The message that says what was expected and what kind of value was got. */
function expected(what: string, value: unknown): string {
  const message = `expected ${what}, got ${kindInWords(value)}`;
  return message.length <= MOST_MESSAGE ? message : `expected ${what}`;
}

function wrong({ code, hint }: Rule, path: string, faults: Faults, value: unknown): void {
  // Of an integer nothing but its value is wrong, and that is not repeated.
  const message = expected(hint, value).replace("got an integer", "got another integer");
  faults.add(code, message, path);
}

function wrongType({ code, hint }: Rule, path: string, faults: Faults, value: unknown): void {
  faults.add(code === "invalid_value" ? "invalid_type" : code, expected(hint, value), path);
}

export interface StringOptions {
  readonly pattern?: RegExp;
  /** The limit on its length; another error than the rule's. */
  readonly limit?: keyof Limits;
  /** Most characters by the rule. */
  readonly longest?: number;
}

export function string(rule: Rule, options: StringOptions = {}): Check {
  const { pattern, limit, longest = Infinity } = options;
  return (value, path, limits, faults) => {
    if (typeof value !== "string") return wrongType(rule, path, faults, value);
    if (isLonger(value, longest) || pattern?.test(value) === false) {
      return wrong(rule, path, faults, value);
    }
    if (limit !== undefined && isLonger(value, limits[limit])) {
      faults.add("limit_exceeded", `expected at most ${limits[limit]} characters, got ${codePoints(value)}`, path);
    }
  };
}

function isLonger(text: string, most: number): boolean {
  return text.length > most && codePoints(text) > most;
}

export function integer(rule: Rule, least: number, most: number, multipleOf = 1): Check {
  return (value, path, _, faults) => {
    if (typeof value === "bigint") wrong(rule, path, faults, value);
    else if (!isInteger(value)) wrongType(rule, path, faults, value);
    else if (value < least || value > most || value % multipleOf !== 0) wrong(rule, path, faults, value);
  };
}

/** One of a few integers. */
export function choice(rule: Rule, choices: readonly number[]): Check {
  const within = integer(rule, Math.min(...choices), Math.max(...choices));
  return (value, path, limits, faults) => {
    if (isInteger(value) && !choices.includes(value)) wrong(rule, path, faults, value);
    else within(value, path, limits, faults);
  };
}

export function number(rule: Rule): Check {
  return (value, path, _, faults) => {
    const fits = value instanceof JsonFloat || ["bigint", "number"].includes(typeof value);
    if (!fits) wrongType(rule, path, faults, value);
  };
}

export function boolean(rule: Rule): Check {
  return (value, path, _, faults) => {
    if (typeof value !== "boolean") wrongType(rule, path, faults, value);
  };
}

/** One value, of just its type. */
export function constant(rule: Rule, wanted: string | number | null): Check {
  return (value, path, _, faults) => {
    const isNumber = typeof value === "bigint" || isInteger(value);
    const kind = isNumber ? "number" : typeof value;
    const fits =
      wanted === null
        ? value === null
        : kind === typeof wanted && (kind === "string" || isNumber);
    if (!fits) wrongType(rule, path, faults, value);
    else if (value !== wanted) wrong(rule, path, faults, value);
  };
}

export function nullable(inner: Check): Check {
  return (value, path, limits, faults) => {
    if (value !== null) inner(value, path, limits, faults);
  };
}

/** A list of fixed length; the product of its integers is at most the limit `product`. */
export function array(rule: Rule, items: readonly Check[], product?: keyof Limits): Check {
  return (value, path, limits, faults) => {
    if (!isArray(value) || value.length !== items.length) return wrongType(rule, path, faults, value);
    const before = faults.found.length;
    items.forEach((item, index) => item(value[index], `${path}[${index}]`, limits, faults));
    if (product === undefined || faults.found.length > before) return;
    // Rounding of a product beyond 2^53 cannot bring it below the limit.
    const whole = (value as readonly number[]).reduce((sum, side) => sum * side, 1);
    if (whole > limits[product]) {
      faults.add("limit_exceeded", `expected a product of at most ${limits[product]}`, path);
    }
  };
}

/** A list of any length. */
export function listOf(rule: Rule, item: Check): Check {
  return (value, path, limits, faults) => {
    if (!isArray(value)) return wrongType(rule, path, faults, value);
    for (let index = 0; index < value.length && !faults.full; index++) {
      item(value[index], `${path}[${index}]`, limits, faults);
    }
  };
}

/** An object with any keys. */
export function mapOf(rule: Rule, item: Check): Check {
  return (value, path, limits, faults) => {
    if (!isObject(value)) return wrongType(rule, path, faults, value);
    for (const key of keysOf(value)) {
      if (faults.full) return;
      item(value[key], path + keyInPath(key), limits, faults);
    }
  };
}

/** Stands for the payload in a closed object, where the sibling `family` decides its check. */
export const byFamily: Check = () => {
  throw new Error("the family decides this check");
};

/** The message of a field that an object does not have; the field itself is input. */
function unknownField(names: readonly string[]): string {
  const message = `expected no other fields than ${names.join(", ")}`;
  if (message.length <= MOST_MESSAGE) return message;
  return `expected none but the ${names.length} fields of the schema`;
}

export interface ClosedOptions {
  /** Fields of which one is there and not null. */
  readonly oneOf?: readonly string[];
  /** The check of the payload by the family. */
  readonly payloads?: { readonly [family: string]: Check };
  /** The check of the payload of any other family. */
  readonly other?: Check;
}

/** An object with these fields and no other. */
export function closed(
  fields: { readonly [name: string]: FieldCheck },
  { oneOf = [], payloads = {}, other = byFamily }: ClosedOptions = {},
): Check {
  return (value, path, limits, faults) => {
    if (!isObject(value)) return faults.add("invalid_type", expected("a JSON object", value), path);
    for (const name of keysOf(value)) {
      if (faults.full) return;
      const field = has(fields, name) ? fields[name] : undefined;
      if (field === undefined) {
        faults.add("unknown_field", unknownField(Object.keys(fields)), path);
        continue;
      }
      let { check } = field;
      if (check === byFamily) {
        const family = get(value, "family");
        const known = typeof family === "string" && has(payloads, family);
        check = (known ? payloads[family] : undefined) ?? other;
      }
      check(value[name], `${path}.${name}`, limits, faults);
    }
    for (const [name, { required }] of Object.entries(fields)) {
      if (required && !has(value, name)) {
        faults.add("missing_field", `expected field ${name}, which is absent`, path);
      }
    }
    if (oneOf.length > 0 && oneOf.every((name) => (get(value, name) ?? null) === null)) {
      faults.add("missing_source", `expected one of ${oneOf.join(", ")}, got none`, path);
    }
  };
}
