"""Emits generated/wire.ts and generated/families.ts."""

from __future__ import annotations

from typing import Any

from .canonical import string_of
from .ir import Const, Definition, Model
from .python_text import FAMILIES, RULES
from .subset import Json
from .typescript_text import (
    ModelField,
    comment,
    header,
    json_value,
    key,
    literal,
    model_fields,
)

_WIRE_TYPES = """\
import type { Check } from "../codec/check.js";
import type { Syntax } from "../syntax.js";
import * as checks from "./checks.js";
import type { BuiltInFamily } from "./families.js";
import type { ItemDialect, RefDialect } from "./types.js";

export type { ItemDialect, RefDialect as Dialect } from "./types.js";

/** A field's name on the wire, and in the model. */
export type Names = readonly [string, string];

/** The common part of dialects of refs and of envelopes. */
interface Wire {
  /** The name of its definition. */
  readonly schema: string;
  readonly fields: readonly Names[];
  /** The wire names that must be there. */
  readonly required: readonly string[];
  /** The check of a decoded document. */
  readonly check: Check;
}

/** One dialect of refs. */
export interface WireDialect extends Wire {
  readonly dialect: RefDialect;
  /** The beginning of its text. */
  readonly prefix: string;
  /** The encoding of the rest. */
  readonly encoding: "segments" | "base64url-json" | "json";
  /** The fields in their order, where the encoding is `segments`. */
  readonly segments: readonly string[];
  /** Fields whose absence is the sign of this dialect among those of its prefix. */
  readonly without: readonly string[];
  /** The family, where the text names none. */
  readonly family: BuiltInFamily | null;
  /** True if `formatRef` writes it; the others are written by conversion alone. */
  readonly write: boolean;
  readonly fingerprintScheme: "v1" | "unversioned" | "positional" | "none";
  /** The wire name of raw_uri and its syntax, where the dialect carries it. */
  readonly uri: readonly [string, Syntax] | null;
  /** The text that a reader strips from the beginning of a field, by the name in the model. */
  readonly strips: readonly (readonly [string, string])[];
}

/** One dialect of envelopes. */
export interface ItemWire extends Wire {
  readonly dialect: ItemDialect;
  /** Fields whose absence is its sign among those without a version. */
  readonly without: readonly string[];
  /** The fields that have one value. */
  readonly constants: readonly (readonly [string, string | number])[];
  /** The optional fields that have one value: wire name, name in the model, value. */
  readonly flags: readonly (readonly [string, string, string | number])[];
}
"""


def wire(model: Model) -> str:
    """The generated table of dialects."""
    out = [header(model, "The wire form of each dialect.", *RULES), _WIRE_TYPES]
    rows = "".join(_dialect(model, item) for item in model.refs)
    out.append(
        "export const DIALECTS: { readonly [D in RefDialect]: WireDialect } = " + f"{{\n{rows}}};\n"
    )
    default = next(item.dialect for item in model.refs if item.is_default)
    written = [item.dialect for item in model.refs if (item.wire or {})["write"]]
    written.sort(key=lambda name: (name != default, name))
    out.append(
        comment("The dialect of `formatRef` by default.")
        + f"export const DEFAULT_DIALECT: RefDialect = {literal(default)};\n"
    )
    out.append(
        comment("The dialects that `formatRef` writes, the default first.")
        + f"export const WRITABLE: readonly RefDialect[] = {literal(written)};\n"
    )
    rows = "".join(_item(item) for item in model.items)
    out.append(f"export const ITEMS: {{ readonly [D in ItemDialect]: ItemWire }} = {{\n{rows}}};\n")
    default = next(item.dialect for item in model.items if item.is_default)
    out.append(
        comment("The envelopes that are written.")
        + f"export const DEFAULT_ITEM: ItemDialect = {literal(default)};\n"
    )
    for kind, dialects in (("REF", model.refs), ("ITEM", model.items)):
        out.append(
            comment("The fields of the model, each as a dialect that lacks it leaves it.")
            + f"export const BLANK_{kind} = {_blank(model_fields(dialects))};\n"
        )
    return "\n".join(out)


def _blank(fields: list[ModelField]) -> str:
    return "{ " + ", ".join(f"{part.attribute}: {part.blank}" for part in fields) + " } as const"


