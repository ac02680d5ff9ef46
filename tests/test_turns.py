"""Conversations that grow: each image is written once and read once, with the same result."""

import json
from typing import Any

import msgspec
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import (
    FeaturesBuilder,
    Limits,
    MMRawError,
    MultiModalData,
    RefMemory,
    build_features,
    format_ref,
    parse_features,
    parse_ref,
)

ITEM = samples.envelope()
BODY = samples.features(samples.ref(), samples.ref())
REF = parse_ref(samples.ref())


def turns(count: int) -> list[dict[str, Any]]:
    """Makes this many turns of one image each, one after the other."""
    spans = [{"offset": 100 * number, "length": 64} for number in range(count)]
    return [samples.mm_data([ITEM], mm_placeholders={"image": [span]}) for span in spans]


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_a_growing_conversation_gives_the_body_of_all_its_turns(dialect: str) -> None:
    builder = FeaturesBuilder(dialect, run_id="exp42")
    merged = MultiModalData()
    for turn in turns(5):
        builder.add(turn)
        merged = merged.merge(MultiModalData.from_dict(turn))
        assert builder.body() == build_features(merged, dialect, run_id="exp42")


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (turns(1)[0], "placeholder_invalid"),
        (samples.mm_data([{**ITEM, "version": 2}]), "invalid_value"),
        (samples.mm_data([ITEM] * 4), "limit_exceeded"),
        ({**turns(5)[4], "mm_hashes": {"image": []}}, "lengths_differ"),
    ],
)
def test_a_turn_that_is_rejected_leaves_the_conversation_as_it_was(turn: Any, code: str) -> None:
    builder = FeaturesBuilder(run_id="exp42", limits=Limits(features_images=3))
    for earlier in turns(2):
        builder.add(earlier)
    before = builder.body()
    with pytest.raises(MMRawError) as caught:
        builder.add(turn)
    assert caught.value.code == code
    assert builder.body() == before


def test_a_turn_may_have_placeholders_before_those_of_earlier_turns() -> None:
    first, second = turns(2)
    builder = FeaturesBuilder(run_id="exp42")
    builder.add(second)
    builder.add(first)
    assert len(builder.body()["kwargs_data"]["image"]) == 2


def test_what_a_caller_does_to_a_body_does_not_reach_the_builder() -> None:
    builder = FeaturesBuilder(run_id="exp42")
    builder.add(turns(1)[0])
    builder.body()["kwargs_data"]["image"].clear()
    assert len(builder.body()["kwargs_data"]["image"]) == 1


def test_a_ref_that_was_read_before_is_the_same_value() -> None:
    memory = RefMemory(capacity=2000)
    first = parse_features(BODY, memory=memory)
    again = parse_features(json.dumps(BODY), memory=memory)
    assert first == again == parse_features(BODY)
    assert first.refs["image"][0] is again.refs["image"][0]
    assert len(memory) == 1


def test_memory_is_bounded_and_keeps_no_rejection() -> None:
    memory = RefMemory(capacity=1000)
    for number in range(20):
        memory.parse_ref(format_ref(msgspec.structs.replace(REF, mm_hash=f"{number:032x}")))
        assert len(memory) <= 3
    for _ in range(2):
        with pytest.raises(MMRawError):
            memory.parse_ref("mmraw:v3:eyJ9")
    assert len(memory) <= 3


def test_memory_shares_nothing_that_a_caller_could_change() -> None:
    memory = RefMemory()
    text = samples.ref(family="other", payload={"list": []})
    memory.parse_ref(text).payload["list"].append(1)  # type: ignore[index, call-overload]
    assert memory.parse_ref(text).payload == {"list": []}


def test_a_long_ref_is_read_each_time() -> None:
    memory = RefMemory()
    text = samples.ref(raw_uri=samples.data_url(bytes(RefMemory.MAX_CHARS)))
    assert memory.parse_ref(text) == parse_ref(text)
    assert len(memory) == 0


@given(st.lists(st.integers(0, 3), max_size=6))
def test_reading_with_memory_is_reading(picks: list[int]) -> None:
    memory = RefMemory(capacity=900)
    texts = [format_ref(msgspec.structs.replace(REF, mm_hash=digit * 32)) for digit in "0123"]
    for pick in picks:
        assert memory.parse_ref(texts[pick]) == parse_ref(texts[pick])
