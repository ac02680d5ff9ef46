"""The keywords of JSON Schema that the generator supports; any other is an error."""

from __future__ import annotations

from typing import Any, cast

from .annotations import EXTENSIONS

Json = dict[str, Any]

#: Keywords by the JSON type that they belong to. Any other is an error with its path.
ANNOTATIONS = frozenset({"title", "description", "examples", "default"})
ALLOWED: dict[str, frozenset[str]] = {
    "string": frozenset({"type", "pattern", "minLength", "maxLength", "enum"}),
    "integer": frozenset({"type", "minimum", "maximum", "multipleOf", "enum"}),
    "number": frozenset({"type"}),
    "boolean": frozenset({"type"}),
    "null": frozenset({"type"}),
    "array": frozenset({"type", "items", "prefixItems", "minItems", "maxItems"}),
    "object": frozenset(
        {"type", "properties", "required", "additionalProperties", "allOf", "anyOf"}
    ),
    # Any JSON value without keys of processed tensors; code checks it, the schema is for others.
    "opaque": frozenset({"type", "items", "propertyNames", "additionalProperties"}),
    "$ref": frozenset({"$ref"}),
    "const": frozenset({"const"}),
    "oneOf": frozenset({"oneOf", "type"}),
    "not": frozenset({"not"}),
}


class SchemaError(Exception):
    """A schema uses something outside the closed subset; the message names the path."""


def kind_of(node: Json, path: str) -> str:
    """Returns the form of the subset that a schema node has."""
    if node.get("x-mmraw-opaque"):
        return "opaque"
    for keyword in ("$ref", "const", "oneOf", "not"):
        if keyword in node:
            return keyword
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in ALLOWED:
        raise SchemaError(f"{path}: no type that the generator knows")
    return kind


def check_node(node: Any, path: str) -> None:
    """Refuses keywords outside the subset, anywhere below `node`."""
    if not isinstance(node, dict):
        raise SchemaError(f"{path}: expected an object")
    schema = cast(Json, node)
    kind = kind_of(schema, path)
    extra = set(schema) - ALLOWED[kind] - ANNOTATIONS - EXTENSIONS
    if extra:
        raise SchemaError(f"{path}: keyword not in the subset: {', '.join(sorted(extra))}")
    if kind == "object":
        _check_object(schema, path)
    elif kind == "array":
        _check_array(schema, path)
    elif kind == "oneOf":
        _check_one_of(schema, path)


def _check_object(node: Json, path: str) -> None:
    for name, field in node.get("properties", {}).items():
        check_node(field, f"{path}/properties/{name}")
    extra = node.get("additionalProperties")
    if isinstance(extra, dict):
        check_node(extra, f"{path}/additionalProperties")
    elif "properties" in node and extra is not False:
        raise SchemaError(f"{path}: an object with properties must be closed")
    unknown = set(node.get("required", [])) - set(node.get("properties", {}))
    if unknown:
        raise SchemaError(f"{path}/required: not a property: {', '.join(sorted(unknown))}")
    for index, part in enumerate(node.get("allOf", [])):
        if set(part) != {"$ref"}:
            raise SchemaError(f"{path}/allOf/{index}: only $ref is understood")
    for index, part in enumerate(node.get("anyOf", [])):
        required = part.get("required", [])
        wanted = {"required": required, "properties": {n: {"type": "string"} for n in required}}
        if part != wanted or len(required) != 1:
            raise SchemaError(f"{path}/anyOf/{index}: only 'one of these fields' is understood")


def _check_array(node: Json, path: str) -> None:
    if "prefixItems" in node:
        for index, item in enumerate(node["prefixItems"]):
            check_node(item, f"{path}/prefixItems/{index}")
        if node.get("items") is not False or node.get("minItems") != len(node["prefixItems"]):
            raise SchemaError(f"{path}: prefixItems needs items: false and minItems of its length")
    else:
        check_node(node.get("items"), f"{path}/items")


def _check_one_of(node: Json, path: str) -> None:
    if "x-mmraw-tag" in node:
        if node.get("type") != "object":
            raise SchemaError(f"{path}: variants need the type object, for strict validators")
        for index, part in enumerate(node["oneOf"]):
            if set(part) != {"properties"}:
                raise SchemaError(f"{path}/oneOf/{index}: a variant has properties alone")
            for name, field in part["properties"].items():
                check_node(field, f"{path}/oneOf/{index}/properties/{name}")
        return
    if "type" in node or len(node["oneOf"]) != 2 or node["oneOf"][1] != {"type": "null"}:
        raise SchemaError(f"{path}/oneOf: only a value or null is understood")
    check_node(node["oneOf"][0], f"{path}/oneOf/0")


def check_names(document: Json, path: str, limits: Json, errors: Json) -> None:
    """Refuses an unknown limit or error code, and a bound that differs from its limit's default."""
    tables = {
        "x-mmraw-error": errors,
        "x-mmraw-limit": limits,
        "x-mmraw-product-limit": limits,
    }

    def visit(node: Any, path: str) -> None:
        if isinstance(node, list):
            for index, item in enumerate(cast("list[Any]", node)):
                visit(item, f"{path}/{index}")
        elif isinstance(node, dict):
            found = cast(Json, node)
            for keyword, table in tables.items():
                if keyword in found and found[keyword] not in table:
                    raise SchemaError(f"{path}/{keyword}: no such name: {found[keyword]}")
            if "x-mmraw-limit" in found:
                _check_bound(found, limits, found["x-mmraw-limit"], path)
            for key, item in found.items():
                visit(item, f"{path}/{key}")

    visit(document, path)


def _check_bound(node: Json, limits: Json, name: str, path: str) -> None:
    keyword = "maxLength" if node.get("type") == "string" else "maximum"
    if node.get(keyword) != limits[name]["default"]:
        wanted = limits[name]["default"]
        raise SchemaError(f"{path}: {keyword} must be {wanted}, the default of the limit {name}")
