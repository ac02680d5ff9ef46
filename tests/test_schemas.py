"""The generated checks, jsonschema and jsonschema-rs must say the same of every document.

Intended differences, each removed from the comparison by name below:
- rules that no schema says: the number of patches of a grid, the bytes of an inline image, the
  size of an opaque payload, a label that names another image than raw_image_id;
- `pattern` with `$`: Python's jsonschema lets a trailing newline pass, the checks do not;
- 1.0 is an integer for JSON Schema and a float here.
"""

import copy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from codegen.python_text import snake
from mmraw_protocol import DEFAULT_LIMITS, MMRawError
from mmraw_protocol.testing import documents, json_values
from mmraw_protocol.wire._generated import checks
from mmraw_protocol.wire._generated.dialects import DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.check import Check
from mmraw_protocol.wire.schemas import schemas

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


def python_says(name: str, value: Any) -> bool:
    """jsonschema's verdict."""
    schema = DOCUMENTS[OBJECTS[name]]
    return Draft202012Validator(schema, registry=REGISTRY).is_valid(value)


def rust_says(name: str, value: Any) -> bool:
    """jsonschema-rs's verdict."""
    schema = DOCUMENTS[OBJECTS[name]]
    return jsonschema_rs.Draft202012Validator(schema, registry=RUST_REGISTRY).is_valid(value)


def check_says(name: str, value: Any) -> bool:
    """The verdict of the generated check."""
    check: Check = getattr(checks, f"check_{snake(name)}")
    try:
        check(value, "$", DEFAULT_LIMITS)
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


values = json_values().filter(
    lambda value: (
        not (isinstance(value, float) and value.is_integer())
        and not (isinstance(value, str) and value.endswith("\n"))
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
