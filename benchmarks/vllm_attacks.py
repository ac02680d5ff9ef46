"""Measures the cost of hostile clients for a vLLM server with the plugin and its other clients.

    make bench-vllm-attacks

Prints a Markdown table: memory of the API server while one request names 30 pictures of 16.8
megapixels, and the time of a cached picture while others are decoded or processed, in turns with
the time of the same request on the idle server. "Slow" is the slowest of all requests of a row:
what a client may meet.
"""

# pyright: reportMissingImports=false

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from exchange import RUN
from pictures import encode, picture
from server import VllmServer, write_entry_points
from test_attacks import LARGE, lying
from tiny_models import make_qwen3_vl
from urls import CHAT, Urls, user

from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore

INFLIGHT, CACHE = 2 << 30, 256 << 20
PICTURES = 30
#: Of an attack and of quiet.
TURNS = 10


def body_of(*urls: str) -> dict[str, Any]:
    """Pictures and a question, for one token."""
    return {"model": "tiny", "messages": [user(*urls, "?")], "max_tokens": 1, "temperature": 0}


def seconds(urls: Urls, body: dict[str, Any], status: int = 200) -> float:
    """Measures the seconds that a request takes."""
    started = time.perf_counter()
    answer = urls.server.post(CHAT, body)
    assert answer.status_code == status, answer.text
    return time.perf_counter() - started


@contextmanager
def beside(send: Callable[[], object], clients: int) -> Generator[None]:
    """Clients that go on sending meanwhile."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            send()

    threads = [threading.Thread(target=go_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def row(name: str, found: Sequence[float], idle: Sequence[float]) -> None:
    """One line of the table."""
    median, base = statistics.median(found), statistics.median(idle)
    cells = f"{base * 1000:.1f} ms | {median * 1000:.1f} ms | {max(found) * 1000:.0f} ms"
    print(f"| {name} | {cells} | {median / base:.2f} |", flush=True)


def alternating(
    send: Callable[[], float], attack: Callable[[], object], clients: int, count: int
) -> tuple[list[float], list[float]]:
    """Seconds beside an attack and without it, in turns: what else runs meets both alike."""
    found: list[float] = []
    idle: list[float] = []
    for _ in range(TURNS):
        idle += [send() for _ in range(count // TURNS)]
        with beside(attack, clients):
            found += [send() for _ in range(count // TURNS)]
    return found, idle


def memory(urls: Urls, name: str, body: dict[str, Any]) -> None:
    """Peak of the API server's process while a request is refused."""
    idle = urls.server.reset_peak()
    took = seconds(urls, body, 400)
    peak = urls.server.peak_bytes()
    grown, most = peak - idle, INFLIGHT + CACHE
    print(f"| {name} | {took:.2f} s | {grown >> 20:,} MiB | {most >> 20:,} MiB |", flush=True)
    assert grown <= most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200, help="of each row (200)")
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_qwen3_vl(folder / "model")
        store = LocalStore(folder / "store", run_id=RUN)
        settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN}
        settings |= {"MMRAW_INFLIGHT_BYTES": str(INFLIGHT), "MMRAW_CACHE_BYTES": str(CACHE)}
        server = VllmServer(model, folder / "log", settings)
        server.install(write_entry_points(folder / "entry_points"))
        server.start()
        try:
            measure(Urls(server, get_adapter("qwen_vl", model), 0, store), count)
        finally:
            server.stop()


def measure(urls: Urls, count: int) -> None:
    """Prints both tables."""
    cached = body_of(urls.ref(encode(picture(640, 480, 1), "JPEG")))
    seconds(urls, cached)
    print(f"| {PICTURES} pictures of 4096x4096, 58 KB each | until 400 | grown by | allowed |")
    print("|---|---|---|---|")
    honest = [urls.inline(LARGE[n % 4]) for n in range(PICTURES)]
    memory(urls, "with their own token counts", body_of(*honest))
    small = [lying(urls, LARGE[n % 4]) for n in range(PICTURES)]
    memory(urls, "that say that they are small", body_of(*small))
    print(f"\n| a cached picture, {count} requests each | idle | median | slow | of idle |")
    print("|---|---|---|---|---|")

    def send() -> float:
        return seconds(urls, cached)

    bad = cycle(small)
    times = alternating(send, lambda: seconds(urls, body_of(next(bad)), 400), 4, count)
    row("while others are read and decoded", *times)
    fresh = iter(range(2, 1 << 16))

    def large() -> dict[str, Any]:
        return body_of(urls.ref(encode(picture(1280, 1280, next(fresh)), "JPEG")))

    row("while another is processed", *alternating(send, lambda: seconds(urls, large()), 1, count))
    alone = [seconds(urls, large()) for _ in range(5)]
    print(f"\nThe other one alone: {statistics.median(alone) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
