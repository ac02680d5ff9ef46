"""Each schema of spec/ is an instance of the meta-schema, which describes every annotation."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from codegen.annotations import EXTENSIONS, META, faults
from mmraw_protocol.wire.schemas import spec_folder

SPEC = spec_folder()
FILES = sorted(
    path.relative_to(SPEC).as_posix()
    for path in [*SPEC.rglob("*.schema.json"), *(SPEC / "messages").iterdir()]
)


def document(name: str) -> Any:
    return json.loads((SPEC / name).read_text(encoding="utf-8"))


def keys_of(node: Any) -> Iterator[str]:
    """Every key of every object, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from keys_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys_of(value)


@pytest.mark.parametrize("name", FILES)
def test_every_schema_is_an_instance_of_the_meta_schema(name: str) -> None:
    assert list(faults(document(name))) == []


def test_every_annotation_is_used_and_described() -> None:
    used = {key for name in FILES for key in keys_of(document(name)) if key.startswith("x-")}
    assert used == EXTENSIONS
    described = document("meta/annotations.json")["properties"]
    assert all(keyword["description"] for keyword in described.values())


@pytest.mark.parametrize("name", ["annotations.json", "schema.json"])
def test_the_meta_schema_is_a_schema_itself(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((META / name).read_bytes()))


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ({"x-mmraw-hint": 3}, "#/$defs/A/x-mmraw-hint: "),
        ({"x-mmraw-hnt": "a text"}, "#/$defs/A: "),
        ({"x-mmrw-hint": "a text"}, "#/$defs/A: "),
        ({"properties": {"a": {"x-mmraw-since": "1"}}}, "#/$defs/A/properties/a/x-mmraw-since: "),
        ({"x-mmraw-wire": {"dialect": "v9"}}, "#/$defs/A/x-mmraw-wire: "),
        ({"type": "text"}, "#/$defs/A/type: "),
    ],
    ids=[
        "value",
        "misspelt name",
        "misspelt prefix",
        "deeper",
        "part of a value",
        "JSON Schema's own",
    ],
)
def test_a_wrong_annotation_is_seen_with_its_place(node: Any, place: str) -> None:
    found = list(faults({"$defs": {"A": node}}))
    assert found
    assert all(fault.startswith(place) for fault in found)
