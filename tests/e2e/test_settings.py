"""Other settings: decoding in processes, a processor told otherwise, an API key, an identity;
vLLM's own bound on what the media of a request decode to."""

import json
from importlib import metadata

import pytest
from conftest import Start, token_id
from exchange import GENERATE, Route, chat_tokens, generate_tokens, render, user
from pictures import KINDS, picture
from urls import Urls, data_url
from urls import user as url_user

from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

KEY = "a-key"
LARGEST = 320 * 320


@pytest.fixture
def route(start: Start, store: LocalStore) -> Route:
    """Refs for a server whose processor is set to make images smaller."""
    server = start(
        "qwen",
        f"--api-key={KEY}",
        "--mm-processor-kwargs=" + json.dumps({"max_pixels": LARGEST}),
        api_key=KEY,
        MMRAW_ISOLATION="process",
        MMRAW_CACHE_BYTES="0",
        MMRAW_FAMILIES="qwen_vl",
        MMRAW_IDENTITY="mm_hash",
    )
    adapter = get_adapter("qwen_vl", {"max_pixels": LARGEST})
    return Route(server, adapter, token_id(server.model, adapter.pad_token), store)


def test_the_processor_at_hand_decides_the_layout(route: Route) -> None:
    messages = [user(KINDS["jpeg"](picture(800, 600)), "how large?")]
    stock = render(route.server, messages)
    request = route.request(messages, stock["token_ids"])
    (place,) = stock["features"]["mm_placeholders"]["image"]
    assert place["length"] <= LARGEST // 32**2
    assert request["features"]["mm_placeholders"] == stock["features"]["mm_placeholders"]
    assert generate_tokens(route.server, request) == chat_tokens(route.server, messages)
    default = Route(route.server, get_adapter("qwen_vl"), route.pad_id, route.store)
    refused = route.server.post(GENERATE, default.request(messages, stock["token_ids"]))
    assert refused.json()["error"]["mmraw"]["code"] == "fingerprint_mismatch"


def test_a_client_without_a_key_is_refused_by_vllm_and_no_image_is_touched(route: Route) -> None:
    server = route.server
    messages = [user(KINDS["jpeg"](picture(300, 200)), "who?")]
    request = route.request(messages, render(server, messages)["token_ids"])
    before = server.metric("mmraw_image_seconds_count")
    refused = server.http.post(GENERATE, json=request, headers={"Authorization": "Bearer other"})
    assert refused.status_code == 401
    assert server.metric("mmraw_image_seconds_count") == before
    generate_tokens(server, request)
    assert server.metric("mmraw_image_seconds_count") == before + 1


def test_a_server_may_file_pictures_under_their_hashes_for_a_router(route: Route) -> None:
    urls = Urls(route.server, route.adapter, route.pad_id, route.store)
    data = KINDS["jpeg"](picture(300, 200, 2))
    rendered = render(route.server, [url_user(urls.ref(data), "who?")])
    assert rendered["features"]["mm_hashes"]["image"] == [sha256_hex(data)[:32]]


def test_refs_count_in_what_the_media_of_a_request_may_decode_to(
    start: Start, store: LocalStore
) -> None:
    (package,) = metadata.packages_distributions()["vllm"]
    if tuple(map(int, metadata.version(package).split(".")[:2])) < (0, 33):
        pytest.skip("vLLM bounds it from 0.33 on")
    server = start("qwen", VLLM_MAX_MEDIA_REQUEST_DECODE_BYTES=str(2 * 4 * 320 * 200))
    adapter = get_adapter("qwen_vl", server.model)
    urls = Urls(server, adapter, token_id(server.model, adapter.pad_token), store)
    one, two, three = (KINDS["png"](picture(320, 200, seed)) for seed in range(3))
    urls.chat_tokens([url_user(urls.ref(one), urls.ref(two))])
    for images in ([urls.ref(one), urls.ref(two), urls.ref(three)], [data_url(one)] * 2):
        answer = urls.chat([url_user(*images, urls.ref(one))])
        assert answer.status_code == 400
        assert "VLLM_MAX_MEDIA_REQUEST_DECODE_BYTES" in answer.json()["error"]["message"]
