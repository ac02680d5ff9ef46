"""From features to content parts with their answer, to mm_refs, and back without loss."""

from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from refusals import refusal

from mmraw_protocol import (
    MMRawError,
    content_parts_to_features,
    features_to_content_parts,
    features_to_mm_refs,
    get_adapter,
    mm_refs_to_content_parts,
    mm_refs_to_features,
    parse_content_parts,
    parse_features,
    parse_mm_refs,
    parse_ref,
)
from mmraw_protocol.testing import features, ref_text
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.json import to_builtins

#: Family -> what the server's span has more than the span on the wire: before it, and in all.
WIDER = {
    "gemma4": (1, 2),
    "inkling": (1, 1),
    "internvl": (1, 2),
    "nemotron_h_omni": (1, 2),
}


def ref_of(family: str, **changes: Any) -> str:
    """A ref of a family's image of 640 x 480 pixels."""
    adapter = get_adapter(family)
    fields = samples.ref_fields(family=family, modality=adapter.feature_modality)
    layout = adapter.layout(640, 480)
    return ref_text({**fields, "payload": to_builtins(layout.payload), **changes}, "v3")


def body_of(*refs: str, spans: list[tuple[int, int]]) -> dict[str, Any]:
    """A features body of one modality."""
    modality = FAMILIES[parse_ref(refs[0]).family].feature_modality
    body = samples.features(*refs, modality=modality)
    rows = [{"length": length, "offset": offset} for offset, length in spans]
    return {**body, "mm_placeholders": {modality: rows}}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_servers_span_counts_the_tokens_that_it_writes_around(family: str) -> None:
    before, more = WIDER.get(family, (0, 0))
    body = body_of(ref_of(family), ref_of(family), spans=[(5, 300), (400, 300)])
    found = features_to_content_parts(body)
    (modality,) = found.mm_placeholders
    assert modality == FAMILIES[family].feature_modality
    assert found.mm_placeholders[modality] == [
        {"length": 300 + more, "offset": 5 - before},
        {"length": 300 + more, "offset": 400 - before},
    ]
    assert content_parts_to_features(*found) == body


def known(body: dict[str, Any]) -> bool:
    """True if all refs of a body are of families with a folder, and no span means more than one."""
    slots = parse_features(body).slots()
    return all(slot.ref.family in FAMILIES and slot.placeholder.length > 1 for slot in slots)


def apart(body: dict[str, Any]) -> dict[str, Any]:
    """The same with room for tokens around each span."""
    spans = sorted(
        (row for rows in body["mm_placeholders"].values() for row in rows),
        key=lambda row: row["offset"],
    )
    for index, row in enumerate(spans):
        row["offset"] += 2 * index + 1
    return body


@given(features("v3").filter(known).map(apart))
def test_features_survive_every_form(body: dict[str, Any]) -> None:
    parts, places = features_to_content_parts(body)
    assert len(parse_content_parts(parts).images) == len(parts)
    back = content_parts_to_features(parts, places)
    assert {name: dict(rows) for name, rows in back.items()} == body
    for form in ("object", "array"):
        refs = features_to_mm_refs(body, form=form)
        assert mm_refs_to_features(refs) == body
        assert mm_refs_to_content_parts(refs) == (parts, places)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(1, 700), st.integers(1, 700)),
        min_size=1,
        max_size=4,
    )
)
def test_offsets_where_one_token_stands_for_an_image_move_with_the_expansion(
    images: list[tuple[int, int, int]],
) -> None:
    adapter = get_adapter("kimi_k25")
    layouts = [adapter.layout(width, height) for _, width, height in images]
    refs = [ref_of("kimi_k25", payload=to_builtins(layout.payload)) for layout in layouts]
    one, expanded, at, shift = [], [], 0, 0
    for (gap, _, _), layout in zip(images, layouts, strict=True):
        at += gap
        one.append((at, 1))
        expanded.append((at + shift, layout.num_tokens))
        at, shift = at + 1, shift + layout.num_tokens - 1
    single, whole = body_of(*refs, spans=one), body_of(*refs, spans=expanded)
    assert features_to_content_parts(single) == features_to_content_parts(whole)
    assert content_parts_to_features(*features_to_content_parts(whole)) == whole
    for body in (single, whole):
        assert mm_refs_to_features(features_to_mm_refs(body), placeholder="single") == single


def test_a_convention_is_no_matter_for_families_without_one() -> None:
    body = body_of(ref_of("qwen_vl"), spans=[(5, 300)])
    found = features_to_content_parts(body)
    assert content_parts_to_features(*found, placeholder="single") == body
    assert refusal(content_parts_to_features, *found, placeholder="x")[0] == "unsupported_option"


def test_what_is_missing_is_named() -> None:
    other = {"type": "image_url", "url": "data:image/png;base64,AAAA"}
    places = {"image": [{"offset": 5, "length": 64}]}
    assert refusal(content_parts_to_features, [other], places) == ("not_convertible", "$[0].url")
    refs = [[["data:image/png;base64,AAAA", 5, 64]]]
    for work in (mm_refs_to_content_parts, mm_refs_to_features):
        assert refusal(work, refs) == ("not_convertible", "$.images[0].url")
    unknown = samples.features(samples.ref(family="acme_vl"))
    path = "$.kwargs_data.image[0].family"
    assert refusal(features_to_content_parts, unknown) == ("not_convertible", path)
    # mm_refs and content parts have the same spans, whatever the family.
    found = mm_refs_to_content_parts([[[samples.ref(family="acme_vl"), 5, 64]]])
    assert refusal(content_parts_to_features, *found) == ("not_convertible", "$[0].url.family")


def test_a_span_that_one_token_cannot_stand_for_is_refused() -> None:
    tokens = get_adapter("kimi_k25").layout(640, 480).num_tokens
    refs = [[[ref_of("kimi_k25"), 5, tokens + 1]]]
    assert refusal(mm_refs_to_features, refs, placeholder="single")[0] == "not_convertible"
    assert len(parse_mm_refs(refs).images) == 1


def test_there_must_be_room_for_the_tokens_around_a_span() -> None:
    gemma = ref_of("gemma4")
    for spans in ([(0, 300)], [(5, 300), (305, 300)]):
        body = body_of(*[gemma] * len(spans), spans=spans)
        assert refusal(features_to_content_parts, body)[0] == "placeholder_invalid"
    assert refusal(mm_refs_to_features, [[[gemma, 5, 2]]])[0] == "placeholder_invalid"
    with pytest.raises(MMRawError, match="expected a span of at least 3 tokens, got 2"):
        mm_refs_to_features([[[gemma, 5, 2]]])


def test_a_uuid_that_says_the_hash_may_go() -> None:
    ref = ref_of("qwen_vl")
    part = {"type": "image_url", "url": ref, "uuid": samples.DIGEST}
    places = {"image": [{"offset": 5, "length": 300}]}
    assert content_parts_to_features([part], places)["kwargs_data"] == {"image": [ref]}
