"""The real image processors of the installed Transformers, as the renderers call them."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import torch

# No torchvision goes with the CPU build of this torch: its import asks for two operators that only
# its own compiled part defines. Nothing here calls them.
for _operator in ("nms", "qnms"):
    torch.library.define(f"torchvision::{_operator}", "(Tensor a, Tensor b, float c) -> Tensor")
torch.set_num_threads(1)

QWEN3 = {
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "size": {"shortest_edge": 65536, "longest_edge": 16777216},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
QWEN2 = {**QWEN3, "patch_size": 14, "size": {"shortest_edge": 3136, "longest_edge": 12845056}}
KIMI = {
    "patch_size": 14,
    "merge_size": 2,
    "max_patches": 16384,
    "size": {"max_height": 512, "max_width": 512},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}

#: The same layout parameters as a Kimi checkpoint's preprocessor_config.json has them.
MEDIA_PROC_CFG = {
    "patch_size": 14,
    "merge_kernel_size": 2,
    "in_patch_limit": 16384,
    "patch_limit_on_one_side": 512,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "fixed_output_tokens": None,
}


@functools.cache
def qwen(preset: str = "qwen3_vl") -> Any:
    """Qwen2VLImageProcessor, its Pillow backend."""
    from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as module

    return module.Qwen2VLImageProcessorPil(**(QWEN2 if preset.startswith("qwen2") else QWEN3))


@functools.cache
def kimi() -> Any:
    """Kimi_K25ImageProcessor, which Transformers has for torchvision only."""
    from transformers.models.kimi_k25.image_processing_kimi_k25 import Kimi_K25ImageProcessor

    return Kimi_K25ImageProcessor(**KIMI)


class ByName:
    """One of the two, made again in each process, after what this module does for torchvision."""

    def __init__(self, family: str) -> None:
        self.family = family

    def _processor(self) -> Any:
        return qwen() if self.family == "qwen_vl" else kimi()

    def to_dict(self) -> dict[str, Any]:
        return self._processor().to_dict()

    def preprocess(self, images: list[Any], **options: Any) -> Any:
        return self._processor().preprocess(images, **options)


class RemoteKimi:
    """Transformers' Kimi processor behind the calls of the checkpoint's own remote code."""

    def to_dict(self) -> dict[str, Any]:
        return {"media_proc_cfg": MEDIA_PROC_CFG}

    def preprocess(self, medias: list[dict[str, Any]], return_tensors: str) -> dict[str, Any]:
        out = kimi().preprocess([media["image"] for media in medias], return_tensors="pt")
        made = {"pixel_values": out["pixel_values"], "grid_thws": out["image_grid_thw"]}
        return made if return_tensors == "pt" else {k: v.numpy() for k, v in made.items()}

    def media_tokens_calculator(self, media: dict[str, Any]) -> int:
        width, height = media["image"].size
        return kimi().get_number_of_image_patches(height, width) // 4


def processor_of(image_processor: Any) -> Any:
    """As a renderer takes it."""
    return SimpleNamespace(image_processor=image_processor)
