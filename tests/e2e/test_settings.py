"""Other settings: decoding in processes, encoded handover, tensors allowed, an API key."""

import copy
import json
from typing import Any

import pytest
from conftest import Start, token_id
from exchange import GENERATE, Route, chat_tokens, generate_body, generate_tokens, render, user
from pictures import KINDS, picture

from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore

KEY = "a-key"
LARGEST = 320 * 320


@pytest.fixture
def route(start: Start, store: LocalStore) -> Route:
    """Refs for a server whose processor is told to make images smaller."""
    server = start(
        "qwen",
        f"--api-key={KEY}",
        "--mm-processor-kwargs=" + json.dumps({"max_pixels": LARGEST}),
        api_key=KEY,
        MMRAW_HANDOVER="encoded",
        MMRAW_ISOLATION="process",
        MMRAW_REFS_ONLY="false",
        MMRAW_CACHE_BYTES="0",
        MMRAW_FAMILIES="qwen_vl",
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


def with_features(request: dict[str, Any], stock: dict[str, Any], mm_hash: str) -> dict[str, Any]:
    """A request of stock tensors under a chosen hash."""
    features = copy.deepcopy(stock["features"])
    features["mm_hashes"]["image"] = [mm_hash]
    return generate_body(request["token_ids"], features)


def test_an_image_that_comes_again_is_not_encoded_again(route: Route) -> None:
    """What the encoder cache holds under a hash is taken, whatever comes with the hash.

    Another image's tensors under the hash of a known one show it: the answer is the known one's.
    It is also why refs_only refuses tensors.
    """
    server = route.server
    known, other = (KINDS["png"](picture(320, 200, seed)) for seed in (21, 22))
    first = [user(known, "what is it?")]
    request = route.request(first, render(server, first)["token_ids"])
    generate_tokens(server, request)
    # Another beginning, so that no prefix of the prompt is known.
    again, tensors = ([user("look here:", image, "what is it?")] for image in (known, other))
    stock = render(server, tensors)
    mm_hash = request["features"]["mm_hashes"]["image"][0]
    poisoned = generate_tokens(server, with_features(stock, stock, mm_hash))
    honest = generate_tokens(server, with_features(stock, stock, "f" * 32))
    assert honest == chat_tokens(server, tensors)
    assert poisoned == chat_tokens(server, again)
    assert poisoned != honest
