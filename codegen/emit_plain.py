"""Emits the structs and the character tables that the fast paths need."""

from __future__ import annotations

import re
from dataclasses import replace

from . import emit_python as python
from .ir import Const, Definition, Field, List, Map, Model, Named, Nullable, String, Type, Variant

#: What is read most often, and by whom.
PLAIN = ("Features", "ItemV1", "RefV3")

#: A pattern that is one class of characters, so many times.
_ONE_CLASS = re.compile(r"\^\[([^\]^\\]+)\](?:\+|\{(\d+),(\d+)\})\$")
_OPENING = '''from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType, field

from .types import {imports}


class TextRule(NamedTuple):
    """A string that is one class of characters: which ones, and the least and most length."""

    allowed: bytes
    least: int
    most: int
'''


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    payloads = [v.payload for v in model.variants if v.family is not None]
    names = sorted({*payloads, "PlaceholderRange"})
    out = [
        python.header(
            model,
            "Structs without patterns, and tables to hold their strings against.\n\n"
            "A typed decode spends two thirds of its time in patterns. The fast paths decode\n"
            "these structs and look at characters themselves.",
        ),
        _OPENING.format(imports=", ".join(names)),
    ]
    out += [_rule(d) for d in model.definitions.values() if _is_one_class(d)]
    for name in PLAIN:
        out += _structs(model, model.definitions[name])
    return {"plain.py": "\n\n".join(out)}


def _is_one_class(item: Definition) -> bool:
    pattern = item.type.pattern if isinstance(item.type, String) else None
    return pattern is not None and _ONE_CLASS.fullmatch(pattern) is not None


def _rule(item: Definition) -> str:
    assert isinstance(item.type, String)
    match = _ONE_CLASS.fullmatch(item.type.pattern or "")
    assert match is not None
    allowed = bytes(code for code in range(128) if re.fullmatch(f"[{match[1]}]", chr(code)))
    least, most = (int(match[2]), int(match[3])) if match[2] else (1, item.type.max_length)
    value = f"TextRule({allowed!r}, {least}, {most})"
    return f"#: {item.title} ({item.schema_id}).\n{_constant(item.name)} = {value}\n"


def _structs(model: Model, item: Definition) -> list[str]:
    if not item.by_family:
        return [_struct(model, item, f"Plain{item.name}", item.fields, "")]
    out: list[str] = []
    names: dict[str, str] = {}
    for variant in model.variants:
        if variant.family is None:
            continue
        name = f"Plain{item.name}{variant.payload.removesuffix('Payload')}"
        fields = tuple(_with_payload(part, variant) for part in item.fields)
        fields = tuple(part for part in fields if part.name != "family")
        options = f'    tag_field="family",\n    tag="{variant.family}",\n'
        out.append(_struct(model, item, name, fields, options))
        names[variant.family] = name
    rows = "".join(f'    {name}: "{family}",\n' for family, name in names.items())
    out.append(
        f"#: {item.title}, of a listed family.\nPlain{item.name} = {' | '.join(names.values())}\n\n"
        f"{_constant(item.name)}_FAMILIES: dict[type[Struct], str] = {{\n{rows}}}\n"
    )
    return out


def _constant(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _with_payload(part: Field, variant: Variant) -> Field:
    return replace(part, type=Named(variant.payload)) if part.name == "payload" else part


def _struct(
    model: Model, item: Definition, name: str, fields: tuple[Field, ...], options: str
) -> str:
    rows: list[str] = []
    for part in fields:
        annotation = _type(model, part.type)
        settings: list[str] = []
        if not part.required and isinstance(part.type, Nullable):
            settings.append("default=None")
        elif not part.required:
            annotation += " | UnsetType"
            settings.append("default=UNSET")
        if part.attribute != part.name:
            settings.append(f"name={part.name!r}")
        value = f" = field({', '.join(settings)})" if settings else ""
        rows.append(f"    {part.attribute}: {annotation}{value}\n")
    return (
        f"class {name}(\n    Struct,\n    frozen=True,\n    forbid_unknown_fields=True,\n"
        f"    omit_defaults=True,\n    kw_only=True,\n{options}):\n"
        f'    """{item.title}, its strings unchecked. Source: {item.schema_id}."""\n\n'
        + "".join(rows)
    )


def _type(model: Model, item: Type) -> str:
    """As in types.py, with plain `str` for every string."""
    if isinstance(item, Named):
        target = model.definitions[item.name].type
        return "str" if isinstance(target, String) else item.name
    if isinstance(item, String):
        return "str"
    if isinstance(item, Const):
        return python.python_type(item)
    if isinstance(item, List):
        return f"list[{_type(model, item.item)}]"
    if isinstance(item, Map):
        return f"dict[str, {_type(model, item.value)}]"
    if isinstance(item, Nullable):
        return f"{_type(model, item.inner)} | None"
    return python.python_type(item)
