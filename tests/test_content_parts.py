"""Images by their URLs: the content parts of a request."""

import functools
import json
from collections import UserDict
from typing import Any

import msgspec
import pytest
import refusals
import samples
from hypothesis import given
from promises import keeps_promises

from mmraw_protocol import Limits, RefMemory, parse_content_parts, parse_ref
from mmraw_protocol.testing import content_parts, json_values
from mmraw_protocol.wire._generated.dialects import DIALECTS
from mmraw_protocol.wire.image_urls import STORE_SCHEMES, url_kind_of

refusal = functools.partial(refusals.refusal, parse_content_parts)


def part(url: Any = None, **more: Any) -> dict[str, Any]:
    """One content part; of the sample ref where no URL is given."""
    return {"type": "image_url", "url": samples.ref() if url is None else url, **more}


def test_refs_and_other_urls_stand_in_one_list() -> None:
    ref = samples.ref()
    parsed = parse_content_parts([part(ref), part("https://example.org/a.png", uuid="mine")])
    first, second = parsed.images
    assert (first.index, first.url_kind, first.ref) == (0, "ref", parse_ref(ref))
    assert (second.index, second.url_kind, second.ref, second.uuid) == (1, "other", None, "mine")
    assert parsed.to_list() == [part(ref), part("https://example.org/a.png", uuid="mine")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_ref_of_any_dialect_is_a_url(dialect: str) -> None:
    ref = samples.ref(dialect)
    (image,) = parse_content_parts(json.dumps([part(ref)])).images
    assert image.ref == parse_ref(ref)
    assert image.url == ref


@given(content_parts())
def test_parts_survive_text_bytes_and_objects(parts: list[dict[str, Any]]) -> None:
    parsed = parse_content_parts(parts)
    written = parsed.to_list()
    assert written == [{k: v for k, v in row.items() if v is not None} for row in parts]
    text = json.dumps(parts)
    for given_as in (text, text.encode(), tuple(map(UserDict, parts)), parsed, written):
        assert parse_content_parts(given_as) == parsed


@given(json_values())
def test_no_value_escapes_as_another_error(value: Any) -> None:
    for given_as in (value, json.dumps(value)):
        assert keeps_promises(parse_content_parts, given_as)


def test_a_uuid_beside_a_ref_is_its_whole_hash() -> None:
    (image,) = parse_content_parts([part(uuid=samples.DIGEST)]).images
    assert image.uuid == samples.DIGEST
    for other in ("0" * 32, samples.DIGEST[:16], samples.DIGEST.upper(), ""):
        assert refusal([part(), part(uuid=other)]) == ("hash_mismatch", "$[1].uuid")


def test_parts_that_a_server_passes_over_are_refused() -> None:
    text = {"type": "text", "text": "x"}
    assert refusal([part(), text]) == ("invalid_value", "$[1].type")
    video = part("https://example.org/a.mp4") | {"type": "video_url"}
    assert refusal([None, video]) == ("modality_unsupported", "$[1]")
    assert refusal([part(samples.ref(modality="audio"))]) == ("modality_unsupported", "$[0].url")


def test_a_broken_ref_is_refused_at_its_url() -> None:
    assert refusal([part(), part(samples.ref()[:-4])]) == ("invalid_base64", "$[1].url")
    assert refusal([part("mmfile:v1:x")]) == ("unsupported_dialect", "$[0].url")
    assert refusal([part(), None]) == ("missing_slot", "$[1]")


def test_structs_of_the_same_fields_are_parts() -> None:
    class Part(msgspec.Struct, tag_field="type", tag="image_url"):
        url: str
        uuid: str | msgspec.UnsetType | None = msgspec.UNSET

    class Bytes(msgspec.Struct, tag_field="type", tag="image_url"):
        url: bytes

    (image,) = parse_content_parts([Part(samples.ref())]).images  # pyright: ignore[reportArgumentType]
    assert image.ref == parse_ref(samples.ref())
    assert refusal([Bytes(samples.ref().encode())])[0] == "invalid_type"


def test_the_bounds_are_those_of_a_features_body() -> None:
    assert refusal([part("x")] * 3, limits=Limits(features_images=2))[0] == "limit_exceeded"
    few = Limits(features_bytes=200)
    long = json.dumps([part("x" * 201)])
    assert refusal(long, limits=few)[0] == "limit_exceeded"
    assert refusal(json.loads(long), limits=few)[0] == "limit_exceeded"
    # Values are counted before anything is built of them.
    assert refusal("[" + "0," * 30_000 + "0]")[0] == "limit_exceeded"


def test_refs_that_earlier_turns_carried_are_read_once() -> None:
    memory = RefMemory()
    first = parse_content_parts([part()], memory=memory)
    again = parse_content_parts([part(), part()], memory=memory)
    assert len(memory) == 1
    assert again.images[1].ref is first.images[0].ref


def test_kinds_of_urls_are_told_by_their_scheme() -> None:
    for scheme in STORE_SCHEMES:
        assert url_kind_of(f"{scheme}://bucket/a.png") == "store"
    assert url_kind_of("DATA:image/png;base64,AAAA") == "data"
    assert url_kind_of("file:///a.png") == "file"
    for other in ("https://example.org/a.png", "/tmp/a.png", "", " mmraw:v3:x", "MMRAW:v3:x"):
        assert url_kind_of(other) == "other"
