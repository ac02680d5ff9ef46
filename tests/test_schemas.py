"""The generated checks, jsonschema and jsonschema-rs must say the same of every document.

Intended differences, each removed from the comparison below:
- rules that no schema says: the number of patches of a grid, the bytes of an inline image, the
  size of an opaque payload, a label that names another image than raw_image_id;
- `pattern` with `$`: Python's jsonschema lets a trailing newline pass, the checks do not;
- 1.0 is an integer for JSON Schema and a float here.

A bundle, which a validator uses alone, must say what the schemas say together.
"""

import copy
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from codegen.python_text import snake
from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.testing import documents, json_values
from mmraw_protocol.wire._generated import checks
from mmraw_protocol.wire._generated.dialects import DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire._generated.schemas import BUNDLES
from mmraw_protocol.wire.check import Check
from mmraw_protocol.wire.schemas import bundles, schemas, spec_folder

DOCUMENTS = schemas()
REGISTRY: Any = Registry().with_resources(
    [(schema_id, Resource.from_contents(document)) for schema_id, document in DOCUMENTS.items()]
)
RUST_REGISTRY = jsonschema_rs.Registry(list(DOCUMENTS.items()))

#: definition -> its schema
OBJECTS: dict[str, str] = {
    item.schema: f"urn:mmraw:ref:{name}" for name, item in DIALECTS.items()
} | {item.schema: f"urn:mmraw:item:{name}" for name, item in ITEMS.items()}
for _family, _info in FAMILIES.items():
    OBJECTS[_info.payload.__name__] = f"urn:mmraw:payload:{_family}"
    OBJECTS[_info.layout.__name__] = f"urn:mmraw:layout:{_family}"
OBJECTS["Features"] = "urn:mmraw:features:v1"
OBJECTS["ContentParts"] = "urn:mmraw:content-parts:v1"
OBJECTS["MmRefs"] = "urn:mmraw:mm-refs:v1"
OBJECTS["MmRefsArray"] = "urn:mmraw:mm-refs-array:v1"
OBJECTS["Placeholders"] = "urn:mmraw:placeholders:v1"


# A validator is made once for each schema: making one takes longer than asking it.


@functools.cache
def python_validator(name: str) -> Any:
    return Draft202012Validator(DOCUMENTS[OBJECTS[name]], registry=REGISTRY)


