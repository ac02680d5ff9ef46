"""Emits wire/_generated/checks.py: a check of everything that spec/ defines, and fits_* for models.

A check takes a decoded document and raises the error of the first rule that is broken. A fits_*
function takes a text and the value that msgspec decoded from it, and only says whether the text is
canonical and every rule is kept: where one is not, the check of the document finds the error.
"""

from __future__ import annotations

from .canonical import canonical_text, string_of
from .ir import Definition, Field, Integer, Model, Named, Opaque, String, Tuple, Type
from .python_text import RULES, SAFE, anchored, header, raw, snake
from .subset import SchemaError
from .walk import Kinds, written

_IMPORTS = """from __future__ import annotations

from typing import Any

from msgspec import UNSET

from ..check import (
    Check,
    Field,
    Patterns,
    Rule,
    allows_few_values,
    array,
    boolean,
    by_family,
    check_opaque_payload,
    choice,
    closed,
    constant,
    integer,
    list_of,
    map_of,
    nullable,
    number,
    string,
)
from ..data_url import SYNTAXES, fits_source
from .limits import Limits
"""


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    out = [header(model, "The rules of everything that spec/ defines.", *RULES), _IMPORTS]
    out += [_definition(item) for item in model.ordered if not item.by_family]
    rows = "".join(f"    {v.family!r}: check_{snake(v.payload)},\n" for v in model.built_in)
    out.append(
        "#: The check of each built-in family's payload.\n"
        f"PAYLOAD_CHECKS: dict[str, Check] = {{\n{rows}}}\n"
    )
    out += [_definition(item) for item in model.ordered if item.by_family]
    out += [_fits_payload(model, v.payload) for v in model.built_in]
    rows = "".join(f"    {v.family!r}: fits_{snake(v.payload)},\n" for v in model.built_in)
    out.append(f"_FITS_PAYLOAD = {{\n{rows}}}\n")
    for item in (*model.refs, *model.items):
        if item.is_canonical:
            out.append(_fits(model, item))
    return {"checks.py": "\n\n".join(out)}


def _definition(item: Definition) -> str:
    name = snake(item.name)
    title = f"#: {item.title} ({item.schema_id}).\n"
    if isinstance(item.type, Opaque):
        return f"{title}check_{name}: Check = check_opaque_payload\n"
    if item.type is not None:
        made = _check(item.type, _rule(item.error, item.hint))
        return f"{title}check_{name}: Check = {made}\n"
    rows = "".join(_row(part, item) for part in item.fields)
    options = f"    one_of={item.at_least_one!r},\n" if item.at_least_one else ""
    if item.by_family:
        options += "    payloads=PAYLOAD_CHECKS,\n    other=check_opaque_payload,\n"
    return f"{title}check_{name}: Check = closed(\n    {{\n{rows}    }},\n{options})\n"


def _row(part: Field, item: Definition) -> str:
    hint = part.hint or ("a JSON object" if isinstance(part.type, Opaque) else "")
    if not hint:
        raise SchemaError(f"{item.schema_id}: field {part.name} needs x-mmraw-hint")
    check = "by_family"
    if not isinstance(part.type, Opaque):
        check = _check(part.type, _rule(part.error, hint))
    return f"        {part.name!r}: Field({check}, {part.required}),\n"


def _rule(error: str, hint: str) -> str:
    return f"Rule({error!r}, {hint!r})"


def _check(item: Type, rule: str) -> str:
    """The expression that gives the check of a type, under the rule of its field or definition."""
    kinds = Kinds(
        string=lambda item: _string(item, rule),
        integer=lambda item: _integer(item, rule),
        number=f"number({rule})",
        boolean=f"boolean({rule})",
        const=lambda item: f"constant({rule}, {item.value!r})",
        tuple_of=lambda item, parts: _array(item, parts, rule),
        list_of=lambda inner: f"list_of({rule}, {inner})",
        map_of=lambda inner: f"map_of({rule}, {inner})",
        nullable=lambda inner: f"nullable({inner})",
        named=lambda name: f"check_{snake(name)}",
    )
    return written(item, kinds)


def _integer(item: Integer, rule: str) -> str:
    if item.choices:
        return f"choice({rule}, {item.choices!r})"
    top = SAFE if item.limit else item.maximum
    multiple = f", multiple_of={item.multiple_of}" if item.multiple_of != 1 else ""
    return f"integer({rule}, {item.minimum}, {top}{multiple})"


def _array(item: Tuple, parts: list[str], rule: str) -> str:
    product = f", product={item.product!r}" if item.product else ""
    return f"array({rule}, ({', '.join(parts)},){product})"


