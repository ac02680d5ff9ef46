"""Refs: what is written is read, and nothing else is."""

import json
from typing import Any

import msgspec
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from routes import counted, takes

from mmraw_protocol import MMRawError, RawMMRef, format_ref, get_adapter, is_ref, parse_ref
from mmraw_protocol.stores.convert import convert_ref
from mmraw_protocol.testing import near_misses, ref_fields, ref_text, refs
from mmraw_protocol.wire.base64 import encode_base64url

WRITTEN = ("v2", "v3")
DIALECTS = ("v1", "v2", "v3", "v3-runless", "unversioned-uri", "unversioned-data")


def accepted(text: str) -> RawMMRef | None:
    """The ref, or None where it is refused."""
    try:
        return parse_ref(text)
    except MMRawError:
        return None


@pytest.mark.parametrize("dialect", WRITTEN)
@takes("canonical", "strict", "written")
@given(data=st.data())
def test_formatting_what_was_parsed_gives_the_same_text(dialect: str, data: st.DataObject) -> None:
    text = data.draw(refs(dialect))
    assert format_ref(parse_ref(text), dialect) == text


@pytest.mark.parametrize("dialect", WRITTEN)
@takes("canonical", "strict", "written")
@given(data=st.data())
def test_parsing_what_was_formatted_gives_the_same_ref(dialect: str, data: st.DataObject) -> None:
    ref = parse_ref(data.draw(refs(dialect)))
    assert parse_ref(format_ref(ref, dialect)) == ref


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_every_dialect_is_told_apart_and_keeps_its_fields(
    dialect: str, data: st.DataObject
) -> None:
    fields = data.draw(ref_fields(dialect))
    ref = parse_ref(ref_text(fields, dialect))
    assert ref.dialect == dialect
    assert ref.fields() == {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_one_changed_character_is_refused_or_means_something_else(
    dialect: str, data: st.DataObject
) -> None:
    canonical, changed = data.draw(near_misses(dialect))
    other = accepted(changed)
    assert other is None or other != parse_ref(canonical)


@takes("canonical", "strict", "written")
@given(fields=ref_fields("v2"))
def test_upgrading_v2_to_v3_keeps_every_field(fields: dict[str, Any]) -> None:
    upgraded = parse_ref(format_ref(parse_ref(ref_text(fields, "v2")), "v3"))
    assert upgraded.dialect == "v3"
    assert upgraded.fields() == fields


@takes("canonical", "strict")
@given(fields=ref_fields("v3"), indent=st.sampled_from([None, 1]), escape=st.booleans())
def test_spelling_of_json_does_not_matter_when_reading(
    fields: dict[str, Any], indent: int | None, escape: bool
) -> None:
    shuffled = dict(reversed(list(fields.items())))
    text = json.dumps(shuffled, indent=indent, ensure_ascii=escape)
    spelled = "mmraw:v3:" + encode_base64url(text.encode("utf-8"))
    assert parse_ref(spelled) == parse_ref(ref_text(fields, "v3"))


@given(st.one_of(st.text(), st.text().map(lambda text: "mmraw:" + text), st.binary()))
def test_nothing_but_the_one_error_escapes(value: Any) -> None:
    with pytest.raises(MMRawError) as caught:
        parse_ref(value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@given(st.sampled_from(["mmraw:v3:", "mmraw:"]), st.binary(max_size=200))
def test_random_bytes_in_base64_raise_the_one_error_alone(prefix: str, data: bytes) -> None:
    accepted(prefix + encode_base64url(data))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_random_json_raises_the_one_error_alone(value: Any) -> None:
    text = json.dumps({"family": value, "payload": value, "run_id": "x"})
    accepted("mmraw:v3:" + encode_base64url(text.encode()))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"raw_image_id": None, "raw_uri": None}, "missing_source"),
        ({"raw_image_id": "../x.png"}, "invalid_raw_image_id"),
        ({"run_id": "run_run_x"}, "invalid_run_id"),
        ({"mm_hash": "ABC"}, "invalid_value"),
        ({"payload": {"image_grid_thw": [[1, 3, 4]]}}, "invalid_grid"),
        ({"payload": {"grid_thws": [[1, 2, 4]]}}, "unknown_field"),
        ({"payload": {"image_grid_thw": [[1, 2, 4]], "pixel_values": 1}}, "processed_payload"),
        ({"raw_uri": "https://example.invalid/x.png"}, "invalid_raw_uri"),
        ({"raw_uri": "file:///data/other.png"}, "invalid_raw_uri"),
        ({"extra": 1}, "unknown_field"),
        ({"family": 3}, "invalid_type"),
    ],
)
def test_a_bad_field_is_named_by_code(changes: dict[str, Any], code: str) -> None:
    for text in (
        samples.v3_text(samples.ref_fields(**changes)),
        samples.respelled(samples.v3_text(samples.ref_fields(**changes))),
    ):
        with pytest.raises(MMRawError) as caught:
            parse_ref(text)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (samples.ref()[1:], "not_a_ref"),
        (samples.ref("v2") + "é", "invalid_encoding"),
        (samples.ref("v2") + ":x", "invalid_segments"),
        (samples.ref("v2").rpartition(":")[0], "invalid_segments"),
        (samples.ref("v1") + ":x", "invalid_segments"),
        (samples.ref("v1").replace("1x16x16", "1x16x016"), "invalid_grid"),
        (samples.ref("v3").replace("v3", "v4"), "unsupported_dialect"),
        (samples.ref("v3") + "=", "invalid_base64"),
    ],
)
def test_a_broken_text_is_named_by_code(text: str, code: str) -> None:
    with pytest.raises(MMRawError) as caught:
        parse_ref(text)
    assert caught.value.code == code


