"""Envelopes and features bodies: the fast paths and the careful ones give and refuse the same."""

import copy
import enum
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_fastpath import FIELDS, INLINE, KIMI, LABEL, ODD, TIGHT, Text, both, equals, kimi, qwen

from mmraw_protocol import (
    DEFAULT_LIMITS,
    FeaturesBuilder,
    Limits,
    MMRawError,
    MultiModalData,
    PlaceholderRange,
    QwenVlPayload,
    RawMMItem,
    RefMemory,
    build_features,
    format_ref,
    parse_features,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import features, items
from mmraw_protocol.wire import fastpath
from mmraw_protocol.wire.features import fast

DIGEST = "67f463a70fcc80e6b6c13d2563a723f2"
ITEM = {
    "_prime_rl_image_ref": "raw_image",
    "family": "qwen_vl",
    "kind": "prime_raw_mm_item",
    "layout_fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
    "modality": "image",
    "payload": {"image_grid_thw": [[1, 16, 16]]},
    "raw_image_id": f"{DIGEST}.png",
    "version": 1,
}


class Word(enum.Enum):
    IMAGE = "image"
    ONE = 1


class Number(enum.IntEnum):
    ONE = 1


ODD_IN_ITEMS: st.SearchStrategy[Any] = ODD | st.sampled_from(
    [
        b"image", Word.IMAGE, Word.ONE, Number.ONE, Text("image"), True, 1.0, "1", "\ud800", (),
        {1},
        qwen(((1, 16, 16),)), {"image_grid_thw": ((1, 16, 16),)}, {"image_grid_thw": {(1, 16, 18)}},
        {"image_grid_thw": [{1, 2, 4}]}, {"image_grid_thw": [[Number.ONE, 16, 16]]},
        {"image_grid_thw": [[True, 16, 16]]}, {"image_grid_thw": [frozenset({1, 2, 4})]},
        {"image_grid_thw": [[1, 16, 16]], 1: 2}, {Text("image_grid_thw"): [[1, 16, 16]]},
        {**KIMI, "num_media_tokens": True},
    ]
)  # fmt: skip
CHANGES = st.dictionaries(
    st.sampled_from([*ITEM, "raw_uri", "vllm_modality", "raw_ref", "other", "pixel_values"]),
    ODD_IN_ITEMS,
    max_size=2,
)


@given(items(), st.sampled_from([DEFAULT_LIMITS, TIGHT]))
def test_envelopes_are_read_alike(item: dict[str, Any], limits: Limits) -> None:
    both(lambda: parse_item(item, limits=limits))
    both(lambda: parse_item(json.dumps(item), limits=limits))


@given(CHANGES, st.sets(st.sampled_from(sorted(ITEM)), max_size=1), st.booleans())
@example({"raw_uri": INLINE}, set(), False)
@example({"raw_uri": LABEL}, set(), False)
@example({"vllm_modality": ""}, set(), False)
@example({"raw_ref": "\ud800"}, set(), False)
@example({"payload": qwen(((1, 16, 16),))}, set(), False)
@example({"payload": {"image_grid_thw": {(1, 16, 18)}}}, set(), False)
def test_odd_envelopes_are_read_alike(
    changes: dict[str, Any], absent: set[str], as_kimi: bool
) -> None:
    base: dict[str, Any] = ITEM | ({"family": "kimi_k25", "payload": KIMI} if as_kimi else {})
    item = {key: value for key, value in (base | changes).items() if key not in absent}
    both(lambda: parse_item(item))
    both(lambda: build_features(mm_data([item]), run_id="exp42"))


def mm_data(rows: list[Any], **changes: Any) -> dict[str, Any]:
    """Images of one conversation, in the form that renderers hand on."""
    spans = [{"offset": 100 * number, "length": 64} for number in range(len(rows))]
    data: dict[str, Any] = {
        "mm_hashes": {"image": [DIGEST] * len(rows)},
        "mm_placeholders": {"image": spans},
        "mm_items": {"image": rows},
    }
    return data | changes


TYPED = parse_item(ITEM)


@pytest.mark.parametrize("name", [*RawMMItem.__struct_fields__])
@given(value=ODD_IN_ITEMS | st.sampled_from([kimi(4), kimi(True), kimi(msgspec.UNSET), qwen("x")]))
def test_odd_typed_envelopes_are_read_alike(name: str, value: Any) -> None:
    item = msgspec.structs.replace(TYPED, **{name: value})
    try:
        with fastpath.disabled():
            careful: Any = parse_item(item)
    except MMRawError as error:
        careful = error.code, error.path
    except (TypeError, AttributeError):
        # The careful way writes an envelope out first, which takes JSON values alone.
        return
    try:
        found: Any = parse_item(item)
    except MMRawError as error:
        found = error.code, error.path
    assert found == careful


@pytest.mark.parametrize(("name", "value"), equals())
def test_equal_envelopes_of_other_types_are_built_alike(name: str, value: Any) -> None:
    field = {"fingerprint": "layout_fingerprint", "modality": "vllm_modality"}.get(name, name)
    if field in ("mm_hash", "run_id"):
        return
    plain = msgspec.structs.replace(
        TYPED, vllm_modality="image", raw_image_id=FIELDS["raw_image_id"]
    )
    odd = msgspec.structs.replace(plain, **{field: value})
    assert odd == plain
    both(lambda: build_features(mm_data([plain, odd]), run_id="exp42"))


@given(
    rows=st.lists(items(), max_size=4),
    offsets=st.lists(st.integers(0, 400), min_size=4, max_size=4),
    run_id=st.sampled_from(["exp42", "run_exp42", "run_run_x", None, ".", "é"]),
    limits=st.sampled_from([DEFAULT_LIMITS, TIGHT, Limits(features_images=2)]),
)
def test_bodies_are_built_alike(
    rows: list[Any], offsets: list[int], run_id: str | None, limits: Limits
) -> None:
    data = mm_data(rows)
    for span, offset in zip(data["mm_placeholders"]["image"], offsets, strict=False):
        span["offset"] = offset
    saved = copy.deepcopy(data)
    both(lambda: build_features(data, run_id=run_id, limits=limits))
    assert data == saved


@given(
    hashes=st.lists(ODD_IN_ITEMS | st.just(DIGEST), min_size=1, max_size=2),
    span=st.sampled_from(
        [
            None, {}, {"offset": 0}, {"offset": 0, "length": 0}, {"offset": -1, "length": 1},
            {"offset": True, "length": 1}, {"offset": 1.0, "length": 1},
            {"offset": 0, "length": 2**53},
            {"offset": 0, "length": 1, "x": 1}, PlaceholderRange(offset=0, length=1), [0, 1],
            PlaceholderRange(offset=-1, length=1), {"offset": 0, "length": 64},
        ]
    ),
)  # fmt: skip
def test_odd_rows_are_built_alike(hashes: list[Any], span: Any) -> None:
    rows = [ITEM] * len(hashes)
    both(lambda: build_features(mm_data(rows, mm_hashes={"image": hashes}), run_id="exp42"))
    places = {"image": [span] * len(hashes)}
    both(lambda: build_features(mm_data(rows, mm_placeholders=places), run_id="exp42"))


@given(
    features(),
    st.sampled_from([None, 1]),
    st.sampled_from([DEFAULT_LIMITS, TIGHT, Limits(features_images=2), Limits(features_bytes=900)]),
)
def test_bodies_are_read_alike(body: dict[str, Any], indent: int | None, limits: Limits) -> None:
    both(lambda: parse_features(body, limits=limits))
    text = json.dumps(body, indent=indent)
    both(lambda: parse_features(text, limits=limits))
    both(lambda: parse_features(text.encode(), limits=limits))


BODY = build_features(mm_data([ITEM, ITEM]), run_id="exp42")
SPLICES = (
    '"image": [],', '"kwargs_data": {},', '"mm_hashes": {"image": []},', '"length": 64,', "\ufeff",
    '"x": 1,', '"\\u0069mage": [],', "\\", '"', ",", "\ud800", "null", "1", ".0", "[]", "{}", "}",
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(json.dumps(BODY))), st.sampled_from(SPLICES), st.integers(0, 2)
        ),
        min_size=1,
        max_size=2,
    )
)  # fmt: skip
@example([(1, '"kwargs_data": {},', 0)])
@example([(json.dumps(BODY).index('"offset"'), '"length": 64,', 0)])
@example([(json.dumps(BODY).index('"image"'), '"image": [],', 0)])
def test_spliced_bodies_are_read_alike(splices: list[tuple[int, str, int]]) -> None:
    text = json.dumps(BODY)
    for at, piece, cut in splices:
        text = text[:at] + piece + text[at + cut :]
    both(lambda: parse_features(text))
    both(lambda: parse_features(text.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("name", ["kwargs_data", "mm_hashes", "mm_placeholders"])
@given(value=ODD_IN_ITEMS)
def test_odd_bodies_are_read_alike(name: str, value: Any) -> None:
    for odd in ({**BODY, name: value}, {**BODY, name: {"image": [value, value]}}):
        both(lambda odd=odd: parse_features(odd))
    body = copy.deepcopy(BODY)
    body[name]["image"][1] = value
    both(lambda: parse_features(body))


def test_ordinary_bodies_take_the_fast_path() -> None:
    rows = [ITEM, {**ITEM, "family": "kimi_k25", "payload": KIMI, "vllm_modality": "vision_chunk"}]
    rows += [{**ITEM, "raw_uri": INLINE}, TYPED]
    data = MultiModalData.from_dict(mm_data(rows))
    body = fast.build(data, "exp42", DEFAULT_LIMITS)
    assert body is not None
    with fastpath.disabled():
        assert body == build_features(data, run_id="exp42")
    for given_body in (body, json.dumps(body), json.dumps(body).encode()):
        assert fast.parse(given_body, DEFAULT_LIMITS, parse_ref) is not None


def turns(count: int) -> list[dict[str, Any]]:
    """That many turns of one image each, one behind the other."""
    result: list[dict[str, Any]] = []
    for number in range(count):
        span = {"offset": 100 * number, "length": 64}
        result.append(mm_data([ITEM], mm_placeholders={"image": [span]}))
    return result


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_a_growing_conversation_gives_the_body_of_all_its_turns(dialect: str) -> None:
    builder = FeaturesBuilder(dialect, run_id="exp42")
    merged = MultiModalData()
    for turn in turns(5):
        builder.add(turn)
        merged = merged.merge(MultiModalData.from_dict(turn))
        assert builder.body() == build_features(merged, dialect, run_id="exp42")


def test_a_turn_that_is_refused_leaves_the_conversation_as_it_was() -> None:
    builder = FeaturesBuilder(run_id="exp42", limits=Limits(features_images=3))
    for turn in turns(2):
        builder.add(turn)
    before = builder.body()
    for turn, code in (
        (turns(1)[0], "placeholder_invalid"),
        (mm_data([{**ITEM, "version": 2}]), "invalid_value"),
        (mm_data([ITEM, ITEM], mm_placeholders={"image": [{"offset": 900, "length": 1}]}), None),
        (mm_data([ITEM] * 4), "limit_exceeded"),
    ):
        with pytest.raises(MMRawError) as caught:
            builder.add(turn)
        assert code is None or caught.value.code == code
        assert builder.body() == before


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


def test_memory_is_bounded_and_keeps_no_refusal() -> None:
    memory = RefMemory(capacity=1000)
    ref = parse_ref(BODY["kwargs_data"]["image"][0])
    for number in range(20):
        memory.parse_ref(format_ref(msgspec.structs.replace(ref, mm_hash=f"{number:032x}")))
        assert len(memory) <= 3
    for _ in range(2):
        with pytest.raises(MMRawError):
            memory.parse_ref("mmraw:v3:eyJ9")
    assert len(memory) <= 3
    other = {"family": "other", "payload": {"list": []}}
    text = format_ref(msgspec.structs.replace(ref, **other))
    memory.parse_ref(text).payload["list"].append(1)  # type: ignore[index, call-overload]
    assert memory.parse_ref(text).payload == {"list": []}


@given(st.lists(st.integers(0, 3), max_size=6))
def test_reading_with_memory_is_reading(picks: list[int]) -> None:
    memory = RefMemory(capacity=900)
    ref = parse_ref(BODY["kwargs_data"]["image"][0])
    texts = [format_ref(msgspec.structs.replace(ref, mm_hash=digit * 32)) for digit in "0123"]
    for pick in picks:
        assert memory.parse_ref(texts[pick]) == parse_ref(texts[pick])
    assert isinstance(TYPED.payload, QwenVlPayload)
