"""Many requests at once, good and bad, and a server that comes back."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from exchange import GENERATE, Route, generate_tokens, render, user
from pictures import KINDS, picture

REQUESTS = 64
#: The most that four rounds may add once memory is flat. Were the images of each request kept, they
#: would add a multiple of it in any four rounds.
GROWTH = 64 << 20
#: Allocators take some rounds of 64 requests until they have what they keep.
ROUNDS = 20


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
    resident: list[int] = []
    while len(resident) < 5 or resident[-1] - resident[-5] >= GROWTH:
        assert len(resident) < ROUNDS, f"memory is not flat: {[n >> 20 for n in resident]} MiB"
        assert round_of_all() == expected
        resident.append(server.resident_bytes())
    print("MiB after each round:", [n >> 20 for n in resident])
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
