"""The features body of a generate request."""

import copy
import json
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from routes import counted, takes

from mmraw_protocol import (
    Limits,
    MMRawError,
    MultiModalData,
    build_features,
    format_ref,
    parse_features,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import features, items, json_values


def code_of(body: Any, **options: Any) -> str:
    """The code that refuses a body."""
    with pytest.raises(MMRawError) as caught:
        parse_features(body, **options)
    return caught.value.code


def turn_of(rows: list[tuple[dict[str, Any], int]]) -> MultiModalData:
    """One turn with the given envelopes and hashes, placeholders one behind the other."""
    hashes = {"image": [f"{number:032x}" for _, number in rows]}
    data = samples.mm_data([item for item, _ in rows], mm_hashes=hashes)
    return MultiModalData.from_dict(data)


turns = st.lists(st.tuples(items(), st.integers(0, 99)), max_size=3).map(turn_of)


@takes("canonical", "strict")
@given(features("v3"))
def test_a_body_survives_text_and_object(body: dict[str, Any]) -> None:
    parsed = parse_features(body)
    assert parsed.to_dict() == body
    assert parse_features(json.dumps(body)).to_dict() == body
    assert parse_features(json.dumps(body, separators=(",", ":")).encode()).to_dict() == body
    assert len(list(parsed.slots())) == sum(map(len, body["kwargs_data"].values()))


@given(turns)
def test_what_a_renderer_knows_survives_json(turn: MultiModalData) -> None:
    typed = MultiModalData(
        mm_hashes=turn.mm_hashes,
        mm_placeholders=turn.mm_placeholders,
        mm_items={m: [parse_item(item) for item in rows] for m, rows in turn.mm_items.items()},
    )
    for data in (turn, typed):
        document = data.to_dict()
        assert json.loads(json.dumps(document)) == document
        again = MultiModalData.from_dict(document)
        assert build_features(again, run_id="x") == build_features(data, run_id="x")


@takes("together", "each")
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
    assert first.is_empty() == (not first.mm_hashes.get("image"))
    assert (first, second, third) == before


@given(turns)
def test_building_never_changes_its_input(turn: MultiModalData) -> None:
    before = copy.deepcopy(turn)
    build_features(turn, run_id="exp42")
    assert turn == before


@takes("together", "each")
@given(turns, st.sampled_from(["qwen_vl", "other"]))
def test_each_image_is_built_alike_whatever_stands_beside_it(
    turn: MultiModalData, family: str
) -> None:
    """One image of a family that is not built in has all of them built one by one."""
    beside = samples.mm_data(
        [samples.envelope(family=family)],
        mm_hashes={"image": ["f" * 32]},
        mm_placeholders={"image": [{"offset": 1000, "length": 1}]},
    )
    alone = build_features(turn, run_id="exp42")
    joined = build_features(turn.merge(MultiModalData.from_dict(beside)), run_id="exp42")
    for name, by_modality in joined.items():
        kept = {modality: list(rows) for modality, rows in by_modality.items()}
        kept["image"].pop()
        assert {modality: rows for modality, rows in kept.items() if rows} == alone[name]


#: Faults of the second of two images, and the codes and paths that name them.
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"mm_hashes": "A" * 32}, "invalid_value", "$.mm_items.image[1].mm_hash"),
    ({"mm_hashes": b"0" * 32}, "invalid_type", "$.mm_items.image[1]"),
    ({"mm_placeholders": {"offset": 63, "length": 64}}, "placeholder_invalid", ""),
    ({"mm_placeholders": {"offset": -1, "length": 64}}, "placeholder_invalid", ".offset"),
    ({"mm_placeholders": {"offset": 64, "length": 0}}, "placeholder_invalid", ".length"),
    ({"mm_placeholders": {"offset": 64, "length": 1.0}}, "placeholder_invalid", ".length"),
    ({"mm_placeholders": {"offset": True, "length": 1}}, "placeholder_invalid", ".offset"),
    ({"mm_placeholders": {"offset": 2**53, "length": 1}}, "invalid_value", ""),
    ({"mm_placeholders": {"offset": 64}}, "missing_field", ""),
    ({"mm_placeholders": {"offset": 64, "length": 1, "x": 1}}, "unknown_field", ""),
    ({"mm_placeholders": [64, 1]}, "invalid_type", ""),
    ({"mm_items": samples.envelope(version=2)}, "invalid_value", "$.mm_items.image[1].version"),
    ({"mm_items": samples.envelope(extra=1)}, "unknown_field", "$.mm_items.image[1]"),
    ({"mm_items": samples.envelope("unversioned-uri")}, "not_convertible", "$.mm_items.image[1]"),
]


