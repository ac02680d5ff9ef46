"""The features body of a generate request."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import (
    Limits,
    MMRawError,
    MultiModalData,
    build_features,
    parse_features,
    parse_ref,
)
from mmraw_protocol.testing import features, items, json_values


def code_of(body: Any, **options: Any) -> str:
    """The code that refuses a body."""
    with pytest.raises(MMRawError) as caught:
        parse_features(body, **options)
    return caught.value.code


def turn_of(rows: list[tuple[dict[str, Any], int]]) -> MultiModalData:
    """One turn with the given envelopes, placeholders one behind the other."""
    hashes = [f"{number:032x}" for _, number in rows]
    places = [{"offset": 10 * n, "length": 3} for n in range(len(rows))]
    return MultiModalData(
        mm_hashes={"image": hashes},
        mm_placeholders={"image": places},
        mm_items={"image": [item for item, _ in rows]},
    )


turns = st.lists(st.tuples(items(), st.integers(0, 99)), max_size=3).map(turn_of)


@given(features("v3"))
def test_a_body_survives_text_and_object(body: dict[str, Any]) -> None:
    parsed = parse_features(body)
    assert parsed.to_dict() == body
    assert parse_features(json.dumps(body)).to_dict() == body
    assert parse_features(json.dumps(body, separators=(",", ":")).encode()).to_dict() == body
    assert len(list(parsed.slots())) == sum(map(len, body["kwargs_data"].values()))


@given(turns)
def test_what_is_built_is_parsed(turn: MultiModalData) -> None:
    body = build_features(turn, run_id="exp42")
    slots = list(parse_features(body).slots())
    assert len(slots) == len(turn.mm_items["image"])
    assert all(slot.ref.run_id == "exp42" for slot in slots)


@given(turns, turns, turns)
def test_merging_is_associative_and_changes_nothing(
    first: MultiModalData, second: MultiModalData, third: MultiModalData
) -> None:
    before = copy.deepcopy((first, second, third))
    assert first.merge(second).merge(third) == first.merge(second.merge(third))
    assert MultiModalData().merge(first) == first == first.merge(MultiModalData())
    assert (first, second, third) == before


@given(turns)
def test_building_never_changes_its_input(turn: MultiModalData) -> None:
    before = copy.deepcopy(turn)
    build_features(turn, run_id="exp42")
    assert turn == before


def test_no_images_give_three_empty_objects() -> None:
    empty = {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}
    assert build_features(MultiModalData(), run_id="x") == empty
    nothing = {"mm_hashes": {}, "mm_placeholders": {}, "mm_items": {"image": []}}
    assert build_features(nothing, run_id="x") == empty
    assert list(parse_features(empty).slots()) == []


ITEM = {
    "kind": "prime_raw_mm_item",
    "version": 1,
    "modality": "image",
    "family": "kimi_k25",
    "layout_fingerprint": "a05685ad7bfa971ee9967c50c722b892",
    "payload": {"grid_thws": [[1, 2, 2]], "num_media_tokens": 1},
    "raw_image_id": "67f463a70fcc80e6.png",
    "vllm_modality": "vision_chunk",
}


def body_of(count: int) -> dict[str, Any]:
    """A good body of Kimi images."""
    return build_features(turn_of([(ITEM, number) for number in range(count)]), run_id="exp42")


def test_the_builder_regroups_by_feature_modality() -> None:
    body = body_of(2)
    assert list(body["kwargs_data"]) == ["vision_chunk"]
    assert parse_ref(body["kwargs_data"]["vision_chunk"][0]).modality == "vision_chunk"


@pytest.mark.parametrize("name", ["mm_items", "mm_hashes", "mm_placeholders"])
def test_an_empty_slot_is_an_error_for_who_writes_it(name: str) -> None:
    turn = turn_of([(ITEM, 1), (ITEM, 2)])
    data = {n: dict(getattr(turn, n)) for n in ("mm_items", "mm_hashes", "mm_placeholders")}
    data[name]["image"] = [data[name]["image"][0], None]
    with pytest.raises(MMRawError) as caught:
        build_features(data, run_id="x")
    assert caught.value.code == "missing_slot"
    assert caught.value.path.endswith(".image[1]")


@pytest.mark.parametrize("name", ["kwargs_data", "mm_hashes", "mm_placeholders"])
def test_an_empty_slot_is_an_error_for_who_reads_it(name: str) -> None:
    body = body_of(2)
    body[name]["vision_chunk"][1] = None
    assert code_of(body) == "missing_slot"
    assert code_of(json.dumps(body)) == "missing_slot"


@given(features("v3").filter(lambda body: body["kwargs_data"]), st.integers(0, 99))
def test_overlapping_placeholders_are_refused(body: dict[str, Any], seed: int) -> None:
    ranges = [r for rows in body["mm_placeholders"].values() for r in rows]
    victim = ranges[seed % len(ranges)]
    for other in ranges:
        if other is not victim:
            other |= {"offset": victim["offset"] + victim["length"] - 1}
            assert code_of(body) == "placeholder_invalid"
            return
    victim["length"] = 0
    assert code_of(body) == "placeholder_invalid"


def test_limits_can_be_set() -> None:
    body = body_of(3)
    assert code_of(body, limits=Limits(features_images=2)) == "limit_exceeded"
    assert code_of(json.dumps(body), limits=Limits(features_bytes=100)) == "limit_exceeded"


def test_refs_need_a_run() -> None:
    with pytest.raises(MMRawError) as caught:
        build_features(turn_of([(ITEM, 1)]))
    assert (caught.value.code, caught.value.path) == ("missing_field", "$.run_id")


def test_a_bad_ref_is_named_by_its_place() -> None:
    body = body_of(2)
    body["kwargs_data"]["vision_chunk"][1] = "gASVtensor"
    with pytest.raises(MMRawError) as caught:
        parse_features(body)
    assert caught.value.code == "not_a_ref"
    assert caught.value.path == "$.kwargs_data.vision_chunk[1]"


@given(st.one_of(json_values(), st.binary(), st.text()))
def test_anything_else_is_refused_with_the_one_error(value: Any) -> None:
    code_of(value)


@pytest.mark.parametrize("name", ["kwargs_data", "mm_hashes", "mm_placeholders"])
def test_a_lone_surrogate_in_a_body_is_refused(name: str) -> None:
    body: dict[str, Any] = {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}
    with pytest.raises(MMRawError) as caught:
        parse_features({**body, name: "\ud800"})
    assert caught.value.code == "invalid_encoding"
    assert caught.value.__context__ is None