TENSORS = ["pixel_values", "image_embeds", "image_features"]


@pytest.mark.parametrize("key", TENSORS)
@pytest.mark.parametrize("family", ["qwen_vl", "other"])
@pytest.mark.parametrize("dialect", ["v2", "v3", "v3-runless", "unversioned-uri"])
@pytest.mark.parametrize("count", [1, 100])
def test_processed_tensors_are_rejected_before_any_other_fault(
    key: str, family: str, dialect: str, count: int
) -> None:
    """Of a built-in family even where there are more values than are read."""
    for value in ({key: [0] * count}, {"deep": [{key: [0] * count}]}):
        fields = samples.ref_fields(dialect, family, payload=samples.payload(family) | value)
        with pytest.raises(MMRawError) as caught:
            parse_ref(ref_text(fields, dialect))
        assert caught.value.code == "processed_payload"


@pytest.mark.parametrize("key", TENSORS)
def test_processed_tensors_are_found_anywhere_in_a_ref(key: str) -> None:
    for document in ({key: 1}, {**samples.ref_fields(), key: 1}, [{key: 1}]):
        with pytest.raises(MMRawError) as caught:
            parse_ref(samples.v3_text(document))
        assert caught.value.code == "processed_payload"


def test_a_ref_without_a_fingerprint_takes_one_from_the_configuration() -> None:
    bare = samples.ref("bare-uri")
    assert (parse_ref(bare).dialect, parse_ref(bare).fingerprint) == ("bare-uri", None)
    with pytest.raises(MMRawError) as caught:
        convert_ref(bare, run_id="exp42")
    assert (caught.value.code, caught.value.path) == ("not_convertible", "$.fingerprint")
    full = convert_ref(bare, run_id="exp42", config="qwen3_vl")
    assert parse_ref(full).fingerprint == get_adapter("qwen_vl", "qwen3_vl").fingerprint()
    with pytest.raises(MMRawError) as caught:
        convert_ref(full, "bare-uri", run_id="exp42", config="qwen2_vl")
    assert (caught.value.code, caught.value.path) == ("not_convertible", "$.fingerprint")
    label = parse_ref(convert_ref(bare, "unversioned-json-uri", config="qwen3_vl"))
    assert label.dialect == "unversioned-json-uri"


def test_refs_to_processed_features_are_refused_by_name() -> None:
    with pytest.raises(MMRawError, match="mmfile") as caught:
        parse_ref("mmfile:v1:exp42:qwen_vl")
    assert caught.value.code == "unsupported_dialect"
    assert is_ref("mmfile:v1:exp42:qwen_vl")


def test_v2_has_no_place_for_an_inline_image() -> None:
    ref = parse_ref(samples.ref(raw_image_id=None, raw_uri=samples.INLINE))
    assert parse_ref(format_ref(ref)).is_inline
    with pytest.raises(MMRawError) as caught:
        format_ref(ref, "v2")
    assert (caught.value.code, caught.value.path) == ("not_convertible", "$.raw_uri")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("family", ["qwen_vl", "kimi_k25", "other"])
def test_canonical_refs_of_built_in_families_are_read_at_once(dialect: str, family: str) -> None:
    if dialect == "v1" and family != "qwen_vl":
        return
    with counted() as taken:
        parse_ref(samples.ref(dialect, family))
    assert bool(taken["canonical"]) == (dialect in WRITTEN and family != "other")


@given(refs("v3"))
def test_a_ref_is_recognized_by_its_beginning(text: str) -> None:
    assert is_ref(text)
    assert not is_ref(text.encode())
    assert not is_ref(" " + text)


@takes("canonical", "strict")
@given(refs("v3"))
def test_refs_are_values(text: str) -> None:
    ref = parse_ref(text)
    assert ref == parse_ref(text)
    with pytest.raises(AttributeError):
        ref.family = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(ref) == ref