def _dialect(model: Model, item: Definition) -> str:
    table = item.wire or {}
    texts = [(part.attribute, string_of(model, part.type)) for part in item.fields]
    uris = [(part.name, string_of(model, part.type)) for part in item.fields]
    uri = next(([name, text.syntax] for name, text in uris if text and text.syntax), None)
    return _row(
        item,
        {
            "dialect": item.dialect,
            "schema": item.name,
            "prefix": table["prefix"],
            "encoding": table["encoding"],
            "segments": table.get("segments", []),
            "without": table.get("without", []),
            "family": table.get("family"),
            "write": table["write"],
            "fingerprintScheme": table["fingerprint_scheme"],
            "fields": [[part.name, part.attribute] for part in item.fields],
            "required": [part.name for part in item.fields if part.required],
            "uri": uri,
            "strips": [[name, text.strip] for name, text in texts if text and text.strip],
        },
    )


def _item(item: Definition) -> str:
    constants = [p for p in item.fields if isinstance(p.type, Const) and p.required]
    flags = [p for p in item.fields if isinstance(p.type, Const) and p.is_flag]
    carried = [p for p in item.fields if not isinstance(p.type, Const)]
    return _row(
        item,
        {
            "dialect": item.dialect,
            "schema": item.name,
            "without": list(item.without),
            "fields": [[part.name, part.attribute] for part in carried],
            "constants": [[p.name, p.type.value] for p in constants if isinstance(p.type, Const)],
            "flags": [
                [p.name, p.attribute, p.type.value] for p in flags if isinstance(p.type, Const)
            ],
            "required": [part.name for part in item.fields if part.required],
        },
    )


def _row(item: Definition, rows: dict[str, Any]) -> str:
    body = "".join(f"    {name}: {literal(value)},\n" for name, value in rows.items())
    name = literal(item.dialect)
    return f"  {name}: {{\n{body}    check: checks.check{item.name},\n  }},\n"


_FAMILY_TYPES = """\
import type { Check } from "../codec/check.js";
import type { JsonObject, JsonValue } from "../codec/values.js";
import type { FamilyModule } from "../families/layout.js";
import * as checks from "./checks.js";
"""
_FAMILY_INTERFACE = """\
/** The tokens of an image in a prompt. */
export interface Placeholder {
  /** The placeholder token. */
  readonly token: string;
  /** The tokens before the placeholder's span. */
  readonly before: string;
  /** The tokens after it. */
  readonly after: string;
  /** The token after each row of the span, if there is one. */
  readonly row_end: string;
  /** The token after the last row instead. */
  readonly end: string;
}

/** A line of checkpoints. */
export interface Line {
  /** `model_type` of its models. */
  readonly modelTypes: readonly string[];
  /** The classes of its processors in Transformers. */
  readonly processorClasses: readonly string[];
  /** Its published layout parameters that differ from the defaults. */
  readonly parameters: JsonObject;
  readonly placeholder: Placeholder;
  /** The published ids of those tokens. */
  readonly tokenIds: { readonly [token: string]: number };
}

/** A server's expansion of an image's place in a prompt. */
export interface Expansion {
  /** The token that it expands; the span replaces it, with the tokens around it. */
  readonly target: string;
  /** The token that it writes before the span. */
  readonly before: string;
  /** The token that it writes after it. */
  readonly after: string;
  /** The forms of the family that cannot be expanded or compacted, and why. */
  readonly refused: { readonly [form: string]: string };
}

/** The reading of a configuration of the family. */
export interface Configuration {
  /** The layout parameters of the whole processor; the image processor's own do not count. */
  readonly whole: readonly string[];
  /** The sets of keys that `size` may have. */
  readonly sizes: readonly (readonly string[])[];
  /** True if a number means a square, and not a shortest edge. */
  readonly square: boolean;
  /** The meaning of null, by key; null for an absent key. */
  readonly null: { readonly [name: string]: JsonValue };
  /** The values that a key may have; the layout of others is not known. */
  readonly fixed: { readonly [name: string]: readonly JsonValue[] };
  /** True if all places of a parameter must agree; else the first one wins. */
  readonly agreeing: boolean;
  /** The `model_type`s that other models have too. */
  readonly sharedModelTypes: readonly string[];
}

/** The rules of a built-in family, from spec/families/<name>/. */
export interface FamilyInfo {
  /** Its name in refs and envelopes. */
  readonly family: BuiltInFamily;
  /** Its name for people. */
  readonly title: string;
  /** The modality under which the inference server files its images. */
  readonly featureModality: string;
  /** The tokens of an image in a prompt, by default. */
  readonly placeholder: Placeholder;
  /** The placeholder conventions, the default first; empty where there is one. */
  readonly conventions: readonly string[];
  /** The field of the payload that is the grid. */
  readonly gridKey: string;
  /** Fields of the payload by the names that tables of layouts give them. */
  readonly grid: { readonly [name: string]: string };
  /** The name of the definition of its layout parameters. */
  readonly layoutSchema: string;
  readonly checkLayout: Check;
  /** The published layout parameters. */
  readonly defaults: JsonObject;
  /**
   * The places of each layout parameter in a configuration, the winner first: dots between the
   * keys, an equals sign between two places that hold the same.
   */
  readonly configNames: { readonly [name: string]: readonly string[] };
  /**
   * The image processors of Transformers, and the layout parameters that they take by default
   * instead of the published ones.
   */
  readonly imageProcessorTypes: { readonly [type: string]: JsonObject };
  /** The layout parameters that a configuration without a type has all. */
  readonly required: readonly string[];
  /** The reading of a configuration. */
  readonly configuration: Configuration;
  /** The lines of checkpoints; the first is the default. */
  readonly lines: { readonly [name: string]: Line };
  /** The expansion of an image by vLLM. */
  readonly vllm: Expansion;
  /** The expansion by SGLang, if its target is not empty. */
  readonly sglang: Expansion;
  /** The layout parameters in the positional fingerprint, where it has one. */
  readonly fingerprintOrder: readonly string[];
  /** The layout parameters that no fingerprint has, and the values for which. */
  readonly fingerprintOmits: JsonObject;
  /** Its arithmetic, and how its configurations are read. */
  readonly module: FamilyModule;
}
"""


