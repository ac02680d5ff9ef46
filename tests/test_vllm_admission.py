"""Requests that the plugin rejects before it reads, that wait, and that end early."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from samples import JPEG
from samples import RGBA as PNG
from vllm_package import install
from vllm_stand_in import GENERATE, JSON, QWEN, Server, metric, request_of, stored

from mmraw_protocol import MMRawError, RawMMRef, format_ref
from mmraw_protocol.integrations.serving.admission import Admission, Loads
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.integrations.vllm.requests import RefRequests
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.system.budget import Budget

RETRY = (b"retry-after", b"1")


class Reads:
    """A store whose reading can be held up, counted."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.priorities: list[int] = []
        self.quick = ""
        self.gate = threading.Event()
        self.gate.set()
        read = LocalStore.get

        def get(store: LocalStore, name: str, **options: Any) -> bytes:
            self.names.append(name)
            if sys.platform == "linux":
                self.priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            if name != self.quick and not self.gate.wait(30):
                self.gate.set()
                raise AssertionError("nobody let the reading go on")
            return read(store, name, **options)

        patch.setattr(LocalStore, "get", get)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Records the reads of stores."""
    install(monkeypatch)
    found = Reads(monkeypatch)
    yield found
    found.gate.set()
    process.serve(None)


def urls_of(*refs: RawMMRef) -> dict[str, Any]:
    """A chat request with refs as URLs."""
    parts = [{"type": "image_url", "image_url": {"url": format_ref(ref)}} for ref in refs]
    return {"messages": [{"role": "user", "content": parts}]}


def parts_of(*refs: RawMMRef) -> dict[str, Any]:
    """A generate request with refs as content parts."""
    parts = [{"type": "image_url", "url": format_ref(ref)} for ref in refs]
    return {"token_ids": [151655] * len(refs), "content_parts": parts}


def tokens(ref: RawMMRef) -> int:
    """Returns how many tokens its image has."""
    return QWEN.num_tokens(ref.payload)


async def until(condition: Any) -> None:
    """Lets everything else go on until a condition holds."""
    while not condition():
        await asyncio.sleep(0.001)


def test_what_vllm_would_refuse_anyway_is_refused_before_anything_is_read(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store)
    one, other = stored(store), stored(store, PNG)
    request = request_of(one, other)
    server.serve(most_tokens=len(request["token_ids"]) - 1)
    assert server.post(request).code == (400, "limit_exceeded", None)
    server.serve(most_tokens=tokens(one) + tokens(other) - 1)
    assert server.post(urls_of(one, other), path="/v1/chat/completions").status == 400
    assert server.post(urls_of(one), path="/v1/chat/completions").status == 200
    server.serve(most_images=1)
    assert server.post(request).code == (400, "limit_exceeded", None)
    assert server.post(urls_of(one, one), path="/v1/chat/completions").status == 400
    assert reads.names == []


def test_several_conversations_in_a_request_are_several_prompts(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store)
    ref = stored(store)
    server.serve(most_tokens=tokens(ref), most_images=1)
    both = {"messages": [urls_of(ref)["messages"], urls_of(ref)["messages"]]}
    assert server.post(both, path="/v1/chat/completions/batch").status == 200


def test_the_first_refused_image_ends_the_reading_of_the_others(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store, workers=1, cache_bytes=0, image_seconds=300)
    refs = [stored(store, JPEG + bytes(n)) for n in range(1, 30)]
    gone = stored(store, PNG)
    store.delete(str(gone.raw_image_id))
    reads.quick = str(gone.raw_image_id)
    reads.gate.clear()

    async def refused() -> Any:
        answer = await server.send(request_of(gone, *refs))
        reads.gate.set()
        await until(lambda: server.images.admission.bytes.used == 0)
        return answer

    assert asyncio.run(refused()).code == (400, "source_unavailable", 0)
    # The one whose reading had begun when the first was refused.
    assert len(reads.names) <= 2


def test_a_client_that_leaves_ends_its_reading_and_frees_what_it_held(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store, workers=1, cache_bytes=0)
    reads.gate.clear()
    refs = [stored(store, JPEG + bytes(n)) for n in range(1, 30)]

    async def leave() -> None:
        body = server_body(request_of(*refs))
        gone = asyncio.Event()

        async def receive() -> Any:
            if body:
                return body.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "POST", "path": GENERATE, "headers": [JSON]}
        counted = metric("mmraw_disconnects_total")
        serving = asyncio.create_task(RefRequests(server.app)(scope, receive, send))
        await until(lambda: reads.names)
        gone.set()
        await serving
        assert metric("mmraw_disconnects_total") == counted + 1
        # The thread that reads cannot be stopped; what it holds is held until it ends.
        assert server.images.admission.bytes.used > 0
        reads.gate.set()
        await until(lambda: server.images.admission.bytes.used == 0)

    asyncio.run(leave())
    assert len(reads.names) == 1


def server_body(document: Any) -> list[dict[str, Any]]:
    """The one message of a body."""
    return [{"type": "http.request", "body": json.dumps(document).encode(), "more_body": False}]


def test_past_the_queue_a_request_is_told_to_come_again(reads: Reads, store: LocalStore) -> None:
    server = Server(store, workers=1, inflight_images=1, queue=1)
    refs = [stored(store, JPEG + bytes(n)) for n in range(3)]

    async def three() -> Any:
        reads.gate.clear()
        first = [asyncio.create_task(server.send(request_of(ref))) for ref in refs[:2]]
        await until(lambda: reads.names)
        await asyncio.sleep(0)
        assert [metric("mmraw_in_flight", what=w) for w in ("images", "queued")] == [1, 1]
        assert metric("mmraw_in_flight", what="bytes") == server.images.admission.bytes.used > 0
        refused = await server.send(request_of(refs[2]))
        as_url = await server.send(parts_of(refs[2]))
        reads.gate.set()
        return refused, as_url, await asyncio.gather(*first)

    refused, as_url, others = asyncio.run(three())
    assert refused.code == (503, "server_unavailable", 0)
    assert as_url.status == 503
    assert RETRY in refused.headers
    assert RETRY in as_url.headers
    assert [answer.status for answer in others] == [200, 200]
    assert RETRY not in others[0].headers
    assert [metric("mmraw_in_flight", what=w) for w in ("images", "queued", "bytes")] == [0, 0, 0]


def test_an_image_that_takes_too_long_is_given_up(reads: Reads, store: LocalStore) -> None:
    server = Server(store, image_seconds=0.05)
    reads.gate.clear()

    async def slow() -> Any:
        answer = await server.send(request_of(stored(store)))
        reads.gate.set()
        await until(lambda: server.images.admission.bytes.used == 0)
        return answer

    assert asyncio.run(slow()).code == (503, "server_unavailable", 0)


def test_a_cached_image_waits_for_no_other(reads: Reads, store: LocalStore) -> None:
    server = Server(store, workers=1, inflight_images=1, queue=0)
    kept, slow = request_of(stored(store)), request_of(stored(store, PNG))

    async def beside() -> Any:
        assert (await server.send(kept)).status == 200
        reads.gate.clear()
        waiting = asyncio.create_task(server.send(slow))
        await until(lambda: len(reads.names) == 2)
        again = await server.send(kept)
        assert not waiting.done()
        reads.gate.set()
        return again, await waiting

    assert [answer.status for answer in asyncio.run(beside())] == [200, 200]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_the_event_loop_goes_before_the_threads_that_read_and_decode(
    reads: Reads, store: LocalStore
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert Server(store).post(request_of(stored(store))).status == 200
    assert reads.priorities == [min(19, own + 5)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_images_that_take_more_than_all_may_hold_are_not_decoded(
    reads: Reads, store: LocalStore
) -> None:
    ref = stored(store)
    server = Server(store, inflight_bytes=1_000_000)
    server.images.token_bytes = 1_000_000
    assert server.post(request_of(ref)).code == (400, "limit_exceeded", 0)
    # All the room but what is left to files would be taken by this one.
    server.images.token_bytes = 730_000 // tokens(ref)
    assert server.post(request_of(ref)).code == (400, "limit_exceeded", 0)
    server.images.token_bytes = 500_000 // tokens(ref)
    assert server.post(request_of(ref)).status == 200


def test_requests_with_several_images_do_not_hold_what_the_others_wait_for(
    reads: Reads, store: LocalStore
) -> None:
    refs = [stored(store, JPEG + bytes(n)) for n in range(12)]
    each = 4 * 320 * 200 + 1_000_000
    # Room for five of the twelve; every request needs three.
    server = Server(store, cache_bytes=0, inflight_bytes=5 * each, image_seconds=20)
    server.images.token_bytes = 1_000_000 // tokens(refs[0])

    async def all_of_them() -> list[Any]:
        bodies = [request_of(*refs[n : n + 3]) for n in range(0, 12, 3)]
        return await asyncio.gather(*map(server.send, bodies))

    assert [answer.status for answer in asyncio.run(all_of_them())] == [200] * 4
    assert server.images.admission.bytes.used == 0


def test_an_image_of_a_request_that_is_over_still_comes_to_who_waits_for_it(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store, workers=2)
    shared, slow = stored(store), stored(store, PNG)
    reads.quick = str(shared.raw_image_id)
    reads.gate.clear()

    async def both() -> Any:
        leaving = asyncio.create_task(server.send(request_of(shared, slow)))
        await until(lambda: len(reads.names) == 2)
        staying = asyncio.create_task(server.send(request_of(shared)))
        await asyncio.sleep(0.01)
        leaving.cancel()
        answer = await staying
        reads.gate.set()
        await until(lambda: server.images.admission.bytes.used == 0)
        return answer

    assert asyncio.run(both()).status == 200


def test_what_a_request_holds_is_free_when_vllm_has_processed_it(
    reads: Reads, store: LocalStore
) -> None:
    server = Server(store)
    held: list[int] = []
    process_images = server.renderer.process_for_engine_async

    async def look(*args: Any, **options: Any) -> Any:
        held.append(server.images.admission.bytes.used)
        found = await process_images(*args, **options)
        held.append(server.images.admission.bytes.used)
        return found

    server.renderer.process_for_engine_async = look
    refs = stored(store), stored(store, PNG)
    assert server.post(request_of(*refs)).status == 200
    # Kept pictures are the cache's.
    assert server.post(request_of(*refs)).status == 200
    pixels = [QWEN.describe(data) for data in (JPEG, PNG)]
    each = [4 * found.width * found.height for found in pixels]
    counts = sum(map(tokens, refs))
    assert held == [sum(each) + counts * server.images.token_bytes, 0, 0, 0]
    for picture in server.renderer.asked[0]["multi_modal_data"]["image"]:
        with pytest.raises(ValueError, match="closed"):
            picture.load()


def test_bytes_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    async def some() -> list[str]:
        budget, order = Budget(10), list[str]()

        async def take(name: str, amount: int) -> None:
            await budget.take(amount)
            order.append(name)

        await take("first", 6)
        waiting = [asyncio.create_task(take(*what)) for what in (("big", 8), ("left", 4))]
        small = asyncio.create_task(take("small", 2))
        await asyncio.sleep(0)
        waiting[1].cancel()
        budget.give(6)
        await asyncio.gather(waiting[0], small)
        assert budget.used == 10
        return order

    assert asyncio.run(some()) == ["first", "big", "small"]


def test_who_is_cancelled_when_its_turn_has_come_takes_nothing() -> None:
    async def late() -> int:
        budget = Budget(10)
        await budget.take(10)
        waiting = asyncio.create_task(budget.take(5))
        await asyncio.sleep(0)
        budget.give(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return budget.used

    assert asyncio.run(late()) == 0


def test_a_full_queue_refuses_and_frees_its_places() -> None:
    async def full() -> None:
        admission = Admission(1, images=1, queue=0, changed=lambda **_: None)
        async with admission.slot():
            with pytest.raises(MMRawError, match="server_unavailable"):
                await admission.slot().__aenter__()
        async with admission.slot():
            pass

    asyncio.run(full())


def test_nothing_is_kept_for_a_request_that_is_over() -> None:
    budget = Budget(10)
    loads = Loads()
    loads.close()
    assert (loads.keep(5, budget), loads.held) == (0, 0)


def test_images_of_a_request_take_their_room_together_when_the_last_is_read() -> None:
    async def two_requests() -> None:
        budget, first, second = Budget(30), asyncio.Event(), asyncio.Event()
        one, other = Loads(), Loads()

        async def image(loads: Loads, amount: int, read: asyncio.Event) -> None:
            with loads.reading(budget):
                await read.wait()
            await loads.room(amount, budget)
            loads.keep(amount, budget)

        def images(loads: Loads) -> list[asyncio.Task[None]]:
            return [asyncio.create_task(image(loads, *what)) for what in ((8, first), (18, second))]

        mine, theirs = images(one), images(other)
        first.set()
        for _ in range(9):
            await asyncio.sleep(0)
        assert budget.used == 0
        second.set()
        await asyncio.wait_for(asyncio.gather(*mine), 5)
        one.release()
        await asyncio.wait_for(asyncio.gather(*theirs), 5)

    asyncio.run(two_requests())
