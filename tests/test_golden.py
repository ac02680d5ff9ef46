"""Read this first: a text goes in, a value comes out, for each kind of document in turn.

A ref is the text that stands for one image. The image here is named `cat.png` in a store, or is the
eight bytes `iVBORw0KGgo=` inside the text; its 16 x 16 patches are a payload of the family Qwen-VL.
"""

import json
from base64 import urlsafe_b64encode

import pytest

from mmraw_protocol import (
    MMRawError,
    QwenVlPayload,
    RawMMRef,
    build_features,
    convert_ref,
    format_ref,
    parse_features,
    parse_item,
    parse_ref,
)

PAYLOAD = QwenVlPayload(image_grid_thw=((1, 16, 16),))
FINGERPRINT, HASH = "c2f096345b0d84e6", "67f463a70fcc80e6"
#: The content of refs of most dialects, as JSON without its last fields.
JSON = (
    '{"family":"qwen_vl","fingerprint":"c2f096345b0d84e6","mm_hash":"67f463a70fcc80e6",'
    '"modality":"image","payload":{"image_grid_thw":[[1,16,16]]},'
)


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def says(ref: RawMMRef, **sources: str) -> bool:
    """True if a ref says what all refs here say, and names these sources."""
    common = {"family": "qwen_vl", "fingerprint": FINGERPRINT, "mm_hash": HASH, "payload": PAYLOAD}
    return ref == RawMMRef(dialect=ref.dialect, modality="image", **common, **sources)  # pyright: ignore


def test_v3_is_canonical_json_in_base64url() -> None:
    text = "mmraw:v3:" + encoded(JSON + '"raw_image_id":"cat.png","run_id":"exp42"}')
    assert says(parse_ref(text), raw_image_id="cat.png", run_id="exp42")
    assert format_ref(parse_ref(text)) == text


def test_v3_may_carry_its_image() -> None:
    text = "mmraw:v3:" + encoded(
        JSON + '"raw_uri":"data:image/png;base64,iVBORw0KGgo=","run_id":"r"}'
    )
    assert says(parse_ref(text), raw_uri="data:image/png;base64,iVBORw0KGgo=", run_id="r")
    assert parse_ref(text).is_inline


def test_v3_without_a_run_is_a_dialect_of_its_own() -> None:
    text = "mmraw:v3:" + encoded(JSON + '"raw_image_id":"cat.png"}')
    assert says(parse_ref(text), raw_image_id="cat.png")
    assert parse_ref(text).dialect == "v3-runless"


def test_v2_is_seven_segments() -> None:
    head = f"mmraw:v2:exp42:qwen_vl:{FINGERPRINT}:image:{HASH}:cat.png:"
    text = head + encoded('{"image_grid_thw":[[1,16,16]]}')
    assert says(parse_ref(text), raw_image_id="cat.png", run_id="exp42")


def test_v1_is_six_segments_of_one_family() -> None:
    text = f"mmraw:v1:exp42:{FINGERPRINT}:image:{HASH}:cat.png:1x16x16"
    assert says(parse_ref(text), raw_image_id="cat.png", run_id="exp42")
    assert parse_ref(text).family == "qwen_vl"


def test_a_ref_without_version_names_a_file() -> None:
    text = "mmraw:" + encoded(JSON + '"raw_image_uri":"file:///images/cat.png"}')
    assert says(parse_ref(text), raw_uri="file:///images/cat.png")
    assert parse_ref(text).stored_name == "cat.png"


def test_a_ref_without_version_may_be_json_that_carries_its_image() -> None:
    text = f'mmraw:{JSON}"raw_image_data":"data:image/png;base64,iVBORw0KGgo="}}'
    assert says(parse_ref(text), raw_uri="data:image/png;base64,iVBORw0KGgo=")
    assert parse_ref(text).dialect == "unversioned-data"


ENVELOPE = (
    '{"kind":"prime_raw_mm_item","version":1,"modality":"image","family":"qwen_vl",'
    '"layout_fingerprint":"c2f096345b0d84e6","payload":{"image_grid_thw":[[1,16,16]]},'
    '"raw_image_id":"cat.png"}'
)


def test_an_envelope_is_what_a_renderer_hands_on() -> None:
    item = parse_item(ENVELOPE)
    assert (item.family, item.payload, item.raw_image_id) == ("qwen_vl", PAYLOAD, "cat.png")
    assert item.to_dict() == json.loads(ENVELOPE)


REF = "mmraw:v3:" + encoded(JSON + '"raw_image_id":"cat.png","run_id":"exp42"}')
BODY = {
    "kwargs_data": {"image": [REF]},
    "mm_hashes": {"image": [HASH]},
    "mm_placeholders": {"image": [{"length": 64, "offset": 5}]},
}


def test_a_features_body_carries_the_refs_of_a_prompt() -> None:
    (slot,) = parse_features(json.dumps(BODY)).slots()
    assert slot.ref == parse_ref(REF)
    assert (slot.placeholder.offset, slot.placeholder.length) == (5, 64)


def test_a_features_body_is_built_of_envelopes() -> None:
    items = {"mm_items": {"image": [json.loads(ENVELOPE)]}}
    beside = {"mm_hashes": BODY["mm_hashes"], "mm_placeholders": BODY["mm_placeholders"]}
    assert build_features({**items, **beside}, run_id="exp42") == BODY


def test_a_ref_is_converted_to_another_dialect() -> None:
    text = convert_ref(REF, "v2")
    assert text.startswith(f"mmraw:v2:exp42:qwen_vl:{FINGERPRINT}:image:{HASH}:cat.png:")
    assert convert_ref(text, "v3") == REF


def test_a_broken_ref_is_rejected_with_code_and_path() -> None:
    with pytest.raises(MMRawError) as caught:
        parse_ref("mmraw:v3:" + encoded(JSON + '"raw_image_id":"../cat.png","run_id":"exp42"}'))
    assert (caught.value.code, caught.value.path) == ("invalid_raw_image_id", "$.raw_image_id")
