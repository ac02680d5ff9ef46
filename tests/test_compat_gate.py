"""The gate against breaking changes: each rule by example, its verdicts by law."""

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from spec_copies import FILES, OLD, Json

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.specdiff import released
from mmraw_protocol.specdiff.gate import breaking, compare_specs
from mmraw_protocol.specdiff.released import GROWS, check_released, release
from mmraw_protocol.specdiff.rules import RULES
from mmraw_protocol.specdiff.sources import BUNDLED, Spec, is_schema, read_spec, spec_of

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
            "modalities.json": {"unsupported": tables.get("modalities", {})},
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
    ("type-changed", spec(variants()), spec({**variants(), "type": "object"})),
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
    ("modality-refused", spec(TEXT), spec(TEXT, modalities={"m": {"parts": []}})),
    ("modality-carried", spec(TEXT, modalities={"m": {"parts": []}}), spec(TEXT)),
    (
        "modality-changed",
        spec(TEXT, modalities={"m": {"parts": []}}),
        spec(TEXT, modalities={"m": {"parts": ["a"]}}),
    ),
]

#: Changes that come along with a rule and are listed beside it.
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
    assert change.path == "urn:a#/$defs/A/properties/a/maximum"
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


def test_a_message_that_changes_breaks_both_ways(tmp_path: Path) -> None:
    documents = copy.deepcopy(FILES)
    documents["messages/error-body-v1.json"]["properties"]["error"]["required"] = ["message"]
    write(tmp_path, documents)
    (change,) = compare_specs(OLD, read_spec(str(tmp_path)))
    assert (change.rule, change.breaks) == ("keyword-changed", "both")
    assert change.path == "urn:mmraw:message:error-body:v1#/properties"


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
    assert change["path"] == "limits.json#/limits/image_side/default"
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


def test_a_version_is_released_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, FILES)
    (tmp_path / "RELEASED.json").write_text('{"releases": []}')
    monkeypatch.setattr(released, "spec_folder", lambda: tmp_path)
    assert [released.main(["--release", "1.0"]) for _ in range(2)] == [0, 1]
    assert capsys.readouterr().err == "1.0 is released already\n"


def test_a_released_file_may_not_change(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "RELEASED.json").write_text('{"releases": []}')
    listed = release("1.0", tmp_path)
    assert "ref/v3.schema.json" in listed
    assert GROWS not in listed
    assert "messages/error-body-v1.json" in listed
    assert len(listed) == sum(is_schema(name) for name in FILES) - 1
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
