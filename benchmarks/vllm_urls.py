"""Refs as image URLs against data: URLs, on the stock routes of one vLLM server with the plugin.

    make bench-vllm-urls

Prints two Markdown tables: characters on the wire for a conversation, and the time of whole chat
requests. Those with refs and with data: URLs are sent in turns of random order, so that what else
the machine does meets both alike; the ratio carries over to other machines.
"""

# pyright: reportMissingImports=false

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
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
#: Of the requests that are timed.
SIZES = ((640, 480), WIDE)
#: Of twelve megapixels; the tiny model would spend seconds on its patches, and does not take as
#: many tokens, so its processor is set to fewer pixels. Loading is then most of what is measured.
LARGE, LARGE_PIXELS = (4000, 3000), 640 * 480
WARM = 3
NAMED = "again, with a name alone for the ref"
TEXT = "again, with as many tokens of text for the ref"

#: Requests of one round, by column.
Bodies = Mapping[str, Any]


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


def interleaved(urls: Urls, rounds: Iterable[Bodies]) -> dict[str, list[float]]:
    """Seconds of each column; the requests of a round come in random order."""
    order = random.Random(0)
    times: dict[str, list[float]] = {}
    for bodies in rounds:
        for name in order.sample(list(bodies), len(bodies)):
            started = time.perf_counter()
            answer = urls.server.post(CHAT, bodies[name])
            times.setdefault(name, []).append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
    return times


def cells(plain: Sequence[float], other: Sequence[float]) -> str:
    """Medians of both columns, and of the ratios within rounds with its upper 95 % bound."""
    ratios = sorted(took / base for base, took in zip(plain, other, strict=True))
    count = len(ratios)
    # In 95 of 100 runs at most so many of them lie below the true median (binomial distribution).
    below = min(count - 1, math.ceil(count / 2 + 1.645 * math.sqrt(count) / 2))
    medians = " | ".join(f"{statistics.median(times) * 1000:.1f} ms" for times in (plain, other))
    return f"{medians} | {statistics.median(ratios):.3f} | {ratios[below]:.3f}"


def body_of(*parts: str) -> dict[str, Any]:
    """A picture or none, and a question, for one token."""
    messages = [user(*parts, "What is it?")]
    return {"model": "tiny", "messages": messages, "max_tokens": 1, "temperature": 0}


def floor_bodies(urls: Urls, picture: bytes) -> Bodies:
    """Requests for which vLLM loads nothing: a ref of the picture cannot cost less."""

    def tokens(body: Any) -> int:
        answer = urls.server.post(CHAT, {**body, "return_token_ids": True})
        return len(answer.json()["prompt_token_ids"])

    named = body_of(data_url(picture))
    part = named["messages"][0]["content"][0]
    part["uuid"] = "a name of the client's"
    whole = tokens(named)
    part["image_url"] = None
    text = body_of("?" * (whole - tokens(body_of(""))))
    assert tokens(text) == tokens(named) == whole
    return {NAMED: named, TEXT: text}


def new_row(urls: Urls, count: int, size: tuple[int, int]) -> None:
    """Pictures that are sent once; each column has its own, so that no cache helps the other."""
    fresh = (photo(*size, number) for number in range(1, 1 << 16))
    rounds = [
        {"plain": body_of(data_url(next(fresh))), "ref": body_of(urls.ref(next(fresh)))}
        for _ in range(WARM + count)
    ]
    interleaved(urls, rounds[:WARM])
    found = interleaved(urls, rounds[WARM:])
    print(f"| {size[0]}x{size[1]}, new | {cells(found['plain'], found['ref'])} |", flush=True)


def again_rows(urls: Urls, count: int, size: tuple[int, int]) -> None:
    """The same picture both ways, so that the engine does the same for both, and the floor."""
    data = photo(*size)
    bodies = {"plain": body_of(data_url(data)), "again": body_of(urls.ref(data))}
    bodies |= floor_bodies(urls, data)
    interleaved(urls, [bodies] * WARM)
    times = interleaved(urls, [bodies] * count)
    for name in ("again", NAMED, TEXT):
        print(f"| {size[0]}x{size[1]}, {name} | {cells(times['plain'], times[name])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="of requests per median (200)")
    parser.add_argument("--small", action="store_true", help="time 640x480 alone")
    options = parser.parse_args()
    count = options.pairs
    with tempfile.TemporaryDirectory() as name:
        with served(Path(name, "usual")) as urls:
            wire_table(urls)
            print(
                f"\n| {count} rounds each | data: URL | ref, stored | median of ratios | at most |"
            )
            print("|---|---|---|---|---|", flush=True)
            for size in SIZES[:1] if options.small else SIZES:
                new_row(urls, count, size)
                again_rows(urls, count, size)
        if not options.small:
            with served(Path(name, "large"), max_pixels=LARGE_PIXELS) as urls:
                new_row(urls, count, LARGE)


@contextmanager
def served(folder: Path, **options: Any) -> Generator[Urls]:
    """A client of a server of a tiny model; `options` are those of `make_qwen3_vl`."""
    model = make_qwen3_vl(folder / "model", **options)
    store = LocalStore(folder / "store", run_id=RUN)
    settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN}
    server = VllmServer(model, folder / "log", settings)
    server.install(write_entry_points(folder / "entry_points"))
    server.start()
    try:
        yield Urls(server, get_adapter("qwen_vl", model), 0, store)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
