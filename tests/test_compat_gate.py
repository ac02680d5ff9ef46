"""The gate against breaking changes: each rule by example, its verdicts by law."""

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.specdiff.gate import breaking, compare_specs
from mmraw_protocol.specdiff.released import GROWS, check_released, release
from mmraw_protocol.specdiff.rules import RULES
from mmraw_protocol.specdiff.sources import BUNDLED, Spec, read_spec, spec_of
from mmraw_protocol.wire.schemas import spec_folder

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
INT: Json = {"type": "integer", "minimum": 1, "maximum": 9}
ERROR = {"meaning": "m", "http_status": 400}
LIMIT = {"default": 10, "unit": "bytes", "description": "d"}


def closed(*required: str, **properties: Json) -> Json:
    """A closed object of the given fields."""
    node: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**node, "required": sorted(required)} if required else node


def spec(node: Json, others: Json | None = None, **tables: Json) -> Spec:
    """A spec of one document, defined by `node`."""
    schema = {"$id": "urn:a", "$ref": "#/$defs/A", "$defs": {"A": node, **(others or {})}}
    return spec_of(
        {
            "a.schema.json": schema,
            "errors.json": {"errors": tables.get("errors", {})},
            "limits.json": {"limits": tables.get("limits", {})},
        }
    )


def files(**schemas: Json) -> Spec:
    """A spec of several schema files, by the last part of their $id."""
    documents = {
        f"{name}.schema.json": {"$id": f"urn:{name}", **schema} for name, schema in schemas.items()
    }
    return spec_of({**documents, "errors.json": {"errors": {}}, "limits.json": {"limits": {}}})


def variants(**payloads: Json) -> Json:
    """Payloads by family, any other being an object of any fields."""
    listed = [
        {"properties": {"family": {"const": name}, "payload": payload}}
        for name, payload in payloads.items()
    ]
    other = {"not": {"enum": list(payloads)}}
    rest = {"properties": {"family": other, "payload": {"type": "object"}}}
    return {"oneOf": [*listed, rest], "x-mmraw-tag": "family"}


def sourced(*names: str) -> Json:
    return {**closed(a=TEXT, b=TEXT), "anyOf": [{"required": [name]} for name in names]}


ROOT: Json = {"$ref": "#/$defs/A", "$defs": {"A": TEXT}}
LIBRARY: Json = {"$defs": {"B": TEXT}}
DIALECT: Json = {**closed(), "x-mmraw-wire": {"dialect": "d", "prefix": "p", "write": True}}


def wired(**changes: Any) -> Json:
    return {**DIALECT, "x-mmraw-wire": {**DIALECT["x-mmraw-wire"], **changes}}


