"""Refs in the features of a generate request: the same request with refs as URLs, or a refusal.

What needs a real server is in tests/e2e.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from vllm_package import install
from vllm_stand_in import (
    ANIMATION,
    GENERATE,
    JPEG,
    JSON,
    PAD,
    PNG,
    QWEN,
    Answer,
    Server,
    inline,
    metric,
    refusals,
    request_of,
    stored,
)

from mmraw_protocol import MMRawError, format_ref, open_store
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.stores import LocalStore


@pytest.fixture
def server(store: LocalStore) -> Server:
    """A server with default settings."""
    return Server(store)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """vLLM can be imported, and nothing is served after a test."""
    install(monkeypatch)
    yield
    process.serve(None)


@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_refs_become_content_parts_and_the_rest_of_the_body_stays(
    server: Server, store: LocalStore, dialect: str
) -> None:
    request = request_of(stored(store), stored(store, PNG), dialect=dialect, seed=2**63, note="ü")
    answer = server.post(request)
    assert (answer.status, answer.body, answer.pieces) == (200, b"ok", 2)
    assert server.sizes == [(320, 200), (150, 90)]
    got = json.loads(server.bodies[0])
    features = request.pop("features")
    refs = features["kwargs_data"]["image"]
    assert got.pop("content_parts") == [{"type": "image_url", "url": ref} for ref in refs]
    # One target for each image; vLLM makes the whole prompt of it again.
    assert got.pop("token_ids") == [1, 2, PAD, 3, 2, PAD, 3]
    assert server.prompts[0]["prompt_token_ids"] == request.pop("token_ids")
    assert got == request
    length = dict(server.scopes[0]["headers"])[b"content-length"]
    assert length == b"%d" % len(server.bodies[0])


def test_images_stand_in_the_order_of_the_prompt_whatever_that_of_the_lists(
    server: Server, store: LocalStore
) -> None:
    request = request_of(stored(store), stored(store, PNG))
    for rows in request["features"].values():
        rows["image"].reverse()
    assert server.post(request).status == 200
    assert server.sizes == [(320, 200), (150, 90)]


def test_a_stored_image_may_be_in_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("memory://", run_id="exp42")
    monkeypatch.setattr(Settings, "open_store", lambda _: store)
    server = Server(None)
    assert server.post(request_of(stored(store), stored(store, PNG))).status == 200
    assert server.sizes == [(320, 200), (150, 90)]


def test_an_inline_ref_needs_no_store(store: LocalStore) -> None:
    server = Server(None)
    assert server.post(request_of(inline(store, PNG))).status == 200
    assert server.sizes == [(150, 90)]


@pytest.mark.parametrize(
    "body",
    [
        b'{ "token_ids":[1, 2],"sampling_params":{} }',
        b'{"token_ids":[1],"features":null}',
        b'{"token_ids":[1],"features":{"mm_hashes":{},"mm_placeholders":{},"kwargs_data":{}}}',
    ],
    ids=["no features", "null", "no image"],
)
def test_a_request_without_images_reaches_vllm_byte_by_byte(server: Server, body: bytes) -> None:
    assert server.post(body, chunk=3).status == 200
    assert server.bodies == [body]


def test_every_bad_ref_is_refused_with_its_code_and_index_and_never_reaches_the_engine(
    server: Server, store: LocalStore
) -> None:
    for code, request in refusals(store):
        before = metric("mmraw_refused_requests_total", code=code)
        answer = server.post(request)
        assert answer.code == (400, code, 1), code
        assert answer.error["type"] == "invalid_mm_image_ref"
        assert answer.error["code"] == 400
        assert answer.error["param"].startswith("features.kwargs_data.image[1]")
        assert metric("mmraw_refused_requests_total", code=code) == before + 1
    assert server.prompts == []
    assert server.post(request_of(stored(store))).status == 200


def test_an_animation_is_refused(server: Server, store: LocalStore) -> None:
    name = store.put(ANIMATION)
    ref = stored(store, raw_image_id=name, mm_hash=name[:32], payload=QWEN.layout(96, 80).payload)
    assert server.post(request_of(ref)).code == (400, "multiple_frames", 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mm_hashes": {}}, "modality_mismatch"),
        ({"mm_hashes": {"image": []}}, "lengths_differ"),
        ({"mm_placeholders": {"image": [{"offset": -1, "length": 1}]}}, "placeholder_invalid"),
        ({"mm_metadata": {"image": ["QUJD"]}}, "unknown_field"),
    ],
)
def test_features_that_do_not_fit_together_are_refused(
    server: Server, store: LocalStore, change: dict[str, Any], code: str
) -> None:
    request = request_of(stored(store))
    request["features"] |= change
    answer = server.post(request)
    assert (answer.status, answer.error["mmraw"]["code"]) == (400, code)
    assert server.bodies == []


def test_a_null_mm_metadata_is_nothing(server: Server, store: LocalStore) -> None:
    request = request_of(stored(store))
    request["features"]["mm_metadata"] = None
    assert server.post(request).status == 200


@pytest.mark.parametrize(
    "token_ids", [None, "1", [1.0], ["1"], {}], ids=["null", "text", "float", "texts", "object"]
)
def test_a_prompt_that_cannot_be_held_against_the_spans_is_refused(
    server: Server, store: LocalStore, token_ids: Any
) -> None:
    answer = server.post(request_of(stored(store)) | {"token_ids": token_ids})
    assert answer.code == (400, "invalid_type", None)


def test_tensors_pass_under_names_that_are_the_clients_unless_refs_only(store: LocalStore) -> None:
    tensors = request_of("QUJD", "QUJD")
    assert Server(store, refs_only=True).post(tensors).code == (400, "not_a_ref", 0)
    server = Server(store)
    names = ["client-" + name for name in tensors["features"]["mm_hashes"]["image"]]
    cached = request_of("QUJD", "QUJD")
    cached["features"]["kwargs_data"] = None
    for request in (tensors, cached):
        assert server.post(request).status == 200
        request["features"]["mm_hashes"]["image"] = names
        assert json.loads(server.bodies[-1]) == request


@pytest.mark.parametrize(
    "features", [[1], "mm_hashes", {"mm_hashes": 5}, {"mm_hashes": {"image": 5}}]
)
def test_features_of_another_shape_are_vllms_to_refuse(store: LocalStore, features: Any) -> None:
    body = json.dumps({"token_ids": [1], "features": features, "note": "mm_hashes"}).encode()
    server = Server(store)
    assert server.post(body).status == 200
    assert json.loads(server.bodies[0]) == json.loads(body)
    assert Server(store, refs_only=True).post(body).status in (200, 400)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_names_are_the_clients_however_they_are_spelt(store: LocalStore, encoding: str) -> None:
    text = json.dumps(request_of("QUJD")).replace("mm_hashes", "mm_h\\u0061shes")
    server = Server(store)
    assert server.post(text.encode()).status == 200
    names = json.loads(server.bodies[0])["features"]["mm_hashes"]["image"]
    assert [name.startswith("client-") for name in names] == [True]
    # Strict JSON rejects this text; vLLM would read it.
    answer = server.post(text.encode(encoding))
    assert answer.code == (400, "invalid_json", None)


def test_a_ref_may_be_spelt_with_escapes(server: Server, store: LocalStore) -> None:
    text = json.dumps(request_of(stored(store))).replace("mmraw:", "\\u006dmraw:")
    assert server.post(text.encode()).status == 200
    assert server.sizes == [(320, 200)]


def test_features_and_content_parts_exclude_each_other(server: Server, store: LocalStore) -> None:
    request = request_of(stored(store), content_parts=[{"type": "image_url", "url": "x"}])
    assert server.post(request).code == (400, "invalid_value", None)
    assert server.post(request_of(stored(store), content_parts=[])).status == 200


def test_a_model_whose_prompts_cannot_be_foretold_takes_no_features(
    server: Server, store: LocalStore
) -> None:
    server.serve(no_features="features take no refs of this model: it writes prompts again")
    answer = server.post(request_of(stored(store)))
    assert answer.code == (400, "unsupported_option", None)
    assert "writes prompts again" in answer.error["message"]
    assert server.post(request_of("QUJD")).status == 200


def test_what_vllm_expands_otherwise_never_reaches_the_engine(
    server: Server, store: LocalStore
) -> None:
    server.renderer.first = [7]
    answer = server.post(request_of(stored(store)))
    assert answer.code == (400, "span_mismatch", None)
    assert server.prompts == []
    # The engine has no picture that vLLM now believes to be there.
    assert len(server.renderer.mm_processor_cache.invalidated) == 1


def test_tokens_of_images_stand_in_their_places_alone(server: Server, store: LocalStore) -> None:
    request = request_of(stored(store))
    request["token_ids"].append(PAD)
    assert server.post(request).code == (400, "span_mismatch", None)


def test_refs_and_tensors_are_never_mixed(store: LocalStore) -> None:
    for refs_only in (True, False):
        server = Server(store, refs_only=refs_only)
        answer = server.post(request_of(stored(store), "QUJD"))
        assert answer.code == (400, "not_a_ref", 1)
        assert server.bodies == []


def test_a_body_that_two_readers_may_read_differently_is_refused(server: Server) -> None:
    features = b'{"token_ids":[1],"features":{"kwargs_data":{"image":["QUJD"]}},"mm_hashes":NaN}'
    assert server.post(features).code == (400, "invalid_json", None)
    assert server.bodies == []


def test_of_a_field_that_occurs_twice_vllm_sees_the_one_that_was_checked(
    server: Server, store: LocalStore
) -> None:
    request = request_of(stored(store))
    tensors = json.dumps(request_of("QUJD")["features"])
    text = json.dumps(request).replace('{"token_ids"', '{"features": ' + tensors + ', "token_ids"')
    assert server.post(text.encode()).status == 200
    assert server.sizes == [(320, 200)]
    assert b"QUJD" not in server.bodies[0]


def test_a_body_that_is_too_long_is_refused_while_it_is_read(store: LocalStore) -> None:
    server = Server(store, max_body_bytes=1000)
    length = (b"content-length", b"1001")
    announced = asyncio.run(server.exchange(GENERATE, [JSON, length], waiting=[]))
    assert announced.error["message"].startswith("limit_exceeded: ")
    piece = {"type": "http.request", "body": b" " * 600, "more_body": True}
    waiting = [dict(piece) for _ in range(100)]
    answer = asyncio.run(server.exchange(GENERATE, [JSON], waiting))
    assert answer.error["message"].startswith("limit_exceeded: ")
    assert len(waiting) == 98
    assert server.bodies == []


def test_a_client_that_leaves_is_not_answered(server: Server) -> None:
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert asyncio.run(server.exchange(GENERATE, [JSON], messages)) == Answer(0, b"", 0)


def test_a_slow_image_holds_up_nobody_else(
    server: Server, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, started = threading.Event(), threading.Event()
    read = LocalStore.get

    def slow(*arguments: Any, **options: Any) -> bytes:
        started.set()
        assert gate.wait(30)
        return read(*arguments, **options)

    request = request_of(stored(store))
    monkeypatch.setattr(LocalStore, "get", slow)

    async def scenario() -> tuple[Answer, bool, Answer]:
        waiting = asyncio.create_task(server.send(request))
        await asyncio.to_thread(started.wait, 30)
        quick = await server.send(b'{"token_ids":[1]}')
        waited = not waiting.done()
        gate.set()
        return quick, waited, await waiting

    quick, waited, last = asyncio.run(scenario())
    assert (quick.status, waited, last.status) == (200, True, 200)


def test_an_image_that_comes_again_is_made_once(server: Server, store: LocalStore) -> None:
    ref = stored(store)
    labels = {"family": "qwen_vl", "source": "stored"}
    names = [{"cache": cache, **labels} for cache in ("miss", "hit")]
    before = [metric("mmraw_images_total", **name) for name in names]
    for _ in range(3):
        assert server.post(request_of(ref, ref)).status == 200
    after = [metric("mmraw_images_total", **name) for name in names]
    # The second image of the first request waits for the first one's making.
    assert [now - then for now, then in zip(after, before, strict=True)] in ([1, 5], [2, 4])
    assert server.images.cached_bytes == metric("mmraw_cache_bytes") == 4 * 320 * 200


def test_a_hit_skips_no_check(server: Server, store: LocalStore) -> None:
    assert server.post(request_of(stored(store))).status == 200
    for code, request in refusals(store):
        assert server.post(request).code[1] == code


def test_a_failure_is_not_cached(server: Server, store: LocalStore) -> None:
    name = store.put(JPEG)
    ref = stored(store)
    store.delete(name)
    assert server.post(request_of(ref)).code[1] == "source_unavailable"
    store.put(JPEG)
    assert server.post(request_of(ref)).status == 200


def test_the_image_that_is_refused_first_names_the_refusal(
    server: Server, store: LocalStore
) -> None:
    good, gone = stored(store), stored(store, PNG)
    store.delete(str(gone.raw_image_id))
    # The server behind raises the last error.
    assert server.post(request_of(good, gone, good)).code == (400, "source_unavailable", 1)


def test_the_servers_own_trouble_is_told_from_a_bad_ref(
    server: Server, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the store did not answer")

    request = request_of(stored(store))
    monkeypatch.setattr(LocalStore, "get", down)
    answer = server.post(request)
    assert answer.code == (503, "store_unavailable", 0)
    assert answer.error["type"] == "mm_image_unavailable"


def test_a_body_that_vllm_does_not_read_as_json_is_not_read(
    server: Server, store: LocalStore
) -> None:
    body = json.dumps({"messages": [], "image_url": format_ref(stored(store))}).encode()
    kind = (b"content-type", b"text/plain")
    assert server.post(body, path="/any", headers=[kind], chunk=100).status == 200
    assert (server.bodies, server.requests) == ([body], [None])
