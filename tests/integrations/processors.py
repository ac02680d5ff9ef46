"""The real image processors of the installed Transformers, as the renderers call them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import torch

from mmraw_protocol import get_adapter
from mmraw_protocol.families import Adapter
from mmraw_protocol.wire._generated.families import FAMILIES

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


@dataclass(frozen=True)
class Real:
    """Facts about a family's image processor that its folder of spec/ does not have.

    Attributes:
        settings: What its class is made with, from our layout parameters.
        varied: Values of layout parameters that are tried beside the defaults.
        call: What the whole processor calls it with, besides the images.
        payload: What its outputs say of the ref's payload; by default what has the same name.
        most_tokens: Of images that it lays out in reasonable time.
    """

    settings: Callable[[dict[str, Any]], dict[str, Any]]
    varied: dict[str, list[Any]]
    call: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda _: {})
    payload: Callable[[Any, dict[str, Any]], dict[str, Any]] = field(default=lambda out, _: out)
    most_tokens: int = 1 << 20


def _edges(shortest: str, longest: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Patches by their own names, and the limits as size.shortest_edge and size.longest_edge."""

    def settings(p: dict[str, Any]) -> dict[str, Any]:
        patches = {name: p[name] for name in ("patch_size", "merge_size", "temporal_patch_size")}
        return {**patches, "size": {"shortest_edge": p[shortest], "longest_edge": p[longest]}}

    return settings