def _string(item: String, rule: str) -> str:
    if item.syntax:
        return f"SYNTAXES[{item.syntax!r}]"
    parts = [rule]
    if item.pattern:
        parts.append(f'r"{anchored(item.pattern)}"')
    if item.limit:
        parts.append(f"limit={item.limit!r}")
    elif item.max_length is not None:
        parts.append(f"longest={item.max_length}")
    return f"string({', '.join(parts)})"


def _fits_payload(model: Model, name: str) -> str:
    lines = [
        f"def fits_{snake(name)}(payload: Any, limits: Limits) -> bool:",
        '    """True if integers keep the rules that no pattern of a text can express."""',
    ]
    conditions: list[str] = []
    for part in model.definitions[name].fields:
        statements, found = _numeric(model, part.type, part.attribute)
        if not found:
            continue
        lines += [f"    {part.attribute} = payload.{part.attribute}", *statements]
        if part.required:
            conditions += found
        elif statements:
            raise SchemaError(f"{name}: {part.name} must be required, since it holds rows")
        else:
            conditions.append(f"({part.attribute} is UNSET or ({' and '.join(found)}))")
    body = "\n        and ".join(conditions) or "True"
    return "\n".join(lines) + f"\n    return (\n        {body}\n    )\n"


def _numeric(
    model: Model, item: Type, name: str, *, bounded: bool = False
) -> tuple[list[str], list[str]]:
    """Statements that unpack a value, and conditions on what they give.

    `bounded` says that the limit on a product bounds it.
    """
    if isinstance(item, Named):
        target = model.definitions[item.name].type
        if target is None:
            raise SchemaError(f"{item.name}: a payload holds no objects")
        return _numeric(model, target, name, bounded=bounded)
    if isinstance(item, Integer):
        if item.choices:
            raise SchemaError(f"{name}: only layout parameters have choices")
        conditions = [f"{name} % {item.multiple_of} == 0"] if item.multiple_of != 1 else []
        if bounded and item.minimum < 1:
            raise SchemaError(f"{name}: a factor of a limited product is at least 1")
        if not bounded:
            conditions.append(f"{item.minimum} <= {name} <= {SAFE if item.limit else item.maximum}")
        return [], conditions
    if not isinstance(item, Tuple):
        return [], []
    names = [f"{name}_{index}" for index in range(len(item.items))]
    lines = [f"    {', '.join(names)}{',' if len(names) == 1 else ''} = {name}"]
    conditions: list[str] = []
    for part, inner in zip(item.items, names, strict=True):
        statements, found = _numeric(model, part, inner, bounded=item.product is not None)
        lines += statements
        conditions += found
    if item.product:
        conditions.append(f"{' * '.join(names)} <= limits.{item.product}")
    return (lines, conditions) if conditions else ([], [])


def _fits(model: Model, item: Definition) -> str:
    name = snake(item.name)
    patterns = "".join(
        f"        {variant.family!r}: {raw(canonical_text(model, item, variant))},\n"
        for variant in model.built_in
    )
    is_json = (item.wire or {}).get("encoding") != "segments"
    conditions = [
        f"_{name}[family](text) is not None",
        "_FITS_PAYLOAD[family](value.payload, limits)",
    ]
    if item.is_ref:
        conditions.append("allows_few_values(limits)")
    names = {part.attribute for part in item.fields}
    if item.at_least_one:
        present = " or ".join(f"value.{name} is not None" for name in item.at_least_one)
        conditions.append(f"({present})")
    for part in item.fields:
        conditions += _fits_string(model, part, names)
    body = "\n        and ".join(conditions)
    title = f"{item.title[0].lower()}{item.title[1:]}"
    text = "text" if item.is_ref else "text of a struct"
    return (
        f"#: The canonical {text} of {title}, by family.\n"
        f"_{name} = Patterns(\n    {{\n{patterns}    }},\n    of_bytes={is_json},\n)\n\n\n"
        f"def fits_{name}(text: Any, family: str, value: Any, limits: Limits) -> bool:\n"
        f'    """True if `text` is the canonical one of a value that keeps every rule.\n\n'
        "    Raises:\n        KeyError: Its family is not built in.\n"
        '    """\n'
        f"    return (\n        {body}\n    )\n"
    )


def _fits_string(model: Model, part: Field, names: set[str]) -> list[str]:
    """Emits the checks that the pattern leaves open: limits and hand-written syntax."""
    text = string_of(model, part.type)
    if text is None:
        return []
    value = "family" if part.attribute == "family" else f"value.{part.attribute}"
    condition = ""
    if text.syntax:
        stored = "value.raw_image_id" if "raw_image_id" in names else "None"
        condition = f"fits_source({text.syntax!r}, {value}, {stored}, limits)"
    elif text.limit:
        condition = f"len({value}) <= limits.{text.limit}"
    elif text.max_length is not None:
        condition = f"len({value}) <= {text.max_length}"
    if not condition:
        return []
    return [condition if part.required else f"({value} is None or {condition})"]