#: rule -> (old, new, every rule that is reported)
CASES: list[tuple[str, Spec, Spec]] = [
    ("schema-added", files(a=ROOT), files(a=ROOT, b=ROOT)),
    ("schema-removed", files(a=ROOT, b=ROOT), files(a=ROOT)),
    ("library-added", files(a=ROOT), files(a=ROOT, b=LIBRARY)),
    ("library-removed", files(a=ROOT, b=LIBRARY), files(a=ROOT)),
    ("definition-added", spec(TEXT), spec(TEXT, {"B": TEXT})),
    ("definition-removed", spec(TEXT, {"B": TEXT}), spec(TEXT)),
    ("documentation-changed", spec(TEXT), spec({**TEXT, "title": "T"})),
    ("field-added-optional", spec(closed()), spec(closed(a=TEXT))),
    ("field-added-required", spec(closed()), spec(closed("a", a=TEXT))),
    ("field-removed-optional", spec(closed(a=TEXT)), spec(closed())),
    ("field-removed-required", spec(closed("a", a=TEXT)), spec(closed())),
    ("field-became-required", spec(closed(a=TEXT)), spec(closed("a", a=TEXT))),
    ("field-became-optional", spec(closed("a", a=TEXT)), spec(closed(a=TEXT))),
    ("one-of-fields-tightened", spec(sourced("a", "b")), spec(sourced("a"))),
    ("one-of-fields-tightened", spec(closed(a=TEXT, b=TEXT)), spec(sourced("a"))),
    ("one-of-fields-loosened", spec(sourced("a")), spec(sourced("a", "b"))),
    ("one-of-fields-loosened", spec(sourced("a")), spec(closed(a=TEXT, b=TEXT))),
    ("object-closed", spec({"type": "object"}), spec(closed(a=TEXT))),
    ("object-opened", spec(closed(a=TEXT)), spec({"type": "object"})),
    (
        "object-kind-changed",
        spec(closed(a=TEXT)),
        spec({"type": "object", "additionalProperties": TEXT}),
    ),
    (
        "part-added",
        spec(closed(a=TEXT)),
        spec({**closed(a=TEXT), "allOf": [{"$ref": "#/$defs/A"}]}),
    ),
    (
        "part-removed",
        spec({**closed(a=TEXT), "allOf": [{"$ref": "#/$defs/A"}]}),
        spec(closed(a=TEXT)),
    ),
    ("type-changed", spec(TEXT), spec(INT)),
    ("type-widened", spec({"type": "integer"}), spec({"type": "number"})),
    ("type-narrowed", spec({"type": "number"}), spec({"type": "integer"})),
    ("null-allowed", spec(TEXT), spec({"oneOf": [TEXT, {"type": "null"}]})),
    ("null-forbidden", spec({"oneOf": [TEXT, {"type": "null"}]}), spec(TEXT)),
    ("const-changed", spec({"const": 1}), spec({"const": 2})),
    ("const-changed", spec({"const": 1}), spec({"const": True})),
    ("enum-value-added", spec({"const": "a"}), spec({"enum": ["a", "b"]})),
    ("enum-value-removed", spec({"enum": ["a", "b"]}), spec({"enum": ["b"]})),
    ("excluded-value-added", spec({"not": {"enum": ["a"]}}), spec({"not": {"enum": ["a", "b"]}})),
    ("excluded-value-removed", spec({"not": {"enum": ["a", "b"]}}), spec({"not": {"enum": ["a"]}})),
    ("pattern-added", spec(TEXT), spec({**TEXT, "pattern": "^a"})),
    ("pattern-removed", spec({**TEXT, "pattern": "^a"}), spec(TEXT)),
    ("pattern-changed", spec({**TEXT, "pattern": "^a"}), spec({**TEXT, "pattern": "^b"})),
    ("bound-tightened", spec(INT), spec({**INT, "minimum": 2})),
    ("bound-tightened", spec(TEXT), spec({**TEXT, "maxLength": 3})),
    ("bound-loosened", spec(INT), spec({**INT, "maximum": 10})),
    ("bound-loosened", spec({**TEXT, "minLength": 1}), spec(TEXT)),
    ("keyword-changed", spec(TEXT), spec({**TEXT, "format": "date"})),
    ("variant-added", spec(variants(x=closed())), spec(variants(x=closed(), y=closed(a=TEXT)))),
    ("variant-removed", spec(variants(x=closed(), y=closed(a=TEXT))), spec(variants(x=closed()))),
    ("variants-changed", spec(variants(x=closed())), spec({"oneOf": [], "x-mmraw-tag": "family"})),
    ("dialect-added", spec(TEXT), spec(TEXT, {"B": DIALECT})),
    ("dialect-removed", spec(TEXT, {"B": DIALECT}), spec(TEXT)),
    ("dialect-changed", spec(DIALECT), spec(wired(prefix="q"))),
    ("dialect-writing-changed", spec(DIALECT), spec(wired(write=False))),
    ("default-changed", spec({**INT, "default": 1}), spec({**INT, "default": 2})),
    ("fingerprint-changed", spec(closed()), spec({**closed(), "x-mmraw-fingerprint-order": ["a"]})),
    ("opaque-changed", spec({"type": "object"}), spec({"type": "object", "x-mmraw-opaque": True})),
    ("limit-name-changed", spec(TEXT), spec({**TEXT, "x-mmraw-limit": "name_chars"})),
    ("error-of-field-changed", spec(TEXT), spec({**TEXT, "x-mmraw-error": "invalid_run_id"})),
    ("attribute-changed", spec(TEXT), spec({**TEXT, "x-mmraw-field": "name"})),
    ("error-added", spec(TEXT), spec(TEXT, errors={"e": ERROR})),
    ("error-removed", spec(TEXT, errors={"e": ERROR}), spec(TEXT)),
    (
        "error-status-changed",
        spec(TEXT, errors={"e": ERROR}),
        spec(TEXT, errors={"e": {**ERROR, "http_status": 500}}),
    ),
    (
        "error-text-changed",
        spec(TEXT, errors={"e": ERROR}),
        spec(TEXT, errors={"e": {**ERROR, "meaning": "other"}}),
    ),
    ("limit-added", spec(TEXT), spec(TEXT, limits={"l": LIMIT})),
    ("limit-removed", spec(TEXT, limits={"l": LIMIT}), spec(TEXT)),
    (
        "limit-raised",
        spec(TEXT, limits={"l": LIMIT}),
        spec(TEXT, limits={"l": {**LIMIT, "default": 11}}),
    ),
    (
        "limit-lowered",
        spec(TEXT, limits={"l": LIMIT}),
        spec(TEXT, limits={"l": {**LIMIT, "default": 9}}),
    ),
    (
        "limit-unit-changed",
        spec(TEXT, limits={"l": LIMIT}),
        spec(TEXT, limits={"l": {**LIMIT, "unit": "values"}}),
    ),
]

