"""The gate against breaking changes, by law: no document contradicts its verdict."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_copies import FILES, OLD, Json

from mmraw_protocol.specdiff.gate import compare_specs
from mmraw_protocol.specdiff.sources import Spec, spec_of

ROOTS = sorted(name for name, schema in OLD.schemas.items() if "$ref" in schema)


def nodes(node: Any) -> Iterator[Json]:
    """Every schema node below `node`, itself included."""
    if not isinstance(node, dict):
        return
    yield node
    for child in [*node.get("properties", {}).values(), *node.get("prefixItems", [])]:
        yield from nodes(child)
    for child in [*node.get("oneOf", []), node.get("items"), node.get("additionalProperties")]:
        yield from nodes(child)


PATTERNS = ["^[a-z]+$", "^[A-Za-z0-9_.-]+$", "^x", "^[a-f0-9]{16,64}$", "^$"]


REFS = sorted(f"{i}#/$defs/{n}" for i, s in OLD.schemas.items() for n in s.get("$defs", {}))


LEAVES: list[Json] = [
    {"type": "string"},
    {"type": "integer", "minimum": 0, "maximum": 5},
    {"type": "number"},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "object"},
    {"const": "image"},
    {"enum": ["image", "x"]},
    {"type": "array", "items": {"type": "string"}},
]


def change_bound(draw: Callable[..., Any], node: Json) -> None:
    kinds = {"string": "Length", "array": "Items", "integer": "imum", "number": "imum"}
    suffix = kinds.get(node.get("type", ""), "Length")
    name = draw(st.sampled_from(["min", "max"])) + suffix
    value = draw(st.sampled_from([None, 0, 1, 2, 3, 16, 64, 128, 200, 1048576, 2**53]))
    if value is None:
        node.pop(name, None)
    else:
        node[name] = value


def change_pattern(draw: Callable[..., Any], node: Json) -> None:
    value = draw(st.sampled_from([None, *PATTERNS]))
    node.pop("pattern", None) if value is None else node.update(pattern=value)


def change_fields(draw: Callable[..., Any], node: Json) -> None:
    fields = node.setdefault("properties", {})
    name = draw(st.sampled_from([*fields, "added"]))
    if name in fields and draw(st.booleans()):
        del fields[name]
    else:
        fields[name] = copy.deepcopy(draw(st.sampled_from(LEAVES)))


def change_required(draw: Callable[..., Any], node: Json) -> None:
    needed = set(node.get("required", []))
    node["required"] = sorted(needed ^ {draw(st.sampled_from([*node.get("properties", {}), "z"]))})


def change_closed(draw: Callable[..., Any], node: Json) -> None:
    value = draw(st.sampled_from([None, False, True, {"type": "string"}]))
    node.pop("additionalProperties", None)
    if value is not None:
        node["additionalProperties"] = value


def change_sources(draw: Callable[..., Any], node: Json) -> None:
    names = draw(st.lists(st.sampled_from([*node.get("properties", {}), "a"]), max_size=2))
    node["anyOf"] = [{"required": [name]} for name in names]
    if not names:
        del node["anyOf"]


def drop_parts(draw: Callable[..., Any], node: Json) -> None:
    if node.pop("allOf", None) is None:
        node["allOf"] = [{"$ref": draw(st.sampled_from(REFS))}]


def replace(draw: Callable[..., Any], node: Json) -> None:
    leaf = copy.deepcopy(draw(st.sampled_from([*LEAVES, {"$ref": draw(st.sampled_from(REFS))}])))
    node.clear()
    node.update(leaf)


def toggle_null(draw: Callable[..., Any], node: Json) -> None:
    parts = node.get("oneOf", [])
    inner = copy.deepcopy(parts[0]) if len(parts) == 2 else None
    wrapped = {"oneOf": [copy.deepcopy(node), {"type": "null"}]}
    node.clear()
    node.update(inner if inner is not None else wrapped)


def change_variants(draw: Callable[..., Any], node: Json) -> None:
    parts = node.get("oneOf", [])
    kind = draw(st.sampled_from(["drop", "add", "payload", "exclude"]))
    rest = next((p for p in parts if "not" in p.get("properties", {}).get("family", {})), None)
    if "x-mmraw-tag" not in node or rest is None:
        return
    excluded = rest["properties"]["family"]["not"]["enum"]
    payload = copy.deepcopy(draw(st.sampled_from(LEAVES)))
    if kind == "drop" and len(parts) > 1:
        gone = parts.pop(0)["properties"]["family"].get("const")
        if gone in excluded and draw(st.booleans()):
            excluded.remove(gone)
    elif kind == "add":
        parts.insert(0, {"properties": {"family": {"const": "fam_x"}, "payload": payload}})
        if draw(st.booleans()):
            excluded.append("fam_x")
    elif kind == "payload":
        parts[0]["properties"]["payload"] = payload
    else:
        excluded.append("fam_y")


def change_list(draw: Callable[..., Any], node: Json) -> None:
    if parts := node.get("prefixItems"):
        # JSON Schema knows no empty list of parts.
        parts.pop() if len(parts) > 1 and draw(st.booleans()) else node.pop("items", None)
    elif "items" in node:
        node["items"] = copy.deepcopy(draw(st.sampled_from(LEAVES)))


def annotate(draw: Callable[..., Any], node: Json) -> None:
    node["title"] = "Other"


EDITS: list[Callable[[Callable[..., Any], Json], None]] = [
    change_bound,
    change_pattern,
    change_fields,
    change_required,
    change_closed,
    change_sources,
    drop_parts,
    replace,
    toggle_null,
    change_variants,
    change_list,
    annotate,
]


@st.composite
def edited(draw: Callable[..., Any]) -> tuple[Spec, str]:
    """This project's spec after one or two changes in one of its files, and that file's $id."""
    path = draw(st.sampled_from([name for name in FILES if name.endswith(".schema.json")]))
    documents = {**FILES, path: copy.deepcopy(FILES[path])}
    for _ in range(draw(st.integers(1, 2))):
        edit = draw(st.sampled_from(EDITS))
        found = [n for top in documents[path]["$defs"].values() for n in nodes(top)]
        if fitting := [node for node in found if fits(edit, node)]:
            edit(draw, draw(st.sampled_from(fitting)))
    return spec_of(documents), documents[path]["$id"]


@cache
def roots_of(schema_id: str) -> list[str]:
    """The documents that a schema has a say in."""
    users = {schema_id}
    for _ in OLD.schemas:
        users |= {
            i for i, s in OLD.schemas.items() if any(f'"{u}#' in json.dumps(s) for u in users)
        }
    return sorted(users & set(ROOTS))


def fits(edit: Callable[..., None], node: Json) -> bool:
    """True if an edit makes sense at a node; others would mostly be no change."""
    is_object = "properties" in node or node.get("type") == "object"
    about_objects = (change_fields, change_required, change_closed, change_sources, drop_parts)
    if edit in about_objects:
        return is_object and "x-mmraw-tag" not in node
    if edit is change_pattern:
        return node.get("type") == "string"
    if edit is change_list:
        return node.get("type") == "array"
    if edit is change_variants:
        return "x-mmraw-tag" in node
    return edit is not change_bound or node.get("type") in ("string", "integer", "number", "array")


SAMPLES = [
    *("", "x", "image", "other", "abc", "run1", "run_x", "a.png", "raw_image", "fam_x", "qwen_vl"),
    *("kimi_k25", "prime_raw_mm_item", "c2f096345b0d84e6bd2ee38b815cc329", "0" * 16, "a" * 64),
    *("x" * 129, "a" * 200, "data:image/png;base64,iVBORw0KGgo=", "file:///x/a.png", "fam_y"),
]


@cache
def texts(pattern: str, least: int, most: int) -> st.SearchStrategy[str]:
    fitting = [t for t in SAMPLES if least <= len(t) <= most and re.search(pattern, t)]
    return st.sampled_from(fitting) if fitting else st.nothing()


def values(node: Any, within: Spec, depth: int = 0) -> st.SearchStrategy[Any]:
    """Documents that mostly fit a node; what does not fit is left out by the validator."""
    if not isinstance(node, dict) or depth > 12:
        return st.sampled_from(["x", 1, None])
    if "$ref" in node:
        head, _, fragment = node["$ref"].partition("#")
        target = within.schemas[head]["$defs"].get(fragment.removeprefix("/$defs/"))
        return values(target, within, depth + 1)
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "not" in node:
        return st.sampled_from(["other", "fam_x", "fam_y"])
    if "oneOf" in node and "x-mmraw-tag" not in node:
        return st.one_of([values(part, within, depth + 1) for part in node["oneOf"]])
    kind = node.get("type")
    if kind == "string":
        most = node.get("maxLength", 10**9)
        return texts(node.get("pattern", ""), node.get("minLength", 0), most)
    if kind == "integer":
        least = node.get("minimum", -3)
        return st.integers(least, max(least, node.get("maximum", least + 9)))
    if kind == "array":
        return arrays(node, within, depth)
    if kind == "object" or "properties" in node:
        return objects(node, within, depth)
    return {
        "number": st.sampled_from([0.5, 1.0, 2]),
        "null": st.none(),
        "boolean": st.booleans(),
    }.get(str(kind), st.sampled_from(["x", 1]))


def arrays(node: Json, within: Spec, depth: int) -> st.SearchStrategy[Any]:
    if "prefixItems" in node:
        parts = [values(part, within, depth + 1) for part in node["prefixItems"]]
        return st.tuples(*parts).map(list)
    least = min(node.get("minItems", 0), 3)
    return st.lists(values(node.get("items"), within, depth + 1), min_size=least, max_size=3)


def objects(node: Json, within: Spec, depth: int) -> st.SearchStrategy[Any]:
    fields = {n: values(c, within, depth + 1) for n, c in node.get("properties", {}).items()}
    needed = set(node.get("required", [])) & set(fields)
    extra = node.get("additionalProperties", True)
    if extra is not False:
        inner = values(extra, within, depth + 1)
        fields.setdefault("extra", inner)
        fields.setdefault("added", inner)
    for part in node.get("allOf", []):
        head, _, fragment = part["$ref"].partition("#")
        target = within.schemas[head]["$defs"].get(fragment.removeprefix("/$defs/"), {})
        if "x-mmraw-tag" in target and {"family", "payload"} <= set(fields):
            return by_family(target, fields, needed, within, depth)
    if {"family", "payload"} <= set(fields):
        # No part says what a family's payload is: just then its name must come up.
        fields["family"] = st.sampled_from(["qwen_vl", "kimi_k25", "other"])
    return dictionaries(fields, needed)


def dictionaries(fields: Json, needed: set[str]) -> st.SearchStrategy[Any]:
    required = {name: fields[name] for name in sorted(needed)}
    optional = {name: fields[name] for name in sorted(set(fields) - needed)}
    return st.fixed_dictionaries(required, optional=optional)


def by_family(
    target: Json, fields: Json, needed: set[str], within: Spec, depth: int
) -> st.SearchStrategy[Any]:
    choices: list[st.SearchStrategy[Any]] = []
    for part in target["oneOf"]:
        both = {n: values(c, within, depth + 1) for n, c in part.get("properties", {}).items()}
        choices.append(dictionaries({**fields, **both}, needed))
    return st.one_of(choices)


def validator(within: Spec, root: str) -> Any:
    registry = jsonschema_rs.Registry(list(within.schemas.items()))
    return jsonschema_rs.Draft202012Validator(within.schemas[root], registry=registry)


@settings(max_examples=200)
@given(st.data())
def test_documents_never_contradict_the_verdict(data: st.DataObject) -> None:
    new, schema_id = data.draw(edited())
    found = {change.breaks for change in compare_specs(OLD, new)}
    root = data.draw(st.sampled_from(roots_of(schema_id)))
    pair = (validator(OLD, root), validator(new, root))
    if not found & {"reader", "both"}:
        for document in data.draw(samples(OLD, root, pair[0])):
            assert pair[1].is_valid(document), "new readers refuse an old document"
    if not found & {"writer", "both"}:
        for document in data.draw(samples(new, root, pair[1])):
            assert pair[0].is_valid(document), "old readers refuse a new document"


def samples(within: Spec, root: str, fitting: Any) -> st.SearchStrategy[list[Any]]:
    """Documents of a root, valid by its own validator."""
    documents = values({"$ref": within.schemas[root]["$ref"]}, within)
    return st.lists(documents, min_size=1, max_size=6).map(
        lambda rows: list(filter(fitting.is_valid, rows))
    )
