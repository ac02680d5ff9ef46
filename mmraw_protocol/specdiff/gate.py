"""Every change between two versions of spec/, and whom it breaks.

The verdict is about documents, not about prose: README.md and the vectors are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

from .nodes import Resolve, compare_nodes, escape
from .rules import Change
from .sources import Json, Spec

#: Kinds of breaks that fail a check.
Strictness = Literal["none", "reader", "writer", "any"]
_FATAL: dict[Strictness, tuple[str, ...]] = {
    "none": (),
    "reader": ("reader", "both"),
    "writer": ("writer", "both"),
    "any": ("reader", "writer", "both"),
}


def compare_specs(old: Spec, new: Spec) -> list[Change]:
    """Every change from `old` to `new`, sorted by path."""
    changes = [
        *_schemas(old, new),
        *_errors(old.errors, new.errors),
        *_limits(old.limits, new.limits),
        *_modalities(old.modalities, new.modalities),
    ]
    return sorted(set(changes), key=lambda change: (change.path, change.rule, change.detail))


def breaking(changes: Iterable[Change], strict: Strictness) -> list[Change]:
    """The changes that fail a check of this strictness."""
    return [change for change in changes if change.breaks in _FATAL[strict]]


def _schemas(old: Spec, new: Spec) -> Iterator[Change]:
    resolve = _resolver(old, new)
    for schema_id in sorted({*old.schemas, *new.schemas}):
        before, after = old.schemas.get(schema_id), new.schemas.get(schema_id)
        if before is not None and after is not None:
            yield from _schema(schema_id, before, after, resolve)
        elif after is not None:
            yield Change("schema-added" if _root(after) else "library-added", schema_id)
            yield from _dialects(schema_id, {}, after)
        elif before is not None:
            yield Change("schema-removed" if _root(before) else "library-removed", schema_id)
            yield from _dialects(schema_id, before, {})


def _schema(schema_id: str, old: Json, new: Json, resolve: Resolve) -> Iterator[Change]:
    before, after = (cast(Json, side.get("$defs", {})) for side in (old, new))
    for name in sorted({*before, *after}):
        path = f"{schema_id}#/$defs/{escape(name)}"
        if name not in before:
            yield Change("definition-added", path)
        elif name not in after:
            yield Change("definition-removed", path)
        else:
            yield from compare_nodes(before[name], after[name], path, resolve)
    yield from _dialects(schema_id, old, new)
    roots = [_root(side) for side in (old, new)]
    if bool(roots[0]) != bool(roots[1]):
        yield Change("schema-added" if roots[1] else "schema-removed", f"{schema_id}#")
    elif roots[0]:
        yield from compare_nodes(roots[0], roots[1], f"{schema_id}#", resolve)


#: Keywords of a schema file that say nothing about documents.
_ROOT = frozenset({"$schema", "$id", "$comment", "$defs", "title", "description"})


def _root(schema: Json) -> Json:
    """Returns a schema file's rules for whole documents; empty if others only refer to the file."""
    return {name: value for name, value in schema.items() if name not in _ROOT}


def _dialects(schema_id: str, old: Json, new: Json) -> Iterator[Change]:
    """Dialects whose definition came or went."""
    before, after = (cast(Json, side.get("$defs", {})) for side in (old, new))
    for name in sorted({*before, *after}):
        path = f"{schema_id}#/$defs/{escape(name)}/x-mmraw-wire"
        if name not in before and "x-mmraw-wire" in after[name]:
            yield Change("dialect-added", path)
        if name not in after and "x-mmraw-wire" in before[name]:
            yield Change("dialect-removed", path)


def _resolver(old: Spec, new: Spec) -> Resolve:
    def resolve(left: Json, right: Json) -> tuple[Json, Json] | None:
        pair = _follow(old, left), _follow(new, right)
        return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])

    return resolve


def _follow(spec: Spec, node: Json) -> Json | None:
    seen: set[str] = set()
    while "$ref" in node:
        ref = str(node["$ref"])
        head, _, fragment = ref.partition("#")
        target: Any = spec.schemas.get(head, {})
        if fragment:
            target = target.get("$defs", {}).get(fragment.removeprefix("/$defs/"))
        if ref in seen or not isinstance(target, dict):
            return None
        seen.add(ref)
        node = cast(Json, target)
    return node


def _errors(old: Json, new: Json) -> Iterator[Change]:
    for code in sorted({*old, *new}):
        path = f"errors.json#/errors/{code}"
        if code not in old:
            yield Change("error-added", path)
        elif code not in new:
            yield Change("error-removed", path)
        else:
            before, after = cast(Json, old[code]), cast(Json, new[code])
            statuses = before.get("http_status"), after.get("http_status")
            if statuses[0] != statuses[1]:
                detail = f"{statuses[0]} -> {statuses[1]}"
                yield Change("error-status-changed", f"{path}/http_status", detail)
            if {**before, "http_status": 0} != {**after, "http_status": 0}:
                yield Change("error-text-changed", path)


def _limits(old: Json, new: Json) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        path = f"limits.json#/limits/{name}"
        if name not in old:
            yield Change("limit-added", path)
        elif name not in new:
            yield Change("limit-removed", path)
        else:
            yield from _limit(cast(Json, old[name]), cast(Json, new[name]), path)


def _limit(old: Json, new: Json, path: str) -> Iterator[Change]:
    before, after = old["default"], new["default"]
    if before != after:
        rule = "limit-raised" if after > before else "limit-lowered"
        yield Change(rule, f"{path}/default", f"{before} -> {after}")
    if old.get("unit") != new.get("unit"):
        yield Change("limit-unit-changed", f"{path}/unit")
    if old.get("description") != new.get("description"):
        yield Change("documentation-changed", f"{path}/description")


def _modalities(old: Json, new: Json) -> Iterator[Change]:
    before, after = (cast(Json, side.get("unsupported", {})) for side in (old, new))
    for name in sorted({*before, *after}):
        path = f"modalities.json#/unsupported/{name}"
        if name not in before:
            yield Change("modality-refused", path)
        elif name not in after:
            yield Change("modality-carried", path)
        elif {**before[name], "remedy": ""} != {**after[name], "remedy": ""}:
            yield Change("modality-changed", path)
    # A spec without the table refuses nothing by it.
    media = [side.get("media_parts") for side in (old, new)]
    if None not in media and media[0] != media[1]:
        yield Change("modality-changed", "modalities.json#/media_parts")
