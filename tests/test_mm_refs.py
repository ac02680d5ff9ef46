"""Images by their URLs: the mm_refs of a rollout, in their forms and encodings."""

import base64
import functools
import json
from typing import Any

import msgspec
import pytest
import refusals
import samples
from hypothesis import given
from hypothesis import strategies as st
from promises import keeps_promises

from mmraw_protocol import Limits, parse_mm_refs, parse_ref
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.testing import json_values, mm_refs
from mmraw_protocol.wire.msgpack import is_msgpack

refusal = functools.partial(refusals.refusal, parse_mm_refs)
MSGPACK = json.loads((vectors_folder() / "msgpack" / "mm_refs.json").read_text(encoding="utf-8"))


class ImageRef(msgspec.Struct, array_like=True):
    """One image as trainers of the field hold it."""

    url: Any
    offset: Any
    length: Any


class Refs(msgspec.Struct, array_like=True):
    """The images of one rollout as trainers of the field hold them."""

    images: list[ImageRef]


def test_both_forms_say_the_same() -> None:
    ref = samples.ref()
    rows = {"images": [{"url": ref, "offset": 5, "length": 64}]}
    parsed = parse_mm_refs(rows)
    (image,) = parsed.images
    assert (image.index, image.offset, image.length) == (0, 5, 64)
    assert (image.url_kind, image.ref) == ("ref", parse_ref(ref))
    assert parse_mm_refs([[[ref, 5, 64]]]) == parsed
    assert (parsed.to_dict(), parsed.to_list()) == (rows, [[[ref, 5, 64]]])


@given(mm_refs())
def test_refs_survive_every_form_and_encoding(value: list[Any]) -> None:
    parsed = parse_mm_refs(value)
    structs = Refs([ImageRef(*row) for row in value[0]])
    for form in (parsed.to_list(), parsed.to_dict(), structs, parsed):
        assert parse_mm_refs(form) == parsed
    for form in (parsed.to_list(), parsed.to_dict(), structs):
        assert parse_mm_refs(msgspec.json.encode(form)) == parsed
        assert parse_mm_refs(msgspec.msgpack.encode(form)) == parsed
    assert msgspec.convert(parsed.to_list(), Refs) == structs


@given(json_values())
def test_no_value_escapes_as_another_error(value: Any) -> None:
    for given_as in (value, json.dumps(value), msgspec.msgpack.encode(value)):
        assert keeps_promises(parse_mm_refs, given_as)


@given(mm_refs(), st.data())
def test_damaged_messagepack_is_read_as_it_stands_or_refused(
    value: list[Any], data: st.DataObject
) -> None:
    whole = bytearray(msgspec.msgpack.encode(value))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    damaged = bytes(whole)
    # Another reader finds in accepted bytes what this one finds.
    if keeps_promises(parse_mm_refs, damaged) == "accepted" and is_msgpack(damaged):
        assert parse_mm_refs(msgspec.msgpack.decode(damaged)) == parse_mm_refs(damaged)


@pytest.mark.parametrize("case", MSGPACK, ids=lambda case: case["name"])
def test_messagepack_is_read_as_strictly_as_json(case: dict[str, Any]) -> None:
    data = base64.b64decode(case["base64"])
    if "error" in case:
        assert refusal(data)[0] == case["error"]
    else:
        assert parse_mm_refs(data) == parse_mm_refs(case["mm_refs"])


def test_spans_stand_in_the_order_of_the_prompt() -> None:
    ref = samples.ref()
    assert len(parse_mm_refs([[[ref, 0, 64], [ref, 64, 1]]]).images) == 2
    assert refusal([[[ref, 0, 64], [ref, 63, 1]]]) == ("placeholder_invalid", "$[0][1]")
    rows = [{"url": ref, "offset": at, "length": 4} for at in (9, 0)]
    assert refusal({"images": rows}) == ("placeholder_invalid", "$.images[1]")


def test_an_error_has_the_path_in_the_form_that_was_given() -> None:
    bad = samples.ref()[:-4]
    assert refusal([[[bad, 0, 1]]]) == ("invalid_base64", "$[0][0][0]")
    rows = {"images": [{"url": bad, "offset": 0, "length": 1}]}
    assert refusal(rows) == ("invalid_base64", "$.images[0].url")
    assert refusal([[None]]) == ("missing_slot", "$[0][0]")
    assert refusal({"images": [None]}) == ("missing_slot", "$.images[0]")
    assert refusal(Refs([ImageRef(b"x", 0, 1)]))[0] == "invalid_type"


def test_the_bounds_are_those_of_a_features_body() -> None:
    rows = [[["x", at, 1] for at in range(3)]]
    for given_as in (rows, json.dumps(rows), msgspec.msgpack.encode(rows)):
        assert refusal(given_as, limits=Limits(features_images=2))[0] == "limit_exceeded"
    long = [[["x" * 201, 0, 1]]]
    for given_as in (long, json.dumps(long), msgspec.msgpack.encode(long)):
        assert refusal(given_as, limits=Limits(features_bytes=200))[0] == "limit_exceeded"
    # A text is not looked into where it is too long.
    padded = json.dumps([[["x", 0, 1]]]) + " " * 200
    assert refusal(padded, limits=Limits(features_bytes=200))[0] == "limit_exceeded"


def test_a_decoded_value_is_what_a_strict_text_could_say() -> None:
    assert refusal([[["x\ud800", 0, 1]]])[0] == "invalid_encoding"
    assert refusal({"images": [{"url": "x", "offset": 0, "length": float("nan")}]}) == (
        "invalid_value",
        "$",
    )
