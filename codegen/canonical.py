"""Turns a definition into one pattern: the canonical text of its documents.

Keys are in their order and values in their one spelling, so a text that matches has no duplicate
key, no blank and no escape, and its strings match their own patterns.
"""

from __future__ import annotations

import re

from .ir import (
    Const,
    Definition,
    Field,
    Integer,
    Model,
    Named,
    Nullable,
    String,
    Type,
    Variant,
)
from .subset import SchemaError
from .walk import Kinds, written

#: Strings of characters that canonical JSON writes as they are.
_FREE = r"[ !#-\[\]-~]*"
#: The characters that follow a string.
_QUOTE = '(?=")'
_POSITIVE = "[1-9][0-9]{0,15}"
#: Characters that a pattern must not contain: it could match ones that canonical JSON escapes.
_OPEN = re.compile(r"\[\^|(?<!\\)\.(?![^\[]*\])|\\[DSWs]")


def canonical_text(model: Model, item: Definition, variant: Variant) -> str:
    """The pattern of a ref of one built-in family, or of the struct of such an envelope."""
    wire = item.wire or {}
    if wire.get("encoding") == "segments":
        parts = [_segment(model, item, variant, name) for name in wire["segments"]]
        return re.escape(wire["prefix"]) + ":".join(parts) + r"\Z"
    # The family is the tag of a struct, which an encoder writes first.
    fields = sorted(item.fields, key=lambda part: part.name != "family")
    if item.is_ref and fields[0] != item.fields[0]:
        raise SchemaError(f"{item.schema_id}: family must be the first field of a ref")
    return _object(model, tuple(fields), variant) + r"\Z"


def string_of(model: Model, item: Type) -> String | None:
    """The string that a field holds, where it holds one."""
    kind = item.inner if isinstance(item, Nullable) else item
    found = model.definitions[kind.name].type if isinstance(kind, Named) else kind
    return found if isinstance(found, String) else None


def _segment(model: Model, item: Definition, variant: Variant, name: str) -> str:
    if name == "family":
        return re.escape(str(variant.family))
    if name == "payload":
        return "[A-Za-z0-9_-]*"
    kind = string_of(model, next(part.type for part in item.fields if part.name == name))
    if kind is None:
        raise SchemaError(f"{item.name}: segment {name} must be a string")
    return _string(kind, r"(?=:|\Z)")


def _object(model: Model, fields: tuple[Field, ...], variant: Variant | None) -> str:
    if not any(part.required for part in fields):
        raise SchemaError("an object of a built-in family needs a required field")
    text, is_first = "", True
    for part in fields:
        member = _member(model, part, variant)
        if is_first:
            # A comma follows each member up to the first required one, and precedes each later one.
            text += member if part.required else f"(?:{member},)?"
            is_first = not part.required
        else:
            text += f",{member}" if part.required else f"(?:,{member})?"
    return r"\{" + text + r"\}"


def _member(model: Model, part: Field, variant: Variant | None) -> str:
    value = _value(model, part.type)
    if variant is not None and part.name == "family":
        value = f'"{re.escape(str(variant.family))}"'
    elif variant is not None and part.name == "payload":
        value = _object(model, model.definitions[variant.payload].fields, None)
    return f'"{re.escape(part.name)}":{value}'


def _value(model: Model, item: Type) -> str:
    def named(name: str) -> str:
        target = model.definitions[name]
        if target.type is None:
            return _object(model, target.fields, None)
        return written(target.type, kinds)

    kinds = Kinds(
        string=lambda item: f'"{_string(item, _QUOTE)}"',
        integer=_integer,
        number="",
        boolean="",
        const=_constant,
        tuple_of=lambda item, parts: rf"\[{','.join(parts)}\]",
        list_of=lambda inner: rf"\[(?:{inner}(?:,{inner})*)?\]",
        map_of=lambda inner: "",
        # Canonical text leaves absent fields out.
        nullable=lambda inner: inner,
        named=named,
        opaque="",
    )
    return written(item, kinds)


def _integer(item: Integer) -> str:
    if item.minimum > 0:
        return _POSITIVE
    return f"(?:0|{'-?' if item.minimum < 0 else ''}{_POSITIVE})"


def _constant(item: Const) -> str:
    return f'"{re.escape(item.value)}"' if isinstance(item.value, str) else str(item.value)


def _string(item: String, end: str) -> str:
    """The pattern of a string without its anchors; `end` is what follows the string."""
    if item.pattern is None or item.syntax is not None:
        return _FREE
    if not item.pattern.startswith("^") or not item.pattern.endswith("$"):
        raise SchemaError(f"a pattern must be anchored at both ends: {item.pattern}")
    if _OPEN.search(item.pattern):
        raise SchemaError(f"a pattern must list its characters: {item.pattern}")
    # A reader strips these characters, so they are never written.
    stripped = "" if item.strip is None else f"(?!{re.escape(item.strip)})"
    return stripped + item.pattern[1:-1].replace("$", end)
