"""Bytes on the wire and added latency of refs, against the stock routes of the same vLLM server.

    make bench-vllm

Starts the tiny Qwen3-VL of the end-to-end tests with the plugin and prints Markdown tables.
Every table is from one run, its columns measured in turn, so that what else the machine does meets
them alike; what carries over to another machine is the ratio.
"""

# pyright: reportMissingImports=false

import argparse
import base64
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exchange import GENERATE, RUN, Route, render
from PIL import Image
from server import VllmServer, write_entry_points
from tiny_models import make_qwen3_vl
from tokenizers import Tokenizer

from mmraw_protocol import build_features, mm_data
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore

PHOTO = Path(__file__).resolve().parent.parent / "examples" / "images" / "coffee.jpg"
SIZES = ((640, 480), (1920, 1080), (4032, 3024))
CHAT = "/v1/chat/completions"


def photo(width: int, height: int, number: int = 0) -> bytes:
    """A photograph as JPEG; each number gives another file of the same size."""
    image = Image.open(PHOTO).convert("RGB").resize((width, height))
    # Two patches of its own colour, large enough to outlive the JPEG's quantisation.
    for step, patch in ((number, (0, 0, 64, 64)), (number // 256, (64, 0, 128, 64))):
        image.paste(((step * 53) % 256, (step * 101) % 256, (step * 197) % 256), patch)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def conversation(data: bytes) -> list[dict[str, Any]]:
    """One image and a question."""
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}]


def chat_body(data: bytes) -> dict[str, Any]:
    """The request through stock chat."""
    return {"model": "tiny", "messages": conversation(data), "max_tokens": 1, "temperature": 0}


def ref_body(route: Route, data: bytes, token_ids: Sequence[int], storage: str) -> dict[str, Any]:
    """The same request with a ref."""
    route.storage = storage
    body = route.request(conversation(data), token_ids)
    return body | {"sampling_params": {"max_tokens": 1, "temperature": 0}}


def medians(columns: Sequence[Callable[[int], object]], count: int) -> list[float]:
    """Median seconds of each column, measured in turn; the first turn is not counted."""
    times: list[list[float]] = [[] for _ in columns]
    for turn in range(count + 1):
        for column, kept in zip(columns, times, strict=True):
            started = time.perf_counter()
            column(turn)
            kept.append(time.perf_counter() - started)
    return [statistics.median(kept[1:]) for kept in times]


def cells(seconds: Sequence[float]) -> str:
    """The base, and the others with their ratio to it."""
    base, *others = seconds
    ratios = " | ".join(f"{other * 1000:.1f} ms | {other / base:.2f}" for other in others)
    return f"{base * 1000:.1f} ms | {ratios}"


def wire_table(route: Route) -> None:
    """Characters of kwargs_data for one image."""
    print("| image | JPEG file | ref, stored | ref, inline | stock tensors | stock / stored |")
    print("|---|---|---|---|---|---|")
    for width, height in SIZES:
        data = photo(width, height)
        messages = conversation(data)
        sizes: list[int] = []
        for storage in ("offload", "inline"):
            packed = pack_images(messages, route.adapter, storage=storage, store=route.store)
            features = build_features(mm_data(packed, [0]), run_id=RUN)
            sizes.append(len(features["kwargs_data"]["image"][0]))
        tensors = render(route.server, messages)["features"]["kwargs_data"]["image"][0]
        row = [f"{len(data):,}", *(f"{size:,}" for size in sizes), f"{len(tensors):,}"]
        print(f"| {width}x{height} | {' | '.join(row)} | {len(tensors) / sizes[0]:,.0f} |")


def request_table(route: Route, count: int) -> None:
    """Measures requests for one token with images new and seen before."""
    server = route.server

    def sender(path: str, bodies: Sequence[Any]) -> Callable[[int], object]:
        def send(turn: int) -> None:
            answer = server.post(path, bodies[turn])
            assert answer.status_code == 200, answer.text

        return send

    print("| whole request | stock chat | stored | ratio | inline | ratio |")
    print("|---|---|---|---|---|---|")
    # The CPU takes the better part of a minute to encode the largest.
    for width, height in SIZES[:-1]:
        token_ids = render(server, conversation(photo(width, height)))["token_ids"]
        # Each route gets pictures of its own, so that no cache of another's helps it.
        fresh = iter(photo(width, height, number) for number in range(1, 1 << 16))
        groups = [[next(fresh) for _ in range(count + 1)] for _ in range(3)]
        bodies = [
            [chat_body(data) for data in groups[0]],
            [ref_body(route, data, token_ids, "offload") for data in groups[1]],
            [ref_body(route, data, token_ids, "inline") for data in groups[2]],
        ]
        paths = (CHAT, GENERATE, GENERATE)
        for name, kept in (("new", bodies), ("again", [[b[0]] * (count + 1) for b in bodies])):
            columns = [sender(path, group) for path, group in zip(paths, kept, strict=True)]
            print(f"| {width}x{height}, {name} | {cells(medians(columns, count))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=7, help="requests per median (7)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_qwen3_vl(folder / "model")
        store = LocalStore(folder / "store", run_id=RUN)
        settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN}
        server = VllmServer(model, folder / "log", settings, ["--max-model-len=16384"])
        server.install(write_entry_points(folder / "entry_points"))
        server.start()
        try:
            tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
            adapter = get_adapter("qwen_vl", model)
            route = Route(server, adapter, tokenizer.token_to_id(adapter.pad_token), store)
            wire_table(route)
            print()
            request_table(route, options.count)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
