"""Bytes on the wire and added latency of refs, against the stock routes of the same vLLM server.

    make bench-vllm

Starts the tiny Qwen3-VL of the end-to-end tests behind the middleware, once for each handover, and
prints Markdown tables. Every figure of a table is from one run on one machine; what carries over to
another machine is the ratio. The model is tiny, so nearly all of a request's time is what stands in
front of the engine; with a real model's prefill behind it, every ratio moves towards 1.
"""

# pyright: reportMissingImports=false

import argparse
import base64
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchange import GENERATE, RUN, Route, render
from PIL import Image
from server import VllmServer
from tiny_models import make_qwen3_vl
from tokenizers import Tokenizer

from mmraw_protocol import build_features, mm_data
from mmraw_protocol.adapters import get_adapter
from mmraw_protocol.assets import LocalStore
from mmraw_protocol.messages import pack_images

PHOTO = Path(__file__).resolve().parent.parent / "examples" / "images" / "coffee.jpg"
SIZES = ((640, 480), (1920, 1080), (4032, 3024))


def photo(width: int, height: int, number: int = 0) -> bytes:
    """A photograph as JPEG; each number gives another file of the same size."""
    image = Image.open(PHOTO).convert("RGB").resize((width, height))
    # A patch of its own colour, large enough to outlive the JPEG's quantisation.
    image.paste(((number * 53) % 256, (number * 101) % 256, (number * 197) % 256), (0, 0, 64, 64))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def conversation(data: bytes) -> list[dict[str, Any]]:
    """One image and a question."""
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}]


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


def medians(server: VllmServer, rows: Sequence[Sequence[tuple[str, Any]]]) -> list[float]:
    """Median seconds of each column of (path, body); the first row is not counted.

    Row by row, so that whatever else the machine does meets every column alike.
    """
    times: list[list[float]] = []
    for row in rows:
        times.append([])
        for path, body in row:
            started = time.perf_counter()
            answer = server.post(path, body)
            times[-1].append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
    return [statistics.median(column) for column in zip(*times[1:], strict=True)]


def chat_body(data: bytes) -> dict[str, Any]:
    """The request through stock chat."""
    return {"model": "tiny", "messages": conversation(data), "max_tokens": 1, "temperature": 0}


def ref_body(route: Route, data: bytes, token_ids: Sequence[int], storage: str) -> dict[str, Any]:
    """The same request with a ref."""
    route.storage = storage
    body = route.request(conversation(data), token_ids)
    return body | {"sampling_params": {"max_tokens": 1, "temperature": 0}}


def latency_rows(route: Route, handover: str, count: int) -> None:
    """Medians for images that were never seen before, and for one that comes again."""
    server = route.server
    for width, height in SIZES:
        token_ids = render(server, conversation(photo(width, height)))["token_ids"]
        # Each route gets pictures of its own, so that no cache of another's helps it.
        fresh = iter(photo(width, height, number) for number in range(1, 1 << 16))
        rows = [
            [
                ("/v1/chat/completions", chat_body(next(fresh))),
                (GENERATE, ref_body(route, next(fresh), token_ids, "offload")),
                (GENERATE, ref_body(route, next(fresh), token_ids, "inline")),
            ]
            for _ in range(count + 1)
        ]
        for name, group in (("new", rows), ("again", [rows[-1]] * (count + 1))):
            base, *others = medians(server, group)
            ratios = " | ".join(f"{other * 1000:.1f} ms | {other / base:.2f}" for other in others)
            print(f"| {handover} | {width}x{height}, {name} | {base * 1000:.1f} ms | {ratios} |")


def run(handover: str, folder: Path, count: int) -> None:
    """One server, all its measurements."""
    store = LocalStore(folder / "store", run_id=RUN)
    settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN, "MMRAW_HANDOVER": handover}
    model = folder / "model"
    if not model.exists():
        make_qwen3_vl(model)
    arguments = ("--max-model-len=16384", "--max-num-batched-tokens=16384")
    server = VllmServer(model, folder / f"{handover}.log", settings, arguments)
    server.start()
    try:
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        adapter = get_adapter("qwen_vl", model)
        route = Route(server, adapter, tokenizer.token_to_id(adapter.pad_token), store)
        if handover == "direct":
            wire_table(route)
            print()
            print("| handover | image | stock chat | stored | ratio | inline | ratio |")
            print("|---|---|---|---|---|---|---|")
        latency_rows(route, handover, count)
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=7, help="requests per median (7)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for handover in ("direct", "encoded"):
            run(handover, Path(folder), options.count)


if __name__ == "__main__":
    main()
