"""Emits generated/checks.ts: a check of everything that spec/ defines.

The order of faults and their paths are those of the Python checks.
"""

from __future__ import annotations

from .ir import Definition, Field, Integer, Model, Opaque, String, Tuple, Type
from .python_text import RULES, SAFE
from .subset import SchemaError
from .typescript_text import comment, header, key, literal
from .walk import Kinds, written

_IMPORTS = """\
import * as make from "../codec/check.js";
import type { Check } from "../codec/check.js";
import { opaquePayload } from "../opaque.js";
import { SYNTAXES } from "../syntax.js";
"""


def checks(model: Model) -> str:
    """The generated module."""
    out = [header(model, "A check for everything that spec/ defines.", *RULES), _IMPORTS]
    out += [_definition(item) for item in model.ordered if not item.by_family]
    rows = "".join(f"  {key(str(v.family))}: check{v.payload},\n" for v in model.built_in)
    out.append(
        comment("The check of each built-in family's payload.")
        + f"export const PAYLOAD_CHECKS: {{ readonly [family: string]: Check }} = {{\n{rows}}};\n"
    )
    out += [_definition(item) for item in model.ordered if item.by_family]
    return "\n".join(out)


def _definition(item: Definition) -> str:
    if isinstance(item.type, Opaque):
        made = "opaquePayload"
    elif item.type is not None:
        made = _check(item.type, _rule(item.error, item.hint))
    else:
        rows = "".join(_row(part, item) for part in item.fields)
        options: list[str] = []
        if item.at_least_one:
            options.append(f"oneOf: {literal(list(item.at_least_one))}")
        if item.by_family:
            options += ["payloads: PAYLOAD_CHECKS", "other: opaquePayload"]
        more = f", {{ {', '.join(options)} }}" if options else ""
        made = f"make.closed({{\n{rows}}}{more})"
    title = comment(f"{item.title} ({item.schema_id}).")
    return f"{title}export const check{item.name}: Check = {made};\n"


def _row(part: Field, item: Definition) -> str:
    hint = part.hint or ("a JSON object" if isinstance(part.type, Opaque) else "")
    if not hint:
        raise SchemaError(f"{item.schema_id}: field {part.name} needs x-mmraw-hint")
    check = "make.byFamily"
    if not isinstance(part.type, Opaque):
        check = _check(part.type, _rule(part.error, hint))
    return f"  {key(part.name)}: {{ check: {check}, required: {literal(part.required)} }},\n"


def _rule(error: str, hint: str) -> str:
    return f"{{ code: {literal(error)}, hint: {literal(hint)} }}"


def _check(item: Type, rule: str) -> str:
    """The expression that gives the check of a type, under the rule of its field or definition."""
    kinds = Kinds(
        string=lambda item: _string(item, rule),
        integer=lambda item: _integer(item, rule),
        number=f"make.number({rule})",
        boolean=f"make.boolean({rule})",
        const=lambda item: f"make.constant({rule}, {literal(item.value)})",
        tuple_of=lambda item, parts: _array(item, parts, rule),
        list_of=lambda inner: f"make.listOf({rule}, {inner})",
        map_of=lambda inner: f"make.mapOf({rule}, {inner})",
        nullable=lambda inner: f"make.nullable({inner})",
        named=lambda name: f"check{name}",
    )
    return written(item, kinds)


def _integer(item: Integer, rule: str) -> str:
    if item.choices:
        return f"make.choice({rule}, {literal(list(item.choices))})"
    top = SAFE if item.limit else item.maximum
    multiple = f", {item.multiple_of}" if item.multiple_of != 1 else ""
    return f"make.integer({rule}, {item.minimum}, {top}{multiple})"


def _array(item: Tuple, parts: list[str], rule: str) -> str:
    product = f", {literal(item.product)}" if item.product else ""
    return f"make.array({rule}, [{', '.join(parts)}]{product})"


def _string(item: String, rule: str) -> str:
    if item.syntax:
        # Looked up when it is called: syntax.ts itself imports the check of names.
        arguments = "value, path, limits, faults"
        return f"({arguments}) => SYNTAXES.{item.syntax}({arguments})"
    options: list[str] = []
    if item.pattern:
        options.append(f"pattern: /{item.pattern.replace('/', chr(92) + '/')}/")
    if item.limit:
        options.append(f"limit: {literal(item.limit)}")
    elif item.max_length is not None:
        options.append(f"longest: {item.max_length}")
    more = f", {{ {', '.join(options)} }}" if options else ""
    return f"make.string({rule}{more})"
