"""Emits typescript/src/generated/: types, checks, tables, error codes, limits, texts."""

from __future__ import annotations

from typing import Any

from . import emit_messages, emit_modalities
from .ir import Boolean, Definition, Field, Integer, Model, Nullable, Number, Type
from .python_text import RULES
from .typescript_checks import checks
from .typescript_tables import families, wire
from .typescript_text import comment, header, key, literal, model_fields
from .walk import Kinds, written


def emit(model: Model) -> dict[str, str]:
    """The generated modules, by file name."""
    return {
        "types.ts": _types(model),
        "checks.ts": checks(model),
        "wire.ts": wire(model),
        "families.ts": families(model),
        "errors.ts": _errors(model),
        "limits.ts": _limits(model),
        "messages.ts": emit_messages.typescript(model),
        "modalities.ts": emit_modalities.typescript(model),
        "texts.ts": _texts(model),
    }


_TYPES = Kinds(
    string=lambda item: "string",
    integer=lambda item: "number",
    number="number | JsonFloat",
    boolean="boolean",
    const=lambda item: literal(item.value),
    tuple_of=lambda item, parts: f"readonly [{', '.join(parts)}]",
    list_of=lambda inner: f"readonly ({inner})[]",
    map_of=lambda inner: f"{{ readonly [key: string]: {inner} }}",
    nullable=lambda inner: f"{inner} | null",
    named=lambda name: name,
    opaque="JsonObject",
)


def _types(model: Model) -> str:
    out = [header(model, "Types of everything that spec/ defines.", *RULES)]
    out.append('import type { JsonFloat, JsonObject } from "../codec/values.js";\n')
    for item in model.ordered:
        text = comment(f"{item.title}. {item.description} Source: {item.schema_id}.")
        if item.type is not None:
            out.append(f"{text}export type {item.name} = {written(item.type, _TYPES)};\n")
            continue
        rows = "".join(_property(part, item) for part in item.fields)
        out.append(f"{text}export interface {item.name} {{\n{rows}}}\n")
    payloads = " | ".join(variant.payload for variant in model.variants)
    out.append(comment("A payload of any family.") + f"export type Payload = {payloads};\n")
    layouts = [model.layout_of(family) for family in model.spec.families]
    out.append(
        comment("The layout parameters of a built-in family.")
        + f"export type LayoutParameters = {' | '.join(item.name for item in layouts)};\n"
    )
    for kind, title, dialects in (
        ("Ref", "One image, as a ref of any dialect says it.", model.refs),
        ("Item", "One image, as an envelope of any dialect says it.", model.items),
    ):
        names = " | ".join(literal(item.dialect) for item in dialects)
        out.append(f"export type {kind}Dialect = {names};\n")
        rows = comment("The dialect it was read from, or is meant for.", "  ")
        rows += f"  readonly dialect: {kind}Dialect;\n"
        for part in model_fields(dialects):
            rows += comment(part.description, "  ")
            rows += f"  readonly {part.attribute}: {part.type};\n"
        out.append(f"{comment(title)}export interface RawMM{kind} {{\n{rows}}}\n")
    return "\n".join(out)


def _property(part: Field, item: Definition) -> str:
    text = "Payload" if item.by_family and part.name == "payload" else written(part.type, _TYPES)
    # Layout parameters all have defaults: a configuration that was read has every one.
    mark = "" if part.required or item.family is not None else "?"
    return f"{comment(part.description, '  ')}  readonly {key(part.name)}{mark}: {text};\n"


def _errors(model: Model) -> str:
    out = [header(model, "Every error code, from errors.json.", "errors.json")]
    names = "".join(f"  | {literal(code)}\n" for code in model.spec.errors)
    out.append(f"export type ErrorCode =\n{names.rstrip()};\n")
    rows = "".join(
        f"  {code}: {info['http_status']},\n" for code, info in model.spec.errors.items()
    )
    out.append(
        comment("The HTTP status that a server answers with.")
        + f"export const HTTP_STATUS: {{ readonly [C in ErrorCode]: number }} = {{\n{rows}}};\n"
    )
    return "\n".join(out)


