"""msgspec, jsonschema and jsonschema-rs must say the same of every document.

Intended differences, each removed from the comparison by name below:
- rules that no schema says (merge raster, patch count, base64, labels, the hash in a name) are
  checked by code and not by the structs;
- `pattern` with `$`: Python's jsonschema lets a trailing newline pass, msgspec's `\\Z` does not;
- 1.0 is an integer for JSON Schema and a float here;
- names beyond their length, patches beyond their number: the schemas say the default limit, the
  structs leave it to `Limits`.
"""

import copy
import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from mmraw_protocol import DEFAULT_LIMITS
from mmraw_protocol.testing import documents, json_values
from mmraw_protocol.wire._generated import types
from mmraw_protocol.wire.schemas import schemas

DOCUMENTS = schemas()
REGISTRY: Any = Registry().with_resources(
    [(schema_id, Resource.from_contents(document)) for schema_id, document in DOCUMENTS.items()]
)
RUST_REGISTRY = jsonschema_rs.Registry(list(DOCUMENTS.items()))

#: definition -> (schema, struct for listed families, struct for others)
OBJECTS: dict[str, tuple[str, Any, Any]] = {
    "RefV3": ("urn:mmraw:ref:v3", types.RefV3, types.RefV3Opaque),
    "RefV2": ("urn:mmraw:ref:v2", types.RefV2, types.RefV2Opaque),
    "RefV1": ("urn:mmraw:ref:v1", types.RefV1, None),
    "ItemV1": ("urn:mmraw:item:v1", types.ItemV1, types.ItemV1Opaque),
    "QwenVlPayload": ("urn:mmraw:payload:qwen_vl", types.QwenVlPayload, None),
    "KimiK25Payload": ("urn:mmraw:payload:kimi_k25", types.KimiK25Payload, None),
    "QwenVlLayout": ("urn:mmraw:layout:qwen_vl", types.QwenVlLayout, None),
    "KimiK25Layout": ("urn:mmraw:layout:kimi_k25", types.KimiK25Layout, None),
    "Features": ("urn:mmraw:features:v1", types.Features, None),
}
FAMILIES = ("qwen_vl", "kimi_k25")


def python_says(name: str, value: Any) -> bool:
    """jsonschema's verdict."""
    schema = DOCUMENTS[OBJECTS[name][0]]
    return Draft202012Validator(schema, registry=REGISTRY).is_valid(value)


def rust_says(name: str, value: Any) -> bool:
    """jsonschema-rs's verdict."""
    schema = DOCUMENTS[OBJECTS[name][0]]
    return jsonschema_rs.Draft202012Validator(schema, registry=RUST_REGISTRY).is_valid(value)


def msgspec_says(name: str, value: Any) -> bool:
    """The verdict of the generated structs, with the rule of sources that they leave to code."""
    _, listed, other = OBJECTS[name]
    opaque = other is not None and value.get("family") not in FAMILIES
    if opaque and not isinstance(value.get("payload"), dict):
        return False
    try:
        msgspec.json.decode(json.dumps(value), type=other if opaque else listed)
    except msgspec.ValidationError:
        return False
    return name not in ("RefV3", "ItemV1") or any(
        isinstance(value.get(key), str) for key in ("raw_uri", "raw_image_id")
    )


def agree(name: str, value: Any) -> bool:
    """The one verdict of all three."""
    verdicts = {python_says(name, value), rust_says(name, value), msgspec_says(name, value)}
    assert len(verdicts) == 1, (name, value)
    return verdicts.pop()


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


def beyond_a_limit(value: Any) -> bool:
    """Whether it holds an integer that a limit refuses: limits can be set, structs leave them."""
    if isinstance(value, (list, dict)):
        return any(map(beyond_a_limit, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value > DEFAULT_LIMITS.grid_patches


values = json_values().filter(
    lambda value: (
        not beyond_a_limit(value)
        and not (isinstance(value, float) and value.is_integer())
        and not (isinstance(value, str) and (value.endswith("\n") or len(value) > 100))
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