@pytest.mark.parametrize(("changes", "code", "path"), FAULTS)
@pytest.mark.parametrize("family", ["qwen_vl", "other"])
def test_a_fault_is_named_by_its_place_whatever_stands_beside_it(
    changes: dict[str, Any], code: str, path: str, family: str
) -> None:
    data = samples.mm_data([samples.envelope(family=family), samples.envelope()])
    for name, value in changes.items():
        data[name]["image"][1] = value
    with counted() as taken, pytest.raises(MMRawError) as caught:
        build_features(data, run_id="exp42")
    assert not taken["together"]
    assert caught.value.code == code
    full = path if path.startswith("$") else f"$.mm_placeholders.image[1]{path}"
    assert caught.value.path == full


@pytest.mark.parametrize("label", ["exp42", "run_exp42", "run_run_x", ".", "é", ""])
@pytest.mark.parametrize("family", ["qwen_vl", "other"])
def test_a_run_label_means_the_same_for_every_image(label: str, family: str) -> None:
    data = samples.mm_data([samples.envelope(family=family)])
    if "exp42" in label:
        (slot,) = parse_features(build_features(data, run_id=label)).slots()
        assert slot.ref.run_id == "exp42"
        return
    with pytest.raises(MMRawError) as caught:
        build_features(data, run_id=label)
    assert (caught.value.code, caught.value.path) == ("invalid_run_id", "$.run_id")


def test_no_images_give_three_empty_objects() -> None:
    empty = {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}
    assert build_features(MultiModalData(), run_id="x") == empty
    nothing = {"mm_hashes": {}, "mm_placeholders": {}, "mm_items": {"image": []}}
    assert build_features(nothing, run_id="x") == empty
    assert list(parse_features(empty).slots()) == []


ITEM = samples.envelope(family="kimi_k25")


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


def test_images_under_another_modality_than_their_own_are_rejected() -> None:
    with pytest.raises(MMRawError) as caught:
        parse_features(samples.features(modality="vision_chunk"))
    assert caught.value.code == "modality_mismatch"
    assert caught.value.path == "$.kwargs_data.vision_chunk[0]"
    data = {name: {"other": by["image"]} for name, by in samples.mm_data([ITEM]).items()}
    with pytest.raises(MMRawError) as caught:
        build_features(data, run_id="exp42")
    assert caught.value.code == "modality_mismatch"
    assert caught.value.path == "$.mm_items[...][0]"


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


def test_tuples_are_lists_in_a_decoded_body() -> None:
    body = body_of(2)
    tuples = {n: {m: tuple(rows) for m, rows in body[n].items()} for n in body}
    assert parse_features(tuples).to_dict() == body
    for rows in (set(body["mm_hashes"]["vision_chunk"]), frozenset()):
        assert code_of({**tuples, "mm_hashes": {"vision_chunk": rows}}) == "invalid_type"


@pytest.mark.parametrize("dialect", [["v3"], {}, None, 3])
def test_a_dialect_that_is_no_text_is_refused(dialect: Any) -> None:
    body = body_of(1)
    ref = parse_features(body).refs["vision_chunk"][0]
    turn = turn_of([(samples.envelope(), 0)])
    for work in (
        lambda: format_ref(ref, dialect),
        lambda: build_features(turn, dialect, run_id="r"),
    ):
        with pytest.raises(MMRawError) as caught:
            work()
        assert caught.value.code == "invalid_dialect"
