"""Many requests at once, good and bad, and a server that comes back."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from exchange import GENERATE, Route, generate_tokens, render, user
from pictures import KINDS, picture

REQUESTS = 64
#: What the allocators of four processes may keep beyond the first rounds. An image that leaked
#: with each request would be a multiple of it.
GROWTH = 96 << 20


def requests(route: Route) -> list[dict[str, Any]]:
    """16 conversations of one to three images."""
    kinds = list(KINDS.values())
    found: list[dict[str, Any]] = []
    for index in range(16):
        images = [
            kinds[(index + step) % len(kinds)](picture(400 + 40 * index, 300 + 50 * step, index))
            for step in range(1 + index % 3)
        ]
        messages = [user(*images, "what is it?")]
        found.append(route.request(messages, render(route.server, messages)["token_ids"]))
    return found


def broken(request: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a wrong hash beside its first image."""
    features = dict(request["features"])
    hashes = ["0" * 32, *features["mm_hashes"]["image"][1:]]
    return {**request, "features": {**features, "mm_hashes": {"image": hashes}}}


def test_64_requests_at_once_good_and_bad_and_memory_stays(qwen_route: Route) -> None:
    server = qwen_route.server
    good = requests(qwen_route)
    bodies = [broken(good[i % 16]) if i % 4 == 3 else good[i % 16] for i in range(REQUESTS)]

    def status(body: Mapping[str, Any]) -> int:
        return server.post(GENERATE, body).status_code

    def round_of_all() -> list[int]:
        with ThreadPoolExecutor(REQUESTS) as pool:
            return list(pool.map(status, bodies))

    expected = [400 if i % 4 == 3 else 200 for i in range(REQUESTS)]
    for _ in range(3):
        assert round_of_all() == expected
    before = server.resident_bytes()
    for _ in range(4):
        assert round_of_all() == expected
    assert server.resident_bytes() - before < GROWTH
    assert server.metric("mmraw_cache_bytes") <= 32 << 20


def test_the_same_refs_work_after_a_crash(qwen_route: Route) -> None:
    server = qwen_route.server
    messages = [user(KINDS["webp"](picture(500, 300, 5)), "before and after?")]
    request = qwen_route.request(messages, render(server, messages)["token_ids"])
    before = generate_tokens(server, request)
    server.kill()
    server.start()
    assert generate_tokens(server, request) == before
    assert server.metric("mmraw_images_total", cache="miss", source="stored") == 1