#: Sources of the table of families.


def families(model: Model) -> str:
    """The generated table of the built-in families; ../families/<name>.ts is each one's module."""
    names = list(model.spec.families)
    rows = "".join(_family(model, name) for name in names)
    imports = _FAMILY_TYPES
    if "new JsonFloat(" in rows:
        imports = 'import { JsonFloat } from "../codec/values.js";\n' + imports
    imports += "".join(f'import * as {name} from "../families/{name}.js";\n' for name in names)
    table = "{ readonly [F in BuiltInFamily]: FamilyInfo }"
    return "\n".join(
        [
            header(model, "The built-in families, from the folders of spec/families/.", *FAMILIES),
            imports,
            f"export type BuiltInFamily = {' | '.join(literal(name) for name in names)};\n",
            _FAMILY_INTERFACE,
            f"export const FAMILY_TABLE: {table} = {{\n{rows}}};\n",
        ]
    )


def _family(model: Model, family: str) -> str:
    info = model.spec.families[family]
    layout = model.layout_of(family)
    variant = next(one for one in model.built_in if one.family == family)
    rows = {
        "family": literal(family),
        "title": literal(info["title"]),
        "featureModality": literal(info["feature_modality"]),
        "placeholder": _placeholder(info["placeholder"]),
        "conventions": literal(info["placeholder"]["conventions"]),
        "gridKey": literal(model.grid_key(variant.payload)),
        "grid": literal(info["grid"]),
        "layoutSchema": literal(layout.name),
        "checkLayout": f"checks.check{layout.name}",
        "defaults": json_value({part.name: part.default for part in layout.fields}),
        "configNames": literal({p.name: p.config_names for p in layout.fields}),
        "imageProcessorTypes": json_value(info["image_processor_types"]),
        "required": literal(info["required"]),
        "configuration": _configuration(info["configuration"]),
        "lines": _lines(info["lines"]),
        **{
            engine: literal({name: info[engine][name] for name in _EXPANSION})
            for engine in ("vllm", "sglang")
        },
        "fingerprintOrder": literal(list(layout.fingerprint_order)),
        "fingerprintOmits": json_value(layout.fingerprint_omits),
        "module": family,
    }
    body = "".join(f"    {name}: {value},\n" for name, value in rows.items())
    return f"  {key(family)}: {{\n{body}  }},\n"


_EXPANSION = ("target", "before", "after", "refused")


def _configuration(given: Json) -> str:
    row = {key: value for key, value in given.items() if key != "shared_model_types"}
    return json_value({**row, "sharedModelTypes": given["shared_model_types"]})


def _placeholder(given: Json) -> str:
    return literal({name: given[name] for name in ("token", "before", "after", "row_end", "end")})


def _lines(lines: Json) -> str:
    rows = "".join(
        f"      {key(name)}: {{modelTypes: {literal(line['model_types'])}, "
        f"processorClasses: {literal(line['processor_classes'])}, "
        f"parameters: {json_value(line['parameters'])}, "
        f"placeholder: {_placeholder(line['placeholder'])}, "
        f"tokenIds: {literal(line['token_ids'])}}},\n"
        for name, line in lines.items()
    )
    return f"{{\n{rows}    }}"
