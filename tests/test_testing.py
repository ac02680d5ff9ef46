"""The strategies for consumers: what they give is accepted, what they call refused is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmraw_protocol import MMRawError, parse_features, parse_item, parse_ref, testing
from mmraw_protocol.conversation.messages import image_source, is_image_part
from mmraw_protocol.wire._generated.dialects import DIALECTS, FAMILIES
from mmraw_protocol.wire._generated.strategies import REQUIRED, WRONG
from mmraw_protocol.wire.schemas import schemas

ALL = sorted(DIALECTS)
FEW = settings(max_examples=25)
ITEMS = ("v1", "unversioned-uri", "unversioned-data")


@pytest.mark.parametrize("dialect", ALL)
@FEW
@given(data=st.data())
def test_refs_are_accepted(dialect: str, data: st.DataObject) -> None:
    assert parse_ref(data.draw(testing.refs(dialect))).dialect == dialect


@pytest.mark.parametrize("dialect", ALL)
@FEW
@given(data=st.data())
def test_refused_refs_are_refused(dialect: str, data: st.DataObject) -> None:
    with pytest.raises(MMRawError):
        parse_ref(data.draw(testing.refused_refs(dialect)))


@pytest.mark.parametrize("dialect", ITEMS)
@FEW
@given(data=st.data())
def test_items_are_accepted(dialect: str, data: st.DataObject) -> None:
    assert parse_item(data.draw(testing.items(dialect))).dialect == dialect


@pytest.mark.parametrize("dialect", ITEMS)
@FEW
@given(data=st.data())
def test_refused_items_are_refused(dialect: str, data: st.DataObject) -> None:
    with pytest.raises(MMRawError):
        parse_item(data.draw(testing.refused_items(dialect)))


@pytest.mark.parametrize("dialect", ALL)
@FEW
@given(data=st.data())
def test_features_are_accepted(dialect: str, data: st.DataObject) -> None:
    body = data.draw(testing.features(dialect))
    assert parse_features(body).to_dict() == body


@pytest.mark.parametrize("dialect", ALL)
@FEW
@given(data=st.data())
def test_refused_features_are_refused(dialect: str, data: st.DataObject) -> None:
    with pytest.raises(MMRawError):
        parse_features(data.draw(testing.refused_features(dialect)))


@pytest.mark.parametrize("family", [*FAMILIES, "fam_x"])
@FEW
@given(data=st.data())
def test_payloads_fit_their_family(family: str, data: st.DataObject) -> None:
    payload = data.draw(testing.payloads(family))
    fields = {**data.draw(testing.ref_fields("v3")), "family": family, "payload": payload}
    assert parse_ref(testing.ref_text(fields, "v3")).family == family


@FEW
@given(testing.messages())
def test_messages_hold_image_parts_with_sources(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        parts = message["content"] if isinstance(message["content"], list) else []
        for part in parts:
            assert is_image_part(part) == (part.get("type") != "text")
            if is_image_part(part):
                assert str(image_source(part)).startswith("data:image/png;base64,")


def test_every_object_of_the_schemas_has_its_faults() -> None:
    objects = {
        name: node
        for document in schemas().values()
        for name, node in document["$defs"].items()
        if "properties" in node
    }
    assert set(WRONG) == set(REQUIRED) == set(objects)
    for name, node in objects.items():
        assert set(WRONG[name]) == set(node["properties"])
        assert set(REQUIRED[name]) == set(node.get("required", []))
        assert all(WRONG[name].values())


def test_the_example_of_the_documentation_runs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"executed by the tests. -->\n```python\n(.+?)```", text, re.S)
    names: dict[str, Any] = {}
    exec(example, names)
    names["test_what_is_written_is_read"]()
    names["test_near_misses_are_refused"]()