@functools.cache
def rust_validator(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(DOCUMENTS[OBJECTS[name]], registry=RUST_REGISTRY)


@functools.cache
def bundle_validators(name: str) -> tuple[Any, Any]:
    """Both, of a bundle alone."""
    bundle = bundles()[bundle_of(name)]
    return Draft202012Validator(bundle), jsonschema_rs.Draft202012Validator(bundle)


def python_says(name: str, value: Any) -> bool:
    """jsonschema's verdict."""
    return python_validator(name).is_valid(value)


def rust_says(name: str, value: Any) -> bool:
    """jsonschema-rs's verdict."""
    return rust_validator(name).is_valid(value)


#: No schema says how many patches a grid may have in all.
LIMITS = Limits(grid_patches=2**60)


def check_says(name: str, value: Any) -> bool:
    """The verdict of the generated check."""
    check: Check = getattr(checks, f"check_{snake(name)}")
    try:
        check(value, "$", LIMITS)
    except MMRawError:
        return False
    return True


def agree(name: str, value: Any) -> bool:
    """The one verdict of all three."""
    verdicts = (python_says(name, value), rust_says(name, value), check_says(name, value))
    assert len(set(verdicts)) == 1, (name, verdicts, value)
    return verdicts[0]


@pytest.mark.parametrize("name", OBJECTS)
@given(data=st.data())
def test_generated_documents_are_valid_for_all_three(name: str, data: st.DataObject) -> None:
    assert agree(name, data.draw(documents(name)))


def mutated(value: Any, data: st.DataObject) -> Any:
    """A copy with one place changed, and what no comparison is meant for left out."""
    changed = copy.deepcopy(value)
    place = changed
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        kind = data.draw(st.sampled_from(["change", "drop", "add", "descend"]))
        if kind == "add" and isinstance(place, dict):
            place["extra"] = data.draw(values)
            return changed
        if not keys:
            return changed
        key = data.draw(st.sampled_from(keys))
        if kind == "descend" and isinstance(place[key], (dict, list)) and place[key]:
            place = place[key]
            continue
        if kind == "drop":
            del place[key]
        else:
            place[key] = data.draw(values)
        return changed


#: Sides of grids that the raised limit admits, and the schemas, with its default, do not.
RAISED = range(Limits().grid_patches + 1, 2**53)

values = json_values().filter(
    lambda value: (
        not (isinstance(value, float) and value.is_integer())
        and not (isinstance(value, str) and value.endswith("\n"))
        and not (type(value) is int and value in RAISED)
    )
)


@pytest.mark.parametrize("name", OBJECTS)
@given(data=st.data())
def test_mutated_documents_get_the_same_verdict_from_all_three(
    name: str, data: st.DataObject
) -> None:
    agree(name, mutated(data.draw(documents(name)), data))


@pytest.mark.parametrize("schema_id", DOCUMENTS)
def test_every_schema_is_valid_closed_and_named(schema_id: str) -> None:
    document = DOCUMENTS[schema_id]
    Draft202012Validator.check_schema(document)
    assert schema_id.startswith("urn:mmraw:")
    for name, definition in document["$defs"].items():
        assert definition["title"], name
        assert definition["description"], name
        for example in definition.get("examples", []):
            schema = {"$ref": f"{schema_id}#/$defs/{name}"}
            assert Draft202012Validator(schema, registry=REGISTRY).is_valid(example), name


def test_a_payload_of_another_family_cannot_be_decoded() -> None:
    value = DOCUMENTS["urn:mmraw:ref:v3"]["$defs"]["RefV3"]["examples"][0]
    swapped = {**value, "payload": {"grid_thws": [[1, 2, 2]]}}
    assert agree("RefV3", value)
    assert not agree("RefV3", swapped)


def bundle_of(name: str) -> str:
    """The name of the bundle of a definition's schema."""
    return OBJECTS[name].removeprefix("urn:mmraw:").replace(":", "-")


def test_every_schema_of_whole_documents_has_a_bundle() -> None:
    assert set(BUNDLES) == {bundle_of(name) for name in OBJECTS}
    found = {path.relative_to(spec_folder()) for path in (spec_folder() / "bundled").iterdir()}
    assert found == {Path(path) for path in BUNDLES.values()}


def values_of(node: Any, wanted: str) -> Iterator[Any]:
    """Every value under a key, at any depth."""
    if isinstance(node, dict):
        for key, item in node.items():
            if key == wanted:
                yield item
            yield from values_of(item, wanted)
    elif isinstance(node, list):
        for item in node:
            yield from values_of(item, wanted)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_bundle_stands_alone_under_a_name_of_its_own(name: str) -> None:
    bundle = bundles()[bundle_of(name)]
    Draft202012Validator.check_schema(bundle)
    assert bundle["$id"] == OBJECTS[name].replace("urn:mmraw:", "urn:mmraw:bundled:")
    assert "do not edit" in bundle["$comment"]
    refs = set(values_of(bundle, "$ref"))
    assert refs == {f"#/$defs/{defined}" for defined in bundle["$defs"]}
    assert "x-mmraw-" not in json.dumps(bundle)


@pytest.mark.parametrize("name", OBJECTS)
@given(data=st.data())
def test_a_bundle_alone_gives_the_verdict_of_the_schemas(name: str, data: st.DataObject) -> None:
    document = data.draw(documents(name))
    for value in (document, mutated(document, data)):
        wanted = python_says(name, value)
        for validator in bundle_validators(name):
            assert validator.is_valid(value) is wanted, value


def drawn(name: str) -> list[Any]:
    """Documents and mutations, for a tool that takes too long to start for each of them."""
    found: list[Any] = []

    @settings(max_examples=60, phases=[Phase.generate], database=None)
    @given(data=st.data())
    def collect(data: st.DataObject) -> None:
        document = data.draw(documents(name))
        found.extend([document, mutated(document, data)])

    collect()
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_check_jsonschema_gives_the_verdict_of_the_schemas(name: str, tmp_path: Path) -> None:
    verdicts: dict[str, bool] = {}
    for index, value in enumerate(drawn(name)):
        file = tmp_path / f"{index}.json"
        file.write_text(json.dumps(value), encoding="utf-8")
        verdicts[str(file)] = python_says(name, value)
    assert set(verdicts.values()) == {True, False}
    schema = spec_folder() / BUNDLES[bundle_of(name)]
    command = [Path(sys.executable).with_name("check-jsonschema"), "--output-format", "json"]
    done = subprocess.run(
        [*command, "--schemafile", schema, *verdicts], capture_output=True, text=True
    )
    report = json.loads(done.stdout)
    assert not report["parse_errors"]
    rejected = {error["filename"] for error in report["errors"]}
    assert rejected == {file for file, is_valid in verdicts.items() if not is_valid}
