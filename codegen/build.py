"""Builds the intermediate representation from spec/."""

from __future__ import annotations

from typing import cast

from .ir import (
    Boolean,
    Const,
    Definition,
    Field,
    Integer,
    List,
    Map,
    Model,
    Named,
    Nullable,
    Number,
    Opaque,
    String,
    Tuple,
    Type,
    Variant,
)
from .load import Schema, Spec
from .subset import Json, SchemaError, kind_of
from .walk import uses


def build(spec: Spec) -> Model:
    """The representation of `spec`; names are unique over all schemas."""
    definitions: dict[str, Definition] = {}
    variants: tuple[Variant, ...] = ()
    for schema in spec.schemas.values():
        for name, node in schema.document.get("$defs", {}).items():
            if name in definitions:
                raise SchemaError(f"{schema.path}: the name {name} is taken")
            if "x-mmraw-tag" in node:
                variants = tuple(_variant(spec, part) for part in node["oneOf"])
            else:
                definitions[name] = _definition(spec, schema, name, node)
    # Within an opaque payload code checks every value; the definition is for other validators.
    definitions.pop("OpaqueValue", None)
    model = Model(spec, definitions, variants, _order(definitions, variants))
    for family in spec.families:
        model.layout_of(family)
    for kind in (model.refs, model.items):
        if sum(item.is_default for item in kind) != 1:
            raise SchemaError("one dialect of refs, and one of envelopes, has x-mmraw-default")
    if sum(info["default"] for info in spec.families.values()) != 1:
        raise SchemaError("one family.json says default: true")
    return model


def _hint(spec: Spec, node: Json) -> str:
    """The hint of a node, with the number of its limit in it."""
    limit = node.get("x-mmraw-limit")
    number = "" if limit is None else str(spec.limits[limit]["default"])
    return str(node.get("x-mmraw-hint", "")).replace("{limit}", number)


def _variant(spec: Spec, part: Json) -> Variant:
    family = part["properties"]["family"].get("const")
    payload, _ = spec.definition(part["properties"]["payload"]["$ref"], "")
    return Variant(family, payload.rsplit("/", 1)[1])


def _definition(spec: Spec, schema: Schema, name: str, node: Json) -> Definition:
    path = f"{schema.path}#/$defs/{name}"
    closed = kind_of(node, path) == "object" and "properties" in node
    return Definition(
        name=name,
        schema_id=schema.id,
        title=node.get("title", name),
        description=node.get("description", ""),
        type=None if closed else _type(spec, schema, node, path),
        fields=_fields(spec, schema, node, path) if closed else (),
        by_family="allOf" in node,
        at_least_one=tuple(part["required"][0] for part in node.get("anyOf", [])),
        wire=node.get("x-mmraw-wire"),
        is_default=node.get("x-mmraw-default", False),
        since=node.get("x-mmraw-since", ""),
        family=node.get("x-mmraw-family"),
        fingerprint_order=tuple(node.get("x-mmraw-fingerprint-order", ())),
        without=tuple(node.get("x-mmraw-without", ())),
        error=node.get("x-mmraw-error", "invalid_value"),
        hint=_hint(spec, node),
        examples=tuple(node.get("examples", ())),
    )


def _fields(spec: Spec, schema: Schema, node: Json, path: str) -> tuple[Field, ...]:
    required = set(node.get("required", []))
    names = list(node["properties"])
    if names != sorted(names):
        # Fields are emitted in their order; sorted, an encoder needs no further sorting.
        raise SchemaError(f"{path}/properties: must be sorted by code point")
    result: list[Field] = []
    for name in names:
        child = node["properties"][name]
        spot = f"{path}/properties/{name}"
        about = _about(spec, schema, child)
        result.append(
            Field(
                name=name,
                attribute=child.get("x-mmraw-field", name),
                type=_type(spec, schema, child, spot),
                required=name in required,
                has_default="default" in child,
                default=child.get("default"),
                title=about.get("title", name),
                description=about.get("description", ""),
                error=about.get("x-mmraw-error", "invalid_value"),
                hint=_hint(spec, about),
                config_names=tuple(child.get("x-mmraw-config", (name,))),
                omits_default=child.get("x-mmraw-fingerprint-omits-default", False),
            )
        )
    return tuple(result)


def _about(spec: Spec, schema: Schema, node: Json) -> Json:
    """The annotations that describe a field: its own, else those of what it refers to."""
    if "$ref" in node:
        _, target = spec.definition(node["$ref"], schema.id)
        return {**target, **node}
    if "oneOf" in node:
        return {**_about(spec, schema, node["oneOf"][0]), **node}
    return node


def _type(spec: Spec, schema: Schema, node: Json, path: str) -> Type:
    kind = kind_of(node, path)
    if kind == "$ref":
        full, _ = spec.definition(node["$ref"], schema.id)
        return Named(full.rsplit("/", 1)[1])
    if kind == "const":
        return Const(node["const"])
    if kind == "oneOf":
        return Nullable(_type(spec, schema, node["oneOf"][0], f"{path}/oneOf/0"))
    if kind == "not":
        return String(excluded=tuple(node["not"]["enum"]))
    if kind == "string":
        return String(
            node.get("pattern"),
            node.get("minLength"),
            node.get("maxLength"),
            limit=node.get("x-mmraw-limit"),
            syntax=node.get("x-mmraw-syntax"),
            strip=node.get("x-mmraw-strip"),
            shared=node.get("x-mmraw-shared", False),
        )
    if kind == "integer":
        limit, multiple = node.get("x-mmraw-limit"), node.get("multipleOf", 1)
        choices = tuple(node.get("enum", ()))
        if choices and (min(choices), max(choices)) != (node["minimum"], node["maximum"]):
            raise SchemaError(f"{path}: the bounds must be the least and the greatest choice")
        return Integer(node["minimum"], node["maximum"], limit, multiple, choices)
    if kind == "number":
        return Number()
    if kind == "boolean":
        return Boolean()
    if kind == "array":
        if "prefixItems" in node:
            parts = cast("list[Json]", node["prefixItems"])
            items = tuple(_type(spec, schema, p, f"{path}/prefixItems") for p in parts)
            return Tuple(items, node.get("x-mmraw-product-limit"))
        return List(_type(spec, schema, node["items"], f"{path}/items"))
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        inner = _type(spec, schema, node["additionalProperties"], f"{path}/additionalProperties")
        return Map(inner)
    return Opaque()


def _order(definitions: dict[str, Definition], variants: tuple[Variant, ...]) -> tuple[str, ...]:
    """Names, each after all that it refers to."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        item = definitions[name]
        payloads = [variant.payload for variant in variants] if item.by_family else []
        for used in (*uses(item.type), *(n for f in item.fields for n in uses(f.type)), *payloads):
            visit(used)
        done.append(name)

    for name in definitions:
        visit(name)
    return tuple(done)
