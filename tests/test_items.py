"""Envelopes: prime_raw_mm_item."""

import json
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from routes import takes

from mmraw_protocol import MMRawError, make_item, parse_item
from mmraw_protocol.testing import documents, items, json_values

ENVELOPE = samples.envelope()


def code_of(item: Any) -> str:
    """The code that refuses an envelope."""
    with pytest.raises(MMRawError) as caught:
        parse_item(item)
    assert caught.value.__context__ is None
    return caught.value.code


def without_null(item: dict[str, Any]) -> dict[str, Any]:
    """Null sources mean absent."""
    return {name: value for name, value in item.items() if value is not None}


@takes("struct", "item")
@given(items())
def test_an_envelope_survives_text_and_object(item: dict[str, Any]) -> None:
    parsed = parse_item(item)
    assert parse_item(json.dumps(item)) == parsed
    assert parsed.to_dict() == without_null(item)
    assert list(parsed.to_dict()) == sorted(parsed.to_dict())


@pytest.mark.parametrize("name", ["ItemUnversionedUri", "ItemUnversionedData"])
@given(data=st.data())
def test_envelopes_without_version_are_read(name: str, data: st.DataObject) -> None:
    item = data.draw(documents(name))
    assert parse_item(item).to_dict() == item


@given(items(), json_values())
def test_envelopes_are_closed(item: dict[str, Any], value: Any) -> None:
    assert code_of({**item, "unknown_key": value}) == "unknown_field"


@pytest.mark.parametrize("version", [True, 1.0, "1", 2, 0, None])
def test_the_version_is_the_integer_one(version: Any) -> None:
    assert code_of({**ENVELOPE, "version": version}) in ("invalid_type", "invalid_value")


@pytest.mark.parametrize("key", ["pixel_values", "image_embeds", "image_features"])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_processed_tensors_are_refused_before_anything_else(key: str, depth: int) -> None:
    value: Any = {key: 0}
    for _ in range(depth):
        value = [{"inner": value}]
    assert code_of({"kind": "wrong", "deep": value}) == "processed_payload"


def test_an_escaped_key_is_a_key() -> None:
    text = json.dumps({**ENVELOPE, "family": "other", "payload": {"pixel_valuesX": 1}})
    assert code_of(text.replace("pixel_valuesX", "pixel\\u005fvalues")) == "processed_payload"


@pytest.mark.parametrize("source", [{}, {"raw_image_id": None}, {"raw_uri": None}])
def test_a_source_is_needed(source: dict[str, Any]) -> None:
    item = {name: value for name, value in ENVELOPE.items() if name != "raw_image_id"}
    assert code_of({**item, **source}) == "missing_source"


def test_a_lone_surrogate_in_an_envelope_is_rejected() -> None:
    item = {**ENVELOPE, "raw_ref": "\ud800"}
    assert code_of(item) == code_of(json.dumps(item)) == "invalid_encoding"


def test_duplicate_keys_are_refused() -> None:
    text = json.dumps(ENVELOPE)
    assert code_of(text[:-1] + ', "version": 1}') == "duplicate_key"


def test_make_item_writes_what_readers_of_the_field_expect() -> None:
    item = make_item(
        family="kimi_k25",
        layout_fingerprint=samples.FINGERPRINT,
        payload=samples.payload("kimi_k25"),
        raw_image_id=samples.NAME,
        vllm_modality="vision_chunk",
    )
    assert item.to_dict()["_prime_rl_image_ref"] == "raw_image"
    assert item.feature_modality == "vision_chunk"
    assert parse_item(item) == item


@given(st.one_of(json_values(), st.binary(), st.text()))
def test_anything_else_is_refused_with_the_one_error(value: Any) -> None:
    code_of(value)
