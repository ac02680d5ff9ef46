"""A stock server refuses every bad ref with its code, and goes on answering."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from exchange import GENERATE, Route, generate_tokens, render, user
from pictures import KINDS, picture

from mmraw_protocol import RawMMRef, format_ref, parse_ref
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.stores import LocalStore

GOOD = KINDS["jpeg"](picture(320, 200, 7))
OTHER = KINDS["png"](picture(640, 320, 8))
BAD_IMAGES = sorted((vectors_folder() / "bad_images").iterdir())


@pytest.fixture
def request_of_two(qwen_route: Route) -> dict[str, Any]:
    """A request with two good images."""
    messages = [user(GOOD, "and", OTHER)]
    return qwen_route.request(messages, render(qwen_route.server, messages)["token_ids"])


def changed(request: dict[str, Any], text: str | None) -> dict[str, Any]:
    """The request with another ref for the second image."""
    copy = json.loads(json.dumps(request))
    copy["features"]["kwargs_data"]["image"][1] = text
    return copy


def damaged(store: LocalStore) -> str:
    """The name of a stored image whose file was overwritten."""
    name = store.put(KINDS["webp"](picture(64, 64, 9)))
    (store.root / name).write_bytes(GOOD)
    return name


def bad_requests(request: dict[str, Any], route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    """A request for each check of the server, and the code that refuses it."""
    ref = parse_ref(request["features"]["kwargs_data"]["image"][1])

    def with_ref(**changes: Any) -> dict[str, Any]:
        return changed(request, format_ref(msgspec.structs.replace(ref, raw_uri=None, **changes)))

    yield "not_a_ref", changed(request, "QUJD")
    yield "unsupported_dialect", changed(request, "mmraw:v9:x")
    yield "invalid_base64", changed(request, "mmraw:v3:e31")
    yield "missing_slot", changed(request, None)
    yield "modality_mismatch", with_ref(modality="vision_chunk")
    yield "hash_mismatch", with_ref(mm_hash="0" * 32)
    yield "run_mismatch", with_ref(run_id="exp43")
    yield "source_unavailable", with_ref(raw_image_id="0" * 64 + ".png")
    yield "object_corrupt", with_ref(raw_image_id=damaged(route.store))
    yield "unknown_family", with_ref(family="kimi_k25", payload={"grid_thws": [[1, 20, 40]]})
    yield "fingerprint_mismatch", with_ref(fingerprint="0" * 32)
    yield "grid_mismatch", with_ref(payload=route.adapter.layout(320, 640).payload)
    for code, change in (
        ("placeholder_mismatch", {"length": -1}),
        ("span_mismatch", {"offset": 1}),
    ):
        copy = changed(request, request["features"]["kwargs_data"]["image"][1])
        place = copy["features"]["mm_placeholders"]["image"][1]
        for name, step in change.items():
            place[name] += step
        yield code, copy
    beyond = changed(request, request["features"]["kwargs_data"]["image"][1])
    end = sum(beyond["features"]["mm_placeholders"]["image"][1].values())
    yield "placeholder_invalid", beyond | {"token_ids": beyond["token_ids"][: end - 1]}


def test_every_class_of_bad_ref_gets_its_answer(
    qwen_route: Route, request_of_two: dict[str, Any]
) -> None:
    server = qwen_route.server
    before = generate_tokens(server, request_of_two)
    for code, request in bad_requests(request_of_two, qwen_route):
        answer = server.post(GENERATE, request)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "invalid_mm_image_ref"), code
        assert (error["mmraw"]["code"], error["mmraw"]["index"]) == (code, 1)
        assert server.metric("mmraw_refused_requests_total", code=code) >= 1
        assert server.is_healthy()
    assert generate_tokens(server, request_of_two) == before


def test_no_bad_image_reaches_the_engine(qwen_route: Route, request_of_two: dict[str, Any]) -> None:
    server = qwen_route.server
    ref = parse_ref(request_of_two["features"]["kwargs_data"]["image"][1])
    for path in BAD_IMAGES:
        data = path.read_bytes()
        name = qwen_route.store.put(data)
        # No image of that folder has this layout, so even the whole ones are refused.
        bad = msgspec.structs.replace(ref, raw_uri=None, raw_image_id=name, mm_hash=name[:32])
        request = changed(request_of_two, format_ref(bad))
        request["features"]["mm_hashes"]["image"][1] = name[:32]
        answer = server.post(GENERATE, request)
        assert (answer.status_code, answer.json()["error"]["mmraw"]["index"]) == (400, 1), path.name
    assert server.is_healthy()
    generate_tokens(server, request_of_two)


def test_refs_and_tensors_are_never_mixed(
    qwen_route: Route, request_of_two: dict[str, Any]
) -> None:
    server = qwen_route.server
    tensors = render(server, [user(GOOD, "and", OTHER)])
    mixed = changed(request_of_two, tensors["features"]["kwargs_data"]["image"][1])
    answer = server.post(GENERATE, mixed)
    assert answer.json()["error"]["mmraw"] == {
        "code": "not_a_ref",
        "modality": "image",
        "index": 1,
        "path": "$.kwargs_data.image[1]",
    }


def test_a_request_without_images_is_vllms_own(qwen_route: Route) -> None:
    server = qwen_route.server
    token_ids = render(server, [user("hello")])["token_ids"]
    body = {"model": "tiny", "token_ids": token_ids, "sampling_params": {"max_tokens": 4}}
    for features in ({}, {"features": None}):
        assert server.post(GENERATE, body | features).status_code == 200
    refused = server.post(GENERATE, body | {"token_ids": []})
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] != "invalid_mm_image_ref"


def test_an_answer_comes_in_a_stream_where_one_is_asked_for(
    qwen_route: Route, request_of_two: dict[str, Any]
) -> None:
    body = request_of_two | {"stream": True}
    with qwen_route.server.http.stream("POST", GENERATE, json=body) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: {")]
    tokens = [t for line in lines for t in json.loads(line[6:])["choices"][0]["token_ids"]]
    assert len(lines) > 1
    assert tokens == generate_tokens(qwen_route.server, request_of_two)


def test_an_image_that_cannot_be_laid_out_is_refused_before_the_processor_sees_it(
    qwen_route: Route, request_of_two: dict[str, Any]
) -> None:
    ref = parse_ref(request_of_two["features"]["kwargs_data"]["image"][1])
    data = KINDS["png"](picture(603, 3))
    bad: RawMMRef = msgspec.structs.replace(
        ref, raw_uri=None, raw_image_id=qwen_route.store.put(data), mm_hash="0" * 32
    )
    bad = msgspec.structs.replace(bad, mm_hash=str(bad.raw_image_id)[:32])
    request = changed(request_of_two, format_ref(bad))
    request["features"]["mm_hashes"]["image"][1] = bad.mm_hash
    answer = qwen_route.server.post(GENERATE, request)
    assert answer.json()["error"]["mmraw"]["code"] == "aspect_ratio"


def test_an_answer_holds_what_was_asked_for(
    qwen_route: Route, request_of_two: dict[str, Any]
) -> None:
    """The prompt and its places come back only to who asks for them."""
    names = ("prompt_token_ids", "mm_placeholders")
    found = qwen_route.server.post(GENERATE, request_of_two).json()
    assert [found.get(name) for name in names] == [None, None]
    found = qwen_route.server.post(GENERATE, request_of_two | {"return_token_ids": True}).json()
    places = request_of_two["features"]["mm_placeholders"]
    assert [found[name] for name in names] == [request_of_two["token_ids"], places]