def _limits(model: Model) -> str:
    out = [header(model, "Every limit and its default, from limits.json.", "limits.json")]
    rows = "".join(
        comment(f"{info['description']} Unit: {info['unit']}.", "  ")
        + f"  readonly {name}: number;\n"
        for name, info in model.spec.limits.items()
    )
    title = "The most that a reader accepts (urn:mmraw:limits:v1); every limit can be set."
    out.append(f"{comment(title)}export interface Limits {{\n{rows}}}\n")
    rows = "".join(f"  {name}: {info['default']},\n" for name, info in model.spec.limits.items())
    out.append(f"export const DEFAULT_LIMITS: Limits = {{\n{rows}}};\n")
    return "\n".join(out)


_TEXT_TYPES = """\
import type { ErrorCode } from "./errors.js";

/** A definition of spec/: what it is, and its fields by their wire names. */
export interface DefinitionText {
  readonly schema: string;
  readonly title: string;
  readonly description: string;
  readonly since: string;
  readonly fields: { readonly [name: string]: FieldText };
}

/** A field: what it is, and what belongs there. */
export interface FieldText {
  readonly title: string;
  readonly description: string;
  readonly hint: string;
  readonly required: boolean;
  /** Of a layout parameter that is one number or true or false. */
  readonly range?: Range;
}

/** The values that a layout parameter may have. */
export interface Range {
  readonly kind: "integer" | "number" | "boolean";
  readonly nullable: boolean;
  readonly least?: number;
  readonly most?: number;
  /** It is one of these, where there are some. */
  readonly choices?: readonly number[];
}

/** One code: what it means, why it comes, what to do. */
export interface ErrorText {
  readonly meaning: string;
  readonly cause: string;
  readonly remedy: string;
  readonly since: string;
}
"""


def _texts(model: Model) -> str:
    """Emits texts for people as a module that programs without an interface need not load."""
    title = "The meaning of every field and error code, for people."
    definitions = "".join(
        f"  {item.name}: {_definition_text(item)},\n"
        for item in (model.definitions[name] for name in model.order)
    )
    errors = "".join(
        f"  {code}: "
        + literal({name: info[name] for name in ("meaning", "cause", "remedy", "since")})
        + ",\n"
        for code, info in model.spec.errors.items()
    )
    return "\n".join(
        [
            header(model, title, *RULES, "errors.json"),
            _TEXT_TYPES,
            (
                "export const DEFINITION_TEXTS: { readonly [name: string]: DefinitionText } = "
                f"{{\n{definitions}}};\n"
            ),
            (
                "export const ERROR_TEXTS: { readonly [C in ErrorCode]: ErrorText } = "
                f"{{\n{errors}}};\n"
            ),
        ]
    )


def _range(item: Type) -> dict[str, Any]:
    """Returns what an interface needs to know to let a person set a layout parameter."""
    inner = item.inner if isinstance(item, Nullable) else item
    nullable = isinstance(item, Nullable)
    if isinstance(inner, Integer):
        bounds = {"least": inner.minimum, "most": inner.maximum}
        choices = {"choices": list(inner.choices)} if inner.choices else {}
        return {"range": {"kind": "integer", "nullable": nullable, **bounds, **choices}}
    for kind, name in ((Number, "number"), (Boolean, "boolean")):
        if isinstance(inner, kind):
            return {"range": {"kind": name, "nullable": nullable}}
    return {}


def _definition_text(item: Definition) -> str:
    fields = {
        part.name: {
            "title": part.title,
            "description": part.description,
            "hint": part.hint or "a JSON object",
            "required": part.required,
            **(_range(part.type) if item.family else {}),
        }
        for part in item.fields
    }
    text = {
        "schema": item.schema_id,
        "title": item.title,
        "description": item.description,
        "since": item.since,
        "fields": fields,
    }
    return literal(text)