#: What comes along with a rule and is listed beside it.
COMPANIONS = {
    "dialect-added": {"definition-added"},
    "dialect-removed": {"definition-removed"},
}


@pytest.mark.parametrize(("rule", "old", "new"), CASES)
def test_each_rule_by_example(rule: str, old: Spec, new: Spec) -> None:
    found = {change.rule for change in compare_specs(old, new)}
    assert found - COMPANIONS.get(rule, set()) == {rule}
    assert compare_specs(old, old) == compare_specs(new, new) == []


def test_every_rule_has_an_example_and_a_row_in_the_documentation() -> None:
    assert {rule for rule, _, _ in CASES} == set(RULES)
    text = (Path(__file__).parent.parent / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \|$", text, re.M)
    assert rows == [(rule.id, rule.breaks, rule.meaning) for rule in RULES.values()]


def test_places_are_ids_and_json_pointers() -> None:
    (change,) = compare_specs(spec(closed(a=INT)), spec(closed(a={**INT, "maximum": 3})))
    assert change.place == "urn:a#/$defs/A/properties/a/maximum"
    assert (change.rule, change.breaks, change.detail) == ("bound-tightened", "reader", "9 -> 3")


def test_moving_a_definition_changes_nothing_but_definitions() -> None:
    inline = spec(closed(a=INT))
    moved = spec(closed(a={"$ref": "#/$defs/B"}), {"B": INT})
    assert {change.breaks for change in compare_specs(inline, moved)} == {"none"}
    assert {change.breaks for change in compare_specs(moved, inline)} == {"none"}
    other = spec(closed(a={"$ref": "#/$defs/C"}), {"C": {**INT, "maximum": 3}})
    assert {change.breaks for change in compare_specs(moved, other)} == {"none", "reader"}


def test_a_variant_wider_than_any_object_is_no_mere_addition() -> None:
    old = spec(variants(x=closed()))
    new = spec(variants(x=closed(), y=TEXT))
    assert "both" in {change.breaks for change in compare_specs(old, new)}


def test_a_list_of_excluded_families_that_does_not_fit_is_seen() -> None:
    new = variants(x=closed(), y=closed())
    new["oneOf"][2]["properties"]["family"]["not"]["enum"] = ["x"]
    found = compare_specs(spec(variants(x=closed())), spec(new))
    assert [change.rule for change in found] == ["variants-changed"]


@pytest.mark.parametrize(
    ("strict", "fatal"),
    [
        ("none", set()),
        ("reader", {"reader", "both"}),
        ("writer", {"writer", "both"}),
        ("any", {"reader", "writer", "both"}),
    ],
)
def test_strictness_chooses_what_fails(strict: Any, fatal: set[str]) -> None:
    changes = [c for _, old, new in CASES for c in compare_specs(old, new)]
    assert {change.breaks for change in breaking(changes, strict)} == fatal


# Laws: documents never contradict the verdict


def schema_files() -> dict[str, Json]:
    folder = spec_folder()
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
        if path.name.endswith(".schema.json") or path.name in ("errors.json", "limits.json")
        if path.parent.name != "bundled"
    }


