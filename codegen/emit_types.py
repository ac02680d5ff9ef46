"""Emits wire/_generated/types.py: one set of msgspec structs, without patterns."""

from __future__ import annotations

from dataclasses import replace

from .ir import Const, Definition, Field, Integer, Model, Named, Nullable, String, Type, Variant
from .python_text import SAFE, SCHEMAS, header, literal, wrapped
from .subset import SchemaError
from .walk import Kinds, written

_IMPORTS = """from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
"""


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    title = "msgspec structs of what spec/ defines. Strings are unchecked: checks.py has the rules."
    out = [header(model, title, SCHEMAS), _IMPORTS]
    for item in model.ordered:
        if item.is_object and not (item.is_ref or item.is_item):
            out.append(_struct(model, item, item.name, item.fields))
    payloads = " | ".join(variant.payload for variant in model.built_in)
    out.append(
        "#: A payload: typed for the built-in families, else a JSON object.\n"
        f"Payload = {payloads} | dict[str, Any]\n"
    )
    for item in (*model.refs, *model.items):
        if item.is_canonical and (item.wire or {}).get("encoding") != "segments":
            out += [_family_struct(model, item, variant) for variant in model.built_in]
            union = " | ".join(struct_name(item, variant) for variant in model.built_in)
            out.append(f"#: {item.title}, of a built-in family.\n{item.name} = {union}\n")
    out.append(_fields_struct(model, "RefFields", "One image, as a ref says it", model.refs))
    out.append(
        _fields_struct(model, "ItemFields", "One image, as an envelope says it", model.items)
    )
    return {"types.py": "\n\n".join(out)}


def struct_name(item: Definition, variant: Variant) -> str:
    """The struct of one dialect and built-in family."""
    return item.name + variant.payload.removesuffix("Payload")


def python_type(model: Model, item: Type) -> str:
    """The annotation of a type, without patterns and lengths."""

    def named(name: str) -> str:
        target = model.definitions[name].type
        return name if target is None else written(target, kinds)

    kinds = Kinds(
        string=lambda item: "str",
        integer=_integer,
        number="int | float",
        boolean="bool",
        const=lambda item: "None" if item.value is None else f"Literal[{item.value!r}]",
        tuple_of=lambda item, parts: f"tuple[{', '.join(parts)}]",
        list_of=lambda inner: f"list[{inner}]",
        map_of=lambda inner: f"dict[str, {inner}]",
        nullable=lambda inner: f"{inner} | None",
        named=named,
        opaque="dict[str, Any]",
    )
    return written(item, kinds)


def _integer(item: Integer) -> str:
    return f"Annotated[int, Meta(ge={item.minimum}, le={SAFE if item.limit else item.maximum})]"


def _struct(
    model: Model, item: Definition, name: str, fields: tuple[Field, ...], options: str = ""
) -> str:
    doc = wrapped(f"{item.description} Source: {item.schema_id}.", "    ")
    return (
        f"class {name}(\n    Struct,\n    frozen=True,\n    forbid_unknown_fields=True,\n"
        f"    omit_defaults=True,\n    kw_only=True,\n{options}):\n"
        f'    """{item.title}.\n\n{doc}\n    """\n\n'
        + "".join(_field(model, part, item) for part in fields)
    )


def _field(model: Model, part: Field, item: Definition) -> str:
    text = python_type(model, part.type)
    options: list[str] = []
    if part.has_default and item.family is not None:
        options.append(f"default={literal(part.default)}")
    elif not part.required and (isinstance(part.type, Nullable) or _is_null(part.type)):
        options.append("default=None")
    elif not part.required:
        # None would let a null pass that the schema refuses.
        text += " | UnsetType"
        options.append("default=UNSET")
    if part.attribute != part.name:
        options.append(f"name={part.name!r}")
    if not options:
        return f"    {part.attribute}: {text}\n"
    if len(options) == 1 and options[0].startswith("default="):
        return f"    {part.attribute}: {text} = {options[0].removeprefix('default=')}\n"
    return f"    {part.attribute}: {text} = field({', '.join(options)})\n"


def _is_null(item: Type) -> bool:
    return isinstance(item, Const) and item.value is None


def _family_struct(model: Model, item: Definition, variant: Variant) -> str:
    """The struct of one built-in family; `family` is its tag, so that the text chooses it."""
    fields = tuple(
        replace(part, type=Named(variant.payload)) if part.name == "payload" else part
        for part in item.fields
        if part.name != "family"
    )
    options = f'    tag_field="family",\n    tag="{variant.family}",\n'
    return _struct(model, item, struct_name(item, variant), fields, options)


def _fields_struct(model: Model, name: str, title: str, dialects: list[Definition]) -> str:
    """Emits the fields that the dialects of a kind can carry together, by the model's names."""
    fields: dict[str, list[Field]] = {}
    for item in dialects:
        for part in item.fields:
            fields.setdefault(part.attribute, []).append(part)
    rows, documented = "", ""
    for attribute in sorted(fields):
        parts = fields[attribute]
        if all(isinstance(part.type, Const) and not part.is_flag for part in parts):
            continue
        rows += _model_field(attribute, parts, dialects)
        documented += wrapped(f"{attribute}: {parts[-1].description}", "        ") + "\n"
    names = ", ".join(literal(item.dialect) for item in dialects)
    default = next(item.dialect for item in dialects if item.is_default)
    kind = name.removesuffix("Fields")
    return (
        f"{kind}Dialect = Literal[{names}]\n\n\n"
        f"class {name}(Struct, frozen=True, kw_only=True, omit_defaults=True):\n"
        f'    """{title}, in any dialect.\n\n    Attributes:\n'
        f"        dialect: The dialect it was read from, or is meant for.\n{documented}"
        f'    """\n\n    dialect: {kind}Dialect = {default!r}\n{rows}'
    )


def _model_field(attribute: str, parts: list[Field], dialects: list[Definition]) -> str:
    if attribute == "payload":
        return "    payload: Payload\n"
    if any(part.is_flag for part in parts):
        return f"    {attribute}: bool = False\n"
    if any(not isinstance(_inner(part.type), (String, Named, Const)) for part in parts):
        raise SchemaError(f"{attribute}: a field of a ref or an envelope must be a string")
    if isinstance(parts[0].type, Const):
        return f"    {attribute}: str = {parts[0].type.value!r}\n"
    # A dialect of one family names it by its tag.
    everywhere = sum((item.wire or {}).get("family") is None for item in dialects)
    count = len(dialects) if attribute != "family" else everywhere
    if len(parts) == count and all(part.required for part in parts):
        return f"    {attribute}: str\n"
    return f"    {attribute}: str | None = None\n"


def _inner(item: Type) -> Type:
    return item.inner if isinstance(item, Nullable) else item
