"""Refs as image URLs against data: URLs, on the stock routes of one vLLM server with the plugin.

    make bench-vllm-urls

Prints two Markdown tables: characters on the wire for a conversation, and the time of whole chat
requests. Requests with refs and with data: URLs are sent in pairs, in either order, so that what
else the machine does meets both alike; the ratio carries over to other machines.
"""

# pyright: reportMissingImports=false

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchange import RUN, image_part
from server import VllmServer, write_entry_points
from tiny_models import make_qwen3_vl
from urls import CHAT, Urls, user
from vllm_route import photo

from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore

TURNS = 10
WIDE = (1920, 1080)
#: Of the requests that are timed; the tiny model spends seconds on the patches of a larger one.
SIZES = ((640, 480), WIDE)


def data_url(data: bytes) -> str:
    """The data: URL of a JPEG."""
    return image_part(data)["image_url"]["url"].replace("image/png", "image/jpeg")


def wire_table(urls: Urls) -> None:
    """Characters of the bodies of each turn's request, in which all earlier pictures stand."""
    sent = {"data: URLs": 0, "refs, stored": 0}
    last = dict.fromkeys(sent, 0)
    for name, url_of in (("data: URLs", data_url), ("refs, stored", urls.ref)):
        messages: list[Any] = []
        for turn in range(TURNS):
            messages.append(user(url_of(photo(*WIDE, turn)), "What is it?"))
            last[name] = len(json.dumps({"model": "tiny", "messages": messages, "max_tokens": 64}))
            sent[name] += last[name]
            messages.append({"role": "assistant", "content": "A cup of coffee."})
    print(f"| {TURNS} turns, a JPEG of 1920x1080 each | data: URLs | refs, stored | ratio |")
    print("|---|---|---|---|")
    for row, found in (("the last request", last), ("all requests", sent)):
        plain, refs = found.values()
        print(f"| {row} | {plain:,} | {refs:,} | {plain / refs:,.0f} |")


def pairs(urls: Urls, bodies: Sequence[tuple[Any, Any]]) -> str:
    """Medians of both columns, and the median of the ratios within pairs."""
    order = random.Random(0)
    times: list[tuple[float, float]] = []
    for plain, ref in bodies:
        found = {}
        columns = [("plain", plain), ("ref", ref)]
        if order.random() < 0.5:
            columns.reverse()
        for name, body in columns:
            started = time.perf_counter()
            answer = urls.server.post(CHAT, body)
            found[name] = time.perf_counter() - started
            assert answer.status_code == 200, answer.text
        times.append((found["plain"], found["ref"]))
    plain, ref = (statistics.median(column) for column in zip(*times, strict=True))
    paired = statistics.median(ref / plain for plain, ref in times)
    return f"{plain * 1000:.1f} ms | {ref * 1000:.1f} ms | {ref / plain:.3f} | {paired:.3f}"


def body_of(url: str) -> dict[str, Any]:
    """One picture and a question, for one token."""
    messages = [user(url, "What is it?")]
    return {"model": "tiny", "messages": messages, "max_tokens": 1, "temperature": 0}


def time_table(urls: Urls, count: int, sizes: Sequence[tuple[int, int]]) -> None:
    """Whole chat requests; pictures new and seen before."""
    print(f"| {count} pairs each | data: URL | ref, stored | ratio | median of ratios |")
    print("|---|---|---|---|---|")
    for width, height in sizes:
        # Each column gets pictures of its own, so that no cache of the other's helps it.
        fresh = iter(photo(width, height, number) for number in range(1, 1 << 16))
        warm = [(body_of(data_url(next(fresh))), body_of(urls.ref(next(fresh)))) for _ in range(3)]
        pairs(urls, warm)
        new = [
            (body_of(data_url(next(fresh))), body_of(urls.ref(next(fresh)))) for _ in range(count)
        ]
        print(f"| {width}x{height}, new | {pairs(urls, new)} |", flush=True)
        # The same picture both ways: the engine then does the same for both.
        again = (body_of(data_url(photo(width, height))), body_of(urls.ref(photo(width, height))))
        pairs(urls, [again] * 3)
        print(f"| {width}x{height}, again | {pairs(urls, [again] * count)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="of requests per median (200)")
    parser.add_argument("--small", action="store_true", help="time 640x480 alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_qwen3_vl(folder / "model")
        store = LocalStore(folder / "store", run_id=RUN)
        settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN}
        server = VllmServer(model, folder / "log", settings)
        server.install(write_entry_points(folder / "entry_points"))
        server.start()
        try:
            urls = Urls(server, get_adapter("qwen_vl", model), 0, store)
            wire_table(urls)
            print(flush=True)
            time_table(urls, options.pairs, SIZES[:1] if options.small else SIZES)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