FILES = schema_files()
OLD = spec_of(copy.deepcopy(FILES))
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
REFS = sorted(f"{i}#/$defs/{n}" for i, s in OLD.schemas.items() for n in s["$defs"])
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
    if node.get("prefixItems"):
        node["prefixItems"].pop() if draw(st.booleans()) else node.pop("items", None)
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
    """Whether an edit makes sense at a node; others would mostly be no change."""
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


# The command


def test_the_command_compares_folders_and_git_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*args: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *args], cwd=tmp_path, check=True, capture_output=True)

    folder = tmp_path / "spec"
    write(folder, FILES)
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    documents = copy.deepcopy(FILES)
    documents["limits.json"]["limits"]["image_side"]["default"] *= 2
    write(folder, documents)
    monkeypatch.chdir(tmp_path)
    assert main(["compat", "HEAD", "spec", "--json"]) == 1
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert (change["rule"], change["breaks"]) == ("limit-raised", "writer")
    assert change["place"] == "limits.json#/limits/image_side/default"
    assert main(["compat", "HEAD", "spec", "--strict", "reader"]) == 0
    assert "limit-raised" in capsys.readouterr().out
    assert main(["compat", "spec", "HEAD", "--strict", "reader"]) == 1
    assert main(["compat", "HEAD", "HEAD"]) == 0
    assert main(["compat", "HEAD"]) == 0
    for wrong in ("no-such-revision", "--output=x", str(tmp_path)):
        assert main(["compat", "HEAD", "--", wrong]) == 1


def write(folder: Path, documents: dict[str, Json]) -> None:
    for name, document in documents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(document), encoding="utf-8")


def test_broken_specs_are_refused(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "limits.json").write_text("{")
    with pytest.raises(MMRawError) as caught:
        read_spec(str(tmp_path))
    assert caught.value.code == "invalid_json"
    (tmp_path / "limits.json").unlink()
    with pytest.raises(MMRawError) as caught:
        read_spec(str(tmp_path))
    assert caught.value.code == "invalid_value"


# Released files


def test_released_files_are_as_they_were() -> None:
    assert list(check_released()) == []


def test_bundles_follow_from_other_files_and_are_neither_compared_nor_frozen(
    tmp_path: Path,
) -> None:
    bundle = f"{BUNDLED}ref-v3.schema.json"
    write(tmp_path, {**FILES, bundle: FILES["ref/v3.schema.json"]})
    (tmp_path / "RELEASED.json").write_text('{"releases": []}')
    assert read_spec(str(tmp_path)) == OLD
    assert bundle not in release("1.0", tmp_path)


def test_a_released_file_may_not_change(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "RELEASED.json").write_text('{"releases": []}')
    listed = release("1.0", tmp_path)
    assert "ref/v3.schema.json" in listed
    assert GROWS not in listed
    assert len(listed) == sum(name.endswith(".schema.json") for name in FILES) - 1
    assert list(check_released(tmp_path)) == []
    file = tmp_path / "ref" / "v3.schema.json"
    file.write_text(file.read_text() + "\n")
    assert list(check_released(tmp_path)) == ["ref/v3.schema.json: released with 1.0 and changed"]
    with pytest.raises(ValueError, match="changed"):
        release("1.1", tmp_path)
    file.unlink()
    assert list(check_released(tmp_path)) == ["ref/v3.schema.json: released with 1.0 and missing"]
    write(tmp_path, FILES)
    assert list(check_released(tmp_path)) == []
    with pytest.raises(ValueError, match="released already"):
        release("1.0", tmp_path)
    (tmp_path / GROWS).write_text("{}")
    assert list(check_released(tmp_path)) == []
    assert release("1.1", tmp_path) == listed