_PATCHES: dict[str, list[Any]] = {
    "patch_size": [8, 14, 16],
    "merge_size": [1, 2, 3],
    "temporal_patch_size": [1, 2],
}
#: One row for each family.
REAL: dict[str, Real] = {
    "gemma4": Real(
        dict,
        {
            "max_soft_tokens": [70, 140, 280, 560, 1120],
            "patch_size": [14, 16],
            "pooling_kernel_size": [2, 3],
        },
        payload=lambda out, _: {"num_soft_tokens": out["num_soft_tokens_per_image"]},
    ),
    "glm4v": Real(
        _edges("shortest_edge", "longest_edge"),
        {
            **_PATCHES,
            "shortest_edge": [3136, 12544, 200704],
            "longest_edge": [300000, 1000000, 11760000],
        },
    ),
    "glm5_next": Real(
        dict, {**_PATCHES, "min_image_tokens": [1, 16, 64], "max_image_tokens": [64, 500, 8000]}
    ),
    "inkling": Real(
        lambda p: {**p, "size": {"height": p["patch"], "width": p["patch"]}},
        {
            "patch": [28, 40, 64],
            "rescale_image_frac": [None, 0.3, 1.0, 1.37, 2.0],
            "rescale_image_max_upscaled_long_edge": [None, 500, 2048],
        },
        # It cuts patch by patch.
        most_tokens=400,
    ),
    "internvl": Real(
        # Saved files hold crop_to_patches false, which is the class's default.
        lambda p: {
            "min_patches": p["min_patches"],
            "max_patches": p["max_patches"],
            "size": {"height": p["tile"], "width": p["tile"]},
        },
        {
            "tile": [224, 384, 448],
            "min_patches": [1, 2, 4],
            "max_patches": [4, 6, 12],
            "crop_to_patches": [True, True, False],
        },
        call=lambda p: {"crop_to_patches": p["crop_to_patches"]},
    ),
    "kimi_k25": Real(
        lambda p: {
            "patch_size": p["patch_size"],
            "merge_size": p["merge_kernel_size"],
            "max_patches": p["in_patch_limit"],
            "size": dict.fromkeys(("max_height", "max_width"), p["patch_limit_on_one_side"]),
            "image_mean": list(p["image_mean"]),
            "image_std": list(p["image_std"]),
        },
        {
            "patch_size": [8, 14, 16],
            "merge_kernel_size": [1, 2, 3],
            "in_patch_limit": [30, 400, 4096, 16384],
            # Multiples of every merge size: of others the checkpoint's own code refuses more.
            "patch_limit_on_one_side": [12, 48, 516],
        },
        payload=lambda out, _: {"grid_thws": out["image_grid_thw"]},
    ),
    "nemotron_h_omni": Real(
        dict,
        {
            "patch_size": [14, 16],
            "downsample_ratio": [0.25, 0.5, 1.0],
            "min_num_patches": [4, 256, 1024],
            "max_num_patches": [0, 256, 2000, 13312],
            "max_model_len": [100, 1000, 16384],
        },
    ),
    "pixtral": Real(
        # The class's own patch size has no effect: the whole processor's is in every call.
        lambda p: {"size": {"longest_edge": p["longest_edge"]}},
        {
            "longest_edge": [100, 1024, 1540],
            "patch_size": [14, 16],
            "spatial_merge_size": [1, 2],
        },
        call=lambda p: {"patch_size": p["patch_size"] * p["spatial_merge_size"]},
        payload=lambda out, call: {"image_grid_hw": out["image_sizes"] // call["patch_size"]},
    ),
    "qwen_vl": Real(
        _edges("min_pixels", "max_pixels"),
        {
            **_PATCHES,
            "min_pixels": [3136, 65536, 200704],
            "max_pixels": [300000, 1003520, 12845056, 16777216],
        },
    ),
}


def parameters_of(adapter: Adapter) -> dict[str, Any]:
    """The layout parameters of an adapter of a built-in family."""
    config: Any = adapter
    return msgspec.structs.asdict(config.config)


def real(family: str, parameters: dict[str, Any] | None = None) -> Any:
    """The image processor of a family (torchvision where there are several) by our parameters."""
    import transformers

    parameters = parameters or parameters_of(get_adapter(family))
    name = next(iter(FAMILIES[family].image_processor_types))
    resize = {key: parameters[key] for key in ("do_resize",) if key in parameters}
    return getattr(transformers, name)(**{**REAL[family].settings(parameters), **resize})


class ByName:
    """The one of a family, made again in each process, after what this module does for torch."""

    def __init__(self, family: str) -> None:
        self.family = family

    def preprocess(self, images: list[Any], **options: Any) -> Any:
        return _by_name(self.family).preprocess(images, **options)


@functools.cache
def _by_name(family: str) -> Any:
    return real(family)


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


@functools.cache
def gemma() -> Any:
    """Gemma4ImageProcessor, its Pillow backend."""
    from transformers.models.gemma4 import image_processing_pil_gemma4 as module

    return module.Gemma4ImageProcessorPil()


@functools.cache
def inkling() -> Any:
    """InklingImageProcessor, which Transformers has for torchvision only."""
    from transformers.models.inkling.image_processing_inkling import InklingImageProcessor

    return InklingImageProcessor()


@functools.cache
def nemotron() -> Any:
    """NemotronH_Omni_Reasoning_V3ImageProcessor, which Transformers has for torchvision only."""
    from transformers.models.nemotron_h_omni import image_processing_nemotron_h_omni as module

    return module.NemotronH_Omni_Reasoning_V3ImageProcessor()


class RemoteNemotron:
    """Transformers' Nemotron processor behind the answers of the checkpoint's own remote code.

    The renderer asks for num_tokens, imgs_sizes and an image of shape (1, C, H, W), which
    Transformers' class does not answer; grids and counts here are those of that class.
    """

    def __call__(self, images: list[Any], return_tensors: str) -> dict[str, Any]:
        (image,) = images
        out = nemotron().preprocess([image], return_tensors=return_tensors)
        (h, w), patch = out["image_grid_hw"][0].tolist(), nemotron().patch_size
        patches = out["pixel_values"].reshape(h, w, 3, patch, patch)
        whole = patches.transpose(2, 0, 3, 1, 4).reshape(1, 3, h * patch, w * patch)
        merge = round(1 / nemotron().downsample_ratio)
        return {
            "pixel_values": whole,
            "imgs_sizes": [(h * patch, w * patch)],
            "num_tokens": [h * w // merge**2],
            "num_patches": [1],
        }


def processor_of(image_processor: Any) -> Any:
    """As a renderer takes it."""
    return SimpleNamespace(image_processor=image_processor)
