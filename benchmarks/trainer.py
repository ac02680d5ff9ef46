"""`RolloutDataset` in a DataLoader: rows a second by workers, and memory over many rows.

Runs in an environment with torch and transformers:

    $(python3 tests/environments/install.py integrations) -m benchmarks.trainer

The first figure compares two workers with one on rows whose time is decoding, while the main
process waits. The second reads a file of many small rows in two workers, and prints the resident
memory of all processes on the way.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from PIL import Image

from mmraw_protocol import build_features, get_adapter, mm_data, open_store, pack_images
from mmraw_protocol.integrations.rollouts import RolloutDataset
from mmraw_protocol.integrations.transformers import TensorMaker

PAD = 9
#: Rows of a batch that are decoding-bound.
BATCH = 4
ADAPTER = get_adapter("qwen_vl", {"min_pixels": 3136, "max_pixels": 12544})


class Processor:
    """Qwen's, made again in each process; few tokens, so that decoding takes the time."""

    def preprocess(self, images: list[Any], **options: Any) -> Any:
        """Processes the images with Transformers' class."""
        return _processor().preprocess(images, **options)


@functools.cache
def _processor() -> Any:
    torch: Any = importlib.import_module("torch")
    for operator in ("nms", "qnms"):
        # torchvision's import asks for them where it does not fit torch.
        torch.library.define(f"torchvision::{operator}", "(Tensor a, Tensor b, float c) -> Tensor")
    place = "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl"
    size = {"shortest_edge": 3136, "longest_edge": 12544}
    made = importlib.import_module(place).Qwen2VLImageProcessorPil
    return made(patch_size=16, merge_size=2, temporal_patch_size=2, size=size)


def write_rows(folder: Path, side: int, different: int, rows: int) -> Path:
    """A file of rows with one picture each, of so many different ones; its place."""
    store = open_store(folder / f"images{side}")
    lines: list[str] = []
    for index in range(different):
        noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).resize((side, side))
        buffer = BytesIO()
        noise.save(buffer, "JPEG" if side > 256 else "PNG")
        content = [{"type": "image", "image": buffer.getvalue()}]
        (image,) = pack_images([{"role": "user", "content": content}], ADAPTER, store=store)
        tokens = [1, *[PAD] * image.description.placeholder_length, 2]
        features = build_features(mm_data([image], [1]), run_id="x")
        lines.append(json.dumps({"token_ids": tokens, "features": features, "n": index}) + "\n")
    path = folder / f"rows{side}.jsonl"
    with path.open("w") as file:
        file.writelines(islice(cycle(lines), rows))
    return path


def dataset_of(path: Path, side: int) -> RolloutDataset:
    """A data set over rows of `write_rows`."""
    store = path.parent / f"images{side}"
    maker = TensorMaker(Processor(), store=store, adapter=ADAPTER)
    return RolloutDataset(path, maker, pad_token_id=PAD, seed=1)


def rows_a_second(path: Path, side: int, workers: int) -> tuple[float, float]:
    """Rows a second after the first batch, and seconds of the workers' processors for each row.

    Where other work takes the machine, the second figure tells more: if it is the same for one and
    two workers, nothing but the machine keeps them from being twice as fast.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    batches = dataset_of(path, side).batches(BATCH, 0, num_workers=workers)
    next(batches)
    start, count = time.perf_counter(), 0
    for batch in batches:
        count += len(batch["input_ids"])
    rate = count / (time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return rate, spent / (count + BATCH)


def resident(process: int) -> int:
    """Bytes of memory of a process and its children that are their own."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    fields = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in fields if line.startswith("Private_"))
    return own * 1024 + sum(resident(int(child)) for child in children)


def memory_over(path: Path, side: int, every: int) -> Iterator[tuple[int, int]]:
    """(rows read, bytes of memory) on the way through a file, in two workers."""
    count = 0
    for batch in dataset_of(path, side).batches(50, 0, num_workers=2):
        count += len(batch["input_ids"])
        if count % every == 0:
            yield count, resident(os.getpid())


def main() -> None:
    """Measures both and prints them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=200, help="rows that are decoding-bound")
    parser.add_argument("--side", type=int, default=3000, help="of their pictures, in pixels")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the long file")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Forked workers find it loaded, which takes seconds.
        _processor()
        if args.pictures:
            path = write_rows(folder, args.side, 8, args.pictures)
            for _ in range(args.rounds):
                (one, cpu1), (two, cpu2) = (rows_a_second(path, args.side, w) for w in (1, 2))
                print(f"{one:.1f} rows/s in one worker, {two:.1f} in two: {two / one:.2f} times")
                print(f"{cpu1 * 1000:.1f} ms of a processor a row in one, {cpu2 * 1000:.1f} in two")
        if args.rows:
            path = write_rows(folder, 56, 100, args.rows)
            for count, memory in memory_over(path, 56, args.rows // 10):
                print(f"{count:9,} rows: {memory / 2**20:7.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
