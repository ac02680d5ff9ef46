"""An operator's view of a server with the plugin: a line for each rejection, and counters."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import vllm_package
from samples import JPEG
from vllm_stand_in import GENERATE, JSON, Server, inline, metric, refusals, request_of, stored

from mmraw_protocol import MMRawError
from mmraw_protocol.integrations.serving.log import RefusalLog
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.integrations.vllm.engine import VLLM
from mmraw_protocol.integrations.vllm.requests import RefRequests
from mmraw_protocol.stores import LocalStore

REQUEST = (b"x-request-id", b"r-1")


@pytest.fixture
def server(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with that store."""
    vllm_package.install(monkeypatch)
    monkeypatch.setattr(VLLM, "refusals", RefusalLog(VLLM.logger))
    yield Server(store)
    process.serve(None)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Level and text of each line of the plugin."""
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_a_refusal_is_one_line_with_code_image_and_request(
    server: Server, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    for code, request in refusals(store):
        caplog.clear()
        server.post(request, headers=(JSON, REQUEST))
        ((level, line),) = lines(caplog)
        assert level == logging.INFO
        assert line.startswith(f"mmraw refused request r-1: {code}, image ")
        for text in request["features"]["kwargs_data"]["image"]:
            assert text is None or text[:40] not in line


def test_what_a_client_calls_its_request_cannot_forge_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    error = MMRawError("grid_mismatch", "text", "$.kwargs_data.image[12].payload")
    RefusalLog(VLLM.logger).refused(error, "r\n\x1b[31m 1")
    RefusalLog(VLLM.logger).refused(error, None)
    texts = [text for _, text in lines(caplog)]
    assert texts == [
        "mmraw refused request r???31m?1: grid_mismatch, image 12",
        "mmraw refused request -: grid_mismatch, image 12",
    ]


def test_a_flood_of_refusals_is_counted_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    now = [100.0]
    log = RefusalLog(VLLM.logger, lambda: now[0])
    for _ in range(1000):
        log.refused(MMRawError("not_a_ref", "text"), None)
    assert len(caplog.records) == 50
    now[0] += 10
    log.refused(MMRawError("not_a_ref", "text"), None)
    assert [text for _, text in lines(caplog)][50:] == [
        "mmraw refused 950 more requests, not logged",
        "mmraw refused request -: not_a_ref, image -",
    ]


def test_trouble_of_the_store_is_a_warning(
    server: Server,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = request_of(stored(store))

    def broken(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the disk does not answer")

    monkeypatch.setattr(LocalStore, "get", broken)
    server.post(request, headers=(JSON, REQUEST))
    ((level, line),) = lines(caplog)
    assert level == logging.WARNING
    assert "r-1: store_unavailable, image 0: the disk does not answer" in line


def test_each_stage_of_an_image_is_measured_and_what_the_store_gave(
    server: Server, store: LocalStore
) -> None:
    def counts() -> list[float]:
        name = "mmraw_stage_seconds_count"
        return [metric(name, stage=stage) for stage in ("read", "verify", "decode")]

    before, size = counts(), metric("mmraw_store_bytes_total")
    assert server.post(request_of(stored(store))).status == 200
    assert [new - old for new, old in zip(counts(), before, strict=True)] == [1, 1, 1]
    assert metric("mmraw_store_bytes_total") - size == len(JPEG)
    assert server.post(request_of(stored(store), inline(store))).status == 200
    assert [new - old for new, old in zip(counts(), before, strict=True)] == [1, 2, 2]


def test_a_client_that_leaves_is_counted(
    server: Server, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its body is read, and while vLLM works; tests/test_vllm_admission.py, between them."""
    before = metric("mmraw_disconnects_total")
    asyncio.run(server.exchange(GENERATE, [JSON], [{"type": "http.disconnect"}]))
    assert metric("mmraw_disconnects_total") == before + 1
    left = asyncio.Event()

    async def generate(*args: Any, **options: Any) -> Any:
        left.set()
        for _ in range(9):
            await asyncio.sleep(0)
        # vLLM hears of it, too.
        raise asyncio.CancelledError

    monkeypatch.setattr(server.renderer, "process_for_engine_async", generate)
    asyncio.run(posted(server, request_of(stored(store)), left))
    assert metric("mmraw_disconnects_total") == before + 2


def test_a_client_that_has_its_answer_is_not_counted(server: Server, store: LocalStore) -> None:
    before = metric("mmraw_disconnects_total")
    answered = asyncio.Event()
    assert asyncio.run(posted(server, request_of(stored(store)), answered)) == 200
    assert metric("mmraw_disconnects_total") == before


async def posted(server: Server, request: Any, over: asyncio.Event) -> int:
    """Status for a client that leaves when `over` is set, or when it has its answer."""
    messages = [{"type": "http.request", "body": json.dumps(request).encode()}]
    statuses: list[int] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))
        if not message.get("more_body", "status" in message):
            over.set()
            # The server tells it at once.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    scope = {"type": "http", "method": "POST", "path": GENERATE, "headers": [JSON]}
    await RefRequests(server.app)(scope, receive, send)
    return statuses[0] if statuses else 0
