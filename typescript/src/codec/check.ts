/** What the generated checks are made of. Each notes the first fault, or all up to a number. */
import { MMRawError } from "../errors.js";
import type { ErrorCode } from "../generated/errors.js";
import { has, isArray, isInteger, isObject, JsonFloat, keysOf } from "./values.js";

/** What breaks when a field is wrong, and what belongs there. */
export interface Rule {
  readonly code: ErrorCode;
  readonly hint: string;
}

export interface FieldCheck extends Rule {
  readonly check: Check;
  readonly required: boolean;
}

/** Notes in `faults` what is wrong with a value that stands at `path`. */
export type Check = (value: unknown, path: string, rule: Rule, faults: Faults) => void;

/** The check of a closed object; `payload` checks its payload where the family decides it. */
export type ObjectCheck = (
  value: unknown,
  path: string,
  rule: Rule,
  faults: Faults,
  payload?: Check,
) => void;

/** The rule of a document itself, which no field names. */
export const WHOLE: Rule = { code: "invalid_value", hint: "" };

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

  /** Throws the first fault, where there is one. */
  raise(): void {
    if (this.found[0] !== undefined) throw this.found[0];
  }
}

function wrong(path: string, rule: Rule, faults: Faults): void {
  const reason = rule === WHOLE ? "does not fit the schema" : `expected ${rule.hint}`;
  faults.add(rule.code, reason, path);
}

function wrongType(path: string, rule: Rule, faults: Faults): void {
  const code = rule.code === "invalid_value" ? "invalid_type" : rule.code;
  const reason = rule === WHOLE ? "does not fit the schema" : `expected ${rule.hint}`;
  faults.add(code, reason, path);
}

/** A place that only `closed` fills: the payload, by its family. */
export const byFamily: Check = () => undefined;

/** Any JSON object. */
export const anyObject: Check = (value, path, rule, faults) => {
  if (!isObject(value)) wrongType(path, rule, faults);
};

export const anyString: Check = (value, path, rule, faults) => {
  if (typeof value !== "string") wrongType(path, rule, faults);
};

export const anyNumber: Check = (value, path, rule, faults) => {
  const fits = value instanceof JsonFloat || typeof value === "number";
  if (!fits) wrongType(path, rule, faults);
};

export function string(pattern: RegExp, longest = Infinity): Check {
  return (value, path, rule, faults) => {
    if (typeof value !== "string") wrongType(path, rule, faults);
    else if (!pattern.test(value) || value.length > longest) wrong(path, rule, faults);
  };
}

export function integer(least: number, most: number): Check {
  return (value, path, rule, faults) => {
    if (typeof value === "bigint") wrong(path, rule, faults);
    else if (!isInteger(value)) wrongType(path, rule, faults);
    else if (value < least || value > most) wrong(path, rule, faults);
  };
}

export function constant(wanted: string | number): Check {
  return (value, path, rule, faults) => {
    const kind = typeof value === "bigint" ? "number" : typeof value;
    const fits =
      kind === typeof wanted &&
      (kind === "string" || typeof value === "bigint" || isInteger(value));
    if (!fits) wrongType(path, rule, faults);
    else if (value !== wanted) wrong(path, rule, faults);
  };
}

export function nullable(inner: Check): Check {
  return (value, path, rule, faults) => {
    if (value !== null) inner(value, path, rule, faults);
  };
}

export function tuple(...items: Check[]): Check {
  return (value, path, rule, faults) => {
    if (!isArray(value) || value.length !== items.length) return wrongType(path, rule, faults);
    items.forEach((item, index) => item(value[index], `${path}[${index}]`, rule, faults));
  };
}

export function list(item: Check): Check {
  return (value, path, rule, faults) => {
    if (!isArray(value)) return wrongType(path, rule, faults);
    for (let index = 0; index < value.length && !faults.full; index++) {
      item(value[index], `${path}[${index}]`, rule, faults);
    }
  };
}

/** Keys of a map are input and stay out of the path. */
export function map(item: Check): Check {
  return (value, path, rule, faults) => {
    if (!isObject(value)) return wrongType(path, rule, faults);
    for (const key of keysOf(value)) {
      if (faults.full) return;
      item(value[key], `${path}[...]`, rule, faults);
    }
  };
}

export function closed(fields: { readonly [name: string]: FieldCheck }): ObjectCheck {
  return (value, path, rule, faults, payload = byFamily) => {
    if (!isObject(value)) return wrongType(path, rule, faults);
    for (const name of keysOf(value)) {
      if (faults.full) return;
      const field = has(fields, name) ? fields[name] : undefined;
      if (field === undefined) {
        faults.add("unknown_field", "a field is not defined by the schema", path);
        continue;
      }
      const check = field.check === byFamily ? payload : field.check;
      check(value[name], `${path}.${name}`, field, faults);
    }
    for (const name of Object.keys(fields)) {
      if (fields[name]?.required === true && !has(value, name)) {
        faults.add("missing_field", `required field ${name} is absent`, path);
      }
    }
  };
}
