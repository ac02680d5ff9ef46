"""Refs in the requests of a vLLM server: the ASGI side, with a stand-in for the engine.

What needs a real server is in tests/e2e.
"""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vllm_stand_in import (
    ANIMATION,
    GENERATE,
    JPEG,
    PNG,
    QWEN,
    Answer,
    Server,
    inline,
    refusals,
    request_of,
    stored,
)

from mmraw_protocol import MMRawError
from mmraw_protocol.integrations.vllm import MMRawMiddleware, Settings
from mmraw_protocol.stores import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store of run exp42."""
    return LocalStore(tmp_path / "images", run_id="exp42")


@pytest.fixture
def server(store: LocalStore) -> Server:
    """A server with default settings."""
    return Server(store)


@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_each_ref_becomes_an_item_and_the_rest_of_the_body_stays(
    server: Server, store: LocalStore, dialect: str
) -> None:
    request = request_of(stored(store), stored(store, PNG), dialect=dialect, seed=2**63, note="ü")
    answer = server.post(request)
    assert (answer.status, answer.body, answer.pieces) == (200, b"ok", 2)
    assert server.engine.images == [[320, 200], [150, 90]]
    got = json.loads(server.engine.bodies[0])
    for body in (request, got):
        del body["features"]["kwargs_data"]
    assert got == request
    assert dict(server.engine.scopes[0]["headers"])[b"content-length"] == b"%d" % len(
        server.engine.bodies[0]
    )


def test_a_stored_image_may_be_in_an_object_store() -> None:
    store = Settings(store="memory://", run_id="exp42").open_store()
    assert store is not None
    server = Server(store)
    assert server.post(request_of(stored(store), stored(store, PNG))).status == 200
    assert server.engine.images == [[320, 200], [150, 90]]


def test_an_inline_ref_needs_no_store(server: Server, store: LocalStore) -> None:
    assert server.post(request_of(inline(store, PNG))).status == 200
    assert server.engine.images == [[150, 90]]


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
    assert server.engine.bodies == [body]


def test_other_routes_are_not_read(server: Server, store: LocalStore) -> None:
    body = json.dumps(request_of(stored(store))).encode()
    assert server.post(body, path="/v1/chat/completions", chunk=100).status == 200
    assert server.engine.bodies == [body]
    assert server.engine.chunks == -(-len(body) // 100)


def test_the_route_is_found_below_a_root_path(server: Server, store: LocalStore) -> None:
    path = "/api" + GENERATE
    assert server.post(request_of(stored(store)), path=path, root_path="/api").status == 200
    assert server.engine.images == [[320, 200]]


def test_every_bad_ref_is_refused_with_its_code_and_index_and_never_reaches_vllm(
    server: Server, store: LocalStore
) -> None:
    for code, request in refusals(store):
        answer = server.post(request)
        assert answer.code == (400, code, 1), code
        assert answer.error["type"] == "invalid_mm_image_ref"
        assert answer.error["code"] == 400
        assert answer.error["param"].startswith("features.kwargs_data.image[1]")
        assert server.metric("mmraw_refused_requests_total", code=code) >= 1
    assert server.engine.bodies == []
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
        ({"kwargs_data": None}, "invalid_type"),
    ],
)
def test_features_that_do_not_fit_together_are_refused(
    server: Server, store: LocalStore, change: dict[str, Any], code: str
) -> None:
    request = request_of(stored(store))
    request["features"] |= change
    answer = server.post(request)
    assert (answer.status, answer.error["mmraw"]["code"]) == (400, code)
    assert server.engine.bodies == []


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


def test_tensors_pass_only_where_refs_only_is_off(store: LocalStore) -> None:
    tensors = request_of("QUJD", "QUJD")
    assert Server(store).post(tensors).code == (400, "not_a_ref", 0)
    lenient = Server(store, refs_only=False)
    lenient.post(tensors)
    assert json.loads(lenient.engine.bodies[0]) == tensors
    cached = request_of("QUJD")
    cached["features"]["kwargs_data"] = None
    assert Server(store).post(cached).status == 400
    lenient.post(cached)
    assert json.loads(lenient.engine.bodies[1]) == cached


def test_images_by_url_pass_only_where_refs_only_is_off(store: LocalStore) -> None:
    body = {"token_ids": [1], "content_parts": [{"type": "image_url", "url": "x", "uuid": "y"}]}
    assert Server(store).post(body).code == (400, "not_a_ref", None)
    lenient = Server(store, refs_only=False)
    lenient.post(body)
    assert json.loads(lenient.engine.bodies[0]) == body
    assert Server(store).post(body | {"content_parts": None}).status == 200
    assert Server(store).post(b'{"token_ids":[1],"content_parts":[ ]}').status == 200


def test_refs_and_tensors_are_never_mixed(store: LocalStore) -> None:
    for refs_only in (True, False):
        server = Server(store, refs_only=refs_only)
        answer = server.post(request_of(stored(store), "QUJD"))
        assert answer.code == (400, "not_a_ref", 1)
        assert server.engine.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"token_ids":[1],"features":{"kwargs_data":{"image":["QUJD"]}},"x":NaN}',
        '{"token_ids":[1],"features":{"kwargs_data":{"image":["QUJD"]}}}'.encode("utf-16"),
        b"[" * 100_000,
        b"",
    ],
    ids=["NaN", "UTF-16", "nested", "empty"],
)
def test_a_body_that_two_readers_may_read_differently_is_refused(
    server: Server, body: bytes
) -> None:
    assert server.post(body).code == (400, "invalid_json", None)
    assert server.engine.bodies == []


def test_of_a_field_that_occurs_twice_vllm_sees_the_one_that_was_checked(
    server: Server, store: LocalStore
) -> None:
    request = request_of(stored(store))
    tensors = json.dumps(request_of("QUJD")["features"])
    text = json.dumps(request).replace('{"token_ids"', '{"features": ' + tensors + ', "token_ids"')
    assert server.post(text.encode()).status == 200
    assert server.engine.images == [[320, 200]]
    assert b"QUJD" not in server.engine.bodies[0]


def test_a_body_that_is_too_long_is_refused_while_it_is_read(store: LocalStore) -> None:
    server = Server(store, max_body_bytes=1000)
    announced = asyncio.run(server.exchange(GENERATE, [(b"content-length", b"1001")], waiting=[]))
    assert announced.code == (400, "limit_exceeded", None)
    piece = {"type": "http.request", "body": b" " * 600, "more_body": True}
    waiting = [dict(piece) for _ in range(100)]
    assert asyncio.run(server.exchange(GENERATE, [], waiting)).code[1] == "limit_exceeded"
    assert len(waiting) == 98
    assert server.engine.bodies == []


def test_a_client_that_leaves_is_not_answered(server: Server) -> None:
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert asyncio.run(server.exchange(GENERATE, [], messages)) == Answer(0, b"", 0)


def test_a_slow_image_holds_up_nobody_else(server: Server, store: LocalStore) -> None:
    async def scenario() -> tuple[Answer, bool, Answer]:
        server.items.gate.clear()
        slow = asyncio.create_task(server.send(request_of(stored(store))))
        await asyncio.to_thread(server.items.started.wait, 30)
        quick = await server.send(b'{"token_ids":[1]}')
        waited = not slow.done()
        server.items.gate.set()
        return quick, waited, await slow

    quick, waited, slow = asyncio.run(scenario())
    assert (quick.status, waited, slow.status) == (200, True, 200)


def test_an_image_that_comes_again_is_made_once(server: Server, store: LocalStore) -> None:
    ref = stored(store)
    for _ in range(3):
        assert server.post(request_of(ref, ref)).status == 200
    assert server.items.made == [(320, 200)]
    labels = {"family": "qwen_vl", "source": "stored"}
    assert server.metric("mmraw_images_total", cache="miss", **labels) == 1
    assert server.metric("mmraw_images_total", cache="hit", **labels) == 5
    assert server.metric("mmraw_cache_bytes") == 320 * 200
    assert server.metric("mmraw_image_seconds_count") == 1


def test_a_hit_skips_no_check(server: Server, store: LocalStore) -> None:
    assert server.post(request_of(stored(store))).status == 200
    for code, request in refusals(store):
        assert server.post(request).code[1] == code


def test_the_cache_is_bounded_and_can_be_off(store: LocalStore) -> None:
    small = Server(store, cache_bytes=320 * 200)
    off = Server(store, cache_bytes=0)
    for ref in (stored(store), stored(store, PNG), stored(store)):
        small.post(request_of(ref))
        off.post(request_of(ref))
        assert small.metric("mmraw_cache_bytes") <= 320 * 200
    assert len(small.items.made) == len(off.items.made) == 3


def test_a_failure_is_not_cached(server: Server, store: LocalStore) -> None:
    name = store.put(JPEG)
    ref = stored(store)
    store.delete(name)
    assert server.post(request_of(ref)).code[1] == "source_unavailable"
    store.put(JPEG)
    assert server.post(request_of(ref)).status == 200


class Refusing(LocalStore):
    """A store that cannot be reached."""

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """Fails as a store does that is down."""
        raise MMRawError("store_unavailable", "the store did not answer")


def test_the_servers_own_trouble_is_told_from_a_bad_ref(store: LocalStore) -> None:
    server = Server(Refusing(store.root, run_id="exp42"))
    answer = server.post(request_of(stored(store)))
    assert answer.code == (503, "store_unavailable", 0)
    assert answer.error["type"] == "mm_image_unavailable"


def test_items_live_as_long_as_their_request(server: Server, store: LocalStore) -> None:
    server.post(request_of(stored(store)))
    (text,) = server.engine.texts(server.engine.bodies[0])
    with pytest.raises(ValueError, match="no image is known by this key"):
        server.items.handover.take(text)

    async def gone(scope: Any, receive: Any, send: Any) -> None:
        server.engine.bodies.append((await receive())["body"])
        raise RuntimeError("the engine is gone")

    server.front = gone
    with pytest.raises(RuntimeError, match="the engine is gone"):
        server.post(request_of(stored(store)))
    (text,) = server.engine.texts(server.engine.bodies[-1])
    with pytest.raises(ValueError, match="no image is known by this key"):
        server.items.handover.take(text)


def test_a_client_without_a_key_is_left_to_vllm(server: Server, store: LocalStore) -> None:
    server.keys = ["secret", "other"]
    body = json.dumps(request_of(stored(store))).encode()
    for headers in ([], [(b"authorization", b"Bearer wrong")], [(b"authorization", b"secret")]):
        server.post(body, headers=headers)
    assert server.engine.bodies == [body] * 3
    assert server.items.made == []
    server.engine.images.clear()
    server.post(body, headers=[(b"authorization", b"bearer other")])
    assert server.engine.images == [[320, 200]]


def lifespan(app: MMRawMiddleware, state: Any = None) -> list[dict[str, Any]]:
    """What a server hears when it starts the application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "lifespan", "app": SimpleNamespace(state=state)}
    asyncio.run(app(scope, receive, keep))
    return sent


def test_a_server_starts_when_all_is_well(server: Server) -> None:
    assert lifespan(server.app) == [{"type": "lifespan.startup.complete"}]


def test_a_server_with_a_wrong_setting_does_not_start_and_says_why(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMRAW_WORKERS", "many")
    (message,) = lifespan(MMRawMiddleware(server.engine))
    assert message["type"] == "lifespan.startup.failed"
    assert "MMRAW_WORKERS: expected a whole number from 1 to 256" in message["message"]
