"""The real image processors of Transformers against a description, in one process.

Run by `python -m benchmarks` with the interpreter of another environment (torch, torchvision and
transformers beside this package's own requirements); prints one JSON object.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import sys
import time
from typing import Any

from PIL import Image

from mmraw_protocol import ImageSource, get_adapter

SIZES = ((640, 480), (1920, 1080), (4032, 3024))


def seconds(work: Any, rounds: int) -> float:
    """The median by the clock: a processor works in threads."""
    samples: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        samples.append(time.perf_counter() - started)
    return sorted(samples)[len(samples) // 2]


def real_processor() -> tuple[Any, dict[str, Any]]:
    """Qwen's processor: on torchvision where that can be loaded, else on Pillow."""
    try:
        importlib.import_module("torchvision")
    except Exception:  # noqa: BLE001
        # One that does not fit the installed torch raises RuntimeError; Transformers would, too.
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    parameters = {"patch_size": 16, "min_pixels": 65536, "max_pixels": 16777216, "merge_size": 2}
    if sys.modules.get("torchvision") is None:
        place = "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl"
        processor = importlib.import_module(place).Qwen2VLImageProcessorPil(**parameters)
    else:
        processor = transformers.Qwen2VLImageProcessor(**parameters)
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    return processor, {**versions, "threads": torch.get_num_threads()}


def main(rounds: int) -> dict[str, Any]:
    processor, about = real_processor()
    adapter = get_adapter("qwen_vl")

    def describe(data: bytes) -> None:
        # Without the hash, which the processor has no part of.
        source = ImageSource.open(data)
        source.__dict__["sha256"] = "0" * 64
        adapter.describe(source)

    rows: list[dict[str, Any]] = []
    for width, height in SIZES:
        picture = Image.effect_noise((width, height), 40).convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG")
        data = buffer.getvalue()
        process = functools.partial(processor, images=picture, return_tensors="pt")
        theirs = seconds(process, rounds)
        ours = seconds(functools.partial(describe, data), rounds * 20)
        grid = process()["image_grid_thw"][0].tolist()
        assert tuple(grid) == adapter.describe(data).grid_thw
        rows.append({"size": [width, height], "processor": theirs, "describe": ours})
    return {"processor": type(processor).__name__, **about, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
