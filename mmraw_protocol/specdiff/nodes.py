"""Comparing two schema nodes of the subset that spec/ uses.

Every difference becomes a change. What cannot be compared in detail counts as breaking both ways:
the gate may report false positives, but no false negatives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from .rules import Change
from .sources import Json

#: (old node, new node) -> the nodes that they refer to; None where there is none.
Resolve = Callable[[Json, Json], "tuple[Json, Json] | None"]

_DOCUMENTATION = ("title", "description", "examples", "x-mmraw-hint", "x-mmraw-since")
_ANNOTATIONS = {
    "default": "default-changed",
    "x-mmraw-error": "error-of-field-changed",
    "x-mmraw-family": "fingerprint-changed",
    "x-mmraw-field": "attribute-changed",
    "x-mmraw-fingerprint-omits-default": "fingerprint-changed",
    "x-mmraw-fingerprint-order": "fingerprint-changed",
    "x-mmraw-limit": "limit-name-changed",
    "x-mmraw-opaque": "opaque-changed",
    "x-mmraw-tag": "variants-changed",
}
_LOWER = ("minLength", "minItems", "minimum")
_UPPER = ("maxLength", "maxItems", "maximum")
#: Keywords that each kind of node is compared by; any other that differs breaks both ways.
_COMPARED: dict[str, frozenset[str]] = {
    "$ref": frozenset({"$ref"}),
    "const": frozenset({"const", "type"}),
    "enum": frozenset({"enum", "type"}),
    "not": frozenset({"not"}),
    "nullable": frozenset({"oneOf"}),
    "variants": frozenset({"oneOf", "type"}),
    "string": frozenset({"type", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"type", "minimum", "maximum"}),
    "number": frozenset({"type", "minimum", "maximum"}),
    "boolean": frozenset({"type"}),
    "null": frozenset({"type"}),
    "list": frozenset({"type", "items", "minItems", "maxItems"}),
    "tuple": frozenset({"type", "items", "prefixItems", "minItems", "maxItems"}),
    "fields": frozenset(
        {"type", "properties", "required", "additionalProperties", "allOf", "anyOf"}
    ),
    "map": frozenset({"type", "additionalProperties"}),
    "any object": frozenset({"type"}),
}


def compare_nodes(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    """Every difference between two nodes."""
    if _differ(old, new, *_DOCUMENTATION):
        yield Change("documentation-changed", path)
    for keyword, rule in _ANNOTATIONS.items():
        if _differ(old, new, keyword):
            yield Change(rule, f"{path}/{keyword}", _sides(old.get(keyword), new.get(keyword)))
    yield from _wire(old.get("x-mmraw-wire"), new.get("x-mmraw-wire"), f"{path}/x-mmraw-wire")
    yield from _compare(old, new, path, resolve)


def _compare(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    before, after = kind_of(old), kind_of(new)
    if "$ref" in (before, after):
        yield from _refs(old, new, path, resolve)
        return
    if before != after:
        yield from _kinds(old, new, path, resolve)
        return
    known = _COMPARED.get(before, frozenset[str]())
    names = {n for n in (*old, *new) if n not in known and not _is_annotation(n)}
    for name in sorted(names):
        if _differ(old, new, name):
            yield Change("keyword-changed", f"{path}/{name}")
    compare = _BY_KIND.get(before)
    if compare is not None:
        yield from compare(old, new, path, resolve)
    yield from _bounds(old, new, path)


def kind_of(node: Json) -> str:
    """The form of the subset that a node has; "other" for a form that the gate does not know."""
    for keyword in ("$ref", "const", "enum"):
        if keyword in node:
            return keyword
    if "not" in node:
        return "not" if set(_rules(node)) == {"not"} and set(node["not"]) == {"enum"} else "other"
    if "oneOf" in node:
        return _kind_of_choice(node)
    kind = node.get("type")
    if kind == "array":
        return "tuple" if "prefixItems" in node else "list"
    if kind == "object":
        return _kind_of_object(node)
    return kind if kind in ("string", "integer", "number", "boolean", "null") else "other"


def _kind_of_choice(node: Json) -> str:
    parts = cast("list[Json]", node["oneOf"])
    rules = set(_rules(node))
    if "x-mmraw-tag" in node and rules <= {"oneOf", "type"}:
        return "variants"
    if rules != {"oneOf"}:
        return "other"
    nullable = len(parts) == 2 and parts[1] == {"type": "null"}
    # A value that is null itself would fit twice, and so never.
    return "nullable" if nullable and kind_of(parts[0]) in _NEVER_NULL else "other"


_NEVER_NULL = ("$ref", "string", "integer", "number", "boolean", "list", "tuple", "fields", "map")


def _kind_of_object(node: Json) -> str:
    rules = set(_rules(node)) - {"type"}
    extra = node.get("additionalProperties", True)
    if "properties" in node and extra is False:
        return "fields"
    if rules == {"additionalProperties"} and isinstance(extra, dict):
        return "map"
    return "any object" if not rules else "other"


def _rules(node: Json) -> Json:
    return {name: value for name, value in node.items() if not _is_annotation(name)}


def _is_annotation(name: str) -> bool:
    return name in _DOCUMENTATION or name in _ANNOTATIONS or name == "x-mmraw-wire"


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    # As text, since 1, 1.0 and true are equal values.
    return left is right or json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _differ(old: Json, new: Json, *names: str) -> bool:
    found = [name for name in names if name in old or name in new]
    return any((n in old) != (n in new) or not _same(old[n], new[n]) for n in found)


def _sides(old: Any, new: Any) -> str:
    texts = ["absent" if value is None else json.dumps(value)[:80] for value in (old, new)]
    return " -> ".join(texts)


def _wire(old: Any, new: Any, path: str) -> Iterator[Change]:
    if old is None and new is None:
        return
    before, after = cast(Json, old or {}), cast(Json, new or {})
    for name in sorted({*before, *after}):
        if _differ(before, after, name):
            rule = "dialect-writing-changed" if name == "write" else "dialect-changed"
            yield Change(rule, f"{path}/{name}", _sides(before.get(name), after.get(name)))


def _refs(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    if old.get("$ref") == new.get("$ref"):
        if not _same(_rules(old), _rules(new)):
            yield Change("keyword-changed", path)
        # The definition itself is compared under its own name.
        return
    pair = resolve(old, new)
    if pair is None or any("$ref" in node and set(_rules(node)) != {"$ref"} for node in (old, new)):
        yield Change("type-changed", f"{path}/$ref", _sides(old.get("$ref"), new.get("$ref")))
        return
    yield from compare_nodes(*pair, path, resolve)


def _kinds(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    """Nodes of different kinds: only what surely holds the other counts for less than both."""
    pair = kind_of(old), kind_of(new)
    rule = {
        ("integer", "number"): "type-widened",
        ("number", "integer"): "type-narrowed",
        ("any object", "fields"): "object-closed",
        ("any object", "map"): "object-closed",
        ("fields", "any object"): "object-opened",
        ("map", "any object"): "object-opened",
    }.get(pair)
    if rule is not None:
        yield Change(rule, path)
        yield from _bounds(old, new, path)
    elif pair[1] == "nullable" and pair[0] in _NEVER_NULL:
        yield Change("null-allowed", path)
        yield from compare_nodes(old, new["oneOf"][0], f"{path}/oneOf/0", resolve)
    elif pair[0] == "nullable" and pair[1] in _NEVER_NULL:
        yield Change("null-forbidden", path)
        yield from compare_nodes(old["oneOf"][0], new, path, resolve)
    elif set(pair) == {"const", "enum"}:
        yield from _values(_listed(old), _listed(new), path, "enum")
    else:
        objects = {"any object", "fields", "map"} >= set(pair)
        yield Change("object-kind-changed" if objects else "type-changed", path, " -> ".join(pair))


def _listed(node: Json) -> list[Any]:
    return [node["const"]] if "const" in node else node["enum"]


def _values(old: list[Any], new: list[Any], path: str, word: str) -> Iterator[Change]:
    before, after = [[json.dumps(v, sort_keys=True) for v in side] for side in (old, new)]
    yield from (Change(f"{word}-value-added", path, v) for v in after if v not in before)
    yield from (Change(f"{word}-value-removed", path, v) for v in before if v not in after)


def _bounds(old: Json, new: Json, path: str) -> Iterator[Change]:
    for name in (*_LOWER, *_UPPER):
        before, after = old.get(name), new.get(name)
        if name in ("minLength", "minItems"):
            before, after = before or 0, after or 0
        if _same(before, after):
            continue
        upper = name in _UPPER
        # Without a bound everything passes, whichever end it is.
        tighter = before is None or (after is not None and (after < before) == upper)
        rule = "bound-tightened" if tighter else "bound-loosened"
        yield Change(rule, f"{path}/{name}", _sides(before, after))


def _const(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    if _differ(old, new, "const"):
        yield Change("const-changed", f"{path}/const", _sides(old["const"], new["const"]))
    yield from _types(old, new, path)


def _types(old: Json, new: Json, path: str) -> Iterator[Change]:
    if _differ(old, new, "type"):
        yield Change("type-changed", f"{path}/type", _sides(old.get("type"), new.get("type")))


def _enum(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    yield from _values(old["enum"], new["enum"], f"{path}/enum", "enum")
    yield from _types(old, new, path)


def _not(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    yield from _values(old["not"]["enum"], new["not"]["enum"], f"{path}/not/enum", "excluded")


def _nullable(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    yield from compare_nodes(old["oneOf"][0], new["oneOf"][0], f"{path}/oneOf/0", resolve)


def _string(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    if _differ(old, new, "pattern"):
        kinds = {(False, True): "pattern-added", (True, False): "pattern-removed"}
        rule = kinds.get(("pattern" in old, "pattern" in new), "pattern-changed")
        yield Change(rule, f"{path}/pattern", _sides(old.get("pattern"), new.get("pattern")))


def _list(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    pair = [side.get("items") for side in (old, new)]
    if all(isinstance(item, dict) for item in pair):
        yield from compare_nodes(pair[0], pair[1], f"{path}/items", resolve)  # type: ignore[arg-type]
    elif not _same(*pair):
        yield Change("keyword-changed", f"{path}/items")


def _tuple(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    before = cast("list[Json]", old["prefixItems"])
    after = cast("list[Json]", new["prefixItems"])
    if len(before) != len(after) or _differ(old, new, "items"):
        yield Change("keyword-changed", f"{path}/prefixItems", f"{len(before)} -> {len(after)}")
        return
    for index, (left, right) in enumerate(zip(before, after, strict=True)):
        yield from compare_nodes(left, right, f"{path}/prefixItems/{index}", resolve)


def _map(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    name = "additionalProperties"
    yield from compare_nodes(old[name], new[name], f"{path}/{name}", resolve)


def _fields(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    before, after = cast(Json, old["properties"]), cast(Json, new["properties"])
    required, needed = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted({*before, *after, *required, *needed}):
        spot = f"{path}/properties/{escape(name)}"
        if name not in before and name not in after:
            # Asked for and never allowed: only where the list is wrong.
            if (name in required) != (name in needed):
                yield Change("keyword-changed", f"{path}/required", name)
        elif name not in before:
            kind = "required" if name in needed else "optional"
            yield Change(f"field-added-{kind}", spot)
        elif name not in after:
            kind = "required" if name in required else "optional"
            yield Change(f"field-removed-{kind}", spot)
        else:
            if name in needed and name not in required:
                yield Change("field-became-required", spot)
            if name in required and name not in needed:
                yield Change("field-became-optional", spot)
            yield from compare_nodes(before[name], after[name], spot, resolve)
    yield from _parts(old.get("allOf", []), new.get("allOf", []), f"{path}/allOf")
    yield from _one_of_fields(old.get("anyOf"), new.get("anyOf"), f"{path}/anyOf")


def _parts(old: list[Json], new: list[Json], path: str) -> Iterator[Change]:
    before, after = [[json.dumps(p, sort_keys=True) for p in side] for side in (old, new)]
    yield from (Change("part-added", path, part) for part in after if part not in before)
    yield from (Change("part-removed", path, part) for part in before if part not in after)


def _one_of_fields(old: list[Json] | None, new: list[Json] | None, path: str) -> Iterator[Change]:
    if old is None and new is None:
        return
    # No anyOf is the weakest: everything satisfies it.
    before, after = [
        None if side is None else {json.dumps(part, sort_keys=True) for part in side}
        for side in (old, new)
    ]
    if before is not None and (after is None or after - before):
        yield Change("one-of-fields-loosened", path)
    if after is not None and (before is None or before - after):
        yield Change("one-of-fields-tightened", path)


def _variants(old: Json, new: Json, path: str, resolve: Resolve) -> Iterator[Change]:
    """Families by their constant; the rest is what no constant names."""
    yield from _types(old, new, path)
    before, after = _by_family(old), _by_family(new)
    if before is None or after is None:
        if not _same(old["oneOf"], new["oneOf"]):
            yield Change("variants-changed", f"{path}/oneOf")
        return
    for family in sorted({*before, *after}):
        spot = f"{path}/oneOf/{family or 'other'}"
        left, right = before.get(family, before[""]), after.get(family, after[""])
        found = list(compare_nodes(left, right, f"{spot}/payload", resolve))
        if family in before and family in after:
            yield from found
            continue
        added = family in after
        yield Change("variant-added" if added else "variant-removed", spot)
        allowed = ("none", "reader" if added else "writer")
        yield from (change for change in found if change.breaks not in allowed)


def _by_family(node: Json) -> dict[str, Json] | None:
    """Payloads by family, "" being any other; None where the variants are of another form."""
    found: dict[str, Json] = {}
    excluded: list[Any] | None = None
    for part in cast("list[Json]", node["oneOf"]):
        fields = cast(Json, part.get("properties", {}))
        if set(part) != {"properties"} or set(fields) != {"family", "payload"}:
            return None
        family = _rules(fields["family"])
        if set(family) == {"const"} and isinstance(family["const"], str) and family["const"]:
            name = family["const"]
        elif set(family) == {"not"} and set(family["not"]) == {"enum"} and excluded is None:
            name, excluded = "", family["not"]["enum"]
        else:
            return None
        if name in found:
            return None
        found[name] = fields["payload"]
    if excluded is None or sorted(map(str, excluded)) != sorted(n for n in found if n):
        return None
    return found


def escape(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


_BY_KIND: dict[str, Callable[[Json, Json, str, Resolve], Iterator[Change]]] = {
    "const": _const,
    "enum": _enum,
    "not": _not,
    "nullable": _nullable,
    "string": _string,
    "list": _list,
    "tuple": _tuple,
    "map": _map,
    "fields": _fields,
    "variants": _variants,
}
