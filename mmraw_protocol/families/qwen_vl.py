"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 (family `qwen_vl`).

Arithmetic of smart_resize as Qwen2VLImageProcessor of transformers 5.24 runs it; the order of the
float operations is part of it, since rounding decides rows.
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import QwenVlLayout, QwenVlPayload
from ..wire.errors import MMRawError
from ..wire.grids import Grid, check_grid
from ..wire.ref import Payload
from .base import Layout
from .family import FamilyAdapter


def qwen_grid(
    width: int,
    height: int,
    patch_size: int = 16,
    merge_size: int = 2,
    min_pixels: int = 65536,
    max_pixels: int = 16777216,
) -> tuple[int, int]:
    """(h, w) in patches; pixels in. The sides must be positive and no longer than 200 to 1."""
    factor = patch_size * merge_size
    high = round(height / factor) * factor
    wide = round(width / factor) * factor
    if high * wide > max_pixels:
        beta = math.sqrt((height * width) / max_pixels)
        high = max(factor, math.floor(height / beta / factor) * factor)
        wide = max(factor, math.floor(width / beta / factor) * factor)
    elif high * wide < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        high = math.ceil(height * beta / factor) * factor
        wide = math.ceil(width * beta / factor) * factor
    return high // patch_size, wide // patch_size


class QwenVlAdapter(FamilyAdapter[QwenVlLayout]):
    """The adapter of family `qwen_vl`."""

    family: str = "qwen_vl"
    feature_modality: str = "image"
    pad_token: str = "<|image_pad|>"

    @property
    def merge_size(self) -> int:
        """Patches per token along one side."""
        return self.config.merge_size

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels.

        Raises:
            MMRawError: invalid_value (a side below 1), aspect_ratio, limit_exceeded.
        """
        self.check_size(width, height, limits)
        aspect = width / height if width > height else height / width
        if aspect > limits.image_aspect:
            message = f"the image is longer than {limits.image_aspect} to 1"
            raise MMRawError("aspect_ratio", message)
        knobs = self.config
        patch, merge = knobs.patch_size, knobs.merge_size
        h, w = qwen_grid(width, height, patch, merge, knobs.min_pixels, knobs.max_pixels)
        grid = (1, h, w)
        # On the merge raster it is by construction.
        if h * w > limits.grid_patches:
            check_grid(grid, merge_size=merge, limits=limits, path="$.grid_thw")
        tokens = h * w // (merge * merge)
        resized = (w * patch, h * patch)
        return Layout(
            grid_thw=grid,
            num_tokens=tokens,
            placeholder_length=tokens,
            payload=QwenVlPayload(image_grid_thw=(grid,)),
            resized=resized,
            content=resized,
        )

    def parse_payload(self, payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> QwenVlPayload:
        """The typed payload, its grid held against this configuration's merge size."""
        typed = self.convert(payload, QwenVlPayload)
        path = "$.payload.image_grid_thw"
        check_grid(typed.image_grid_thw[0], merge_size=self.merge_size, limits=limits, path=path)
        return typed

    def grid_thw(self, payload: Payload) -> Grid:
        """The grid that a payload names."""
        return self.convert(payload, QwenVlPayload).image_grid_thw[0]

    def num_tokens(self, payload: Payload) -> int:
        """t * h * w / merge_size^2."""
        t, h, w = self.grid_thw(payload)
        return t * h * w // self.merge_size**2

    def placeholder_length(self, payload: Payload) -> int:
        """One pad per token."""
        return self.num_tokens(payload)

    def prompt_text(self, payload: Payload) -> str:
        """`<|vision_start|>`, the pads, `<|vision_end|>`."""
        pads = self.pad_token * self.placeholder_length(payload)
        return f"<|vision_start|>{pads}<|vision_end|>"


#: Knobs as published with each line of checkpoints.
PRESETS = {
    "qwen2_vl": QwenVlLayout(patch_size=14, min_pixels=3136, max_pixels=12845056),
    "qwen2_5_vl": QwenVlLayout(patch_size=14, min_pixels=3136, max_pixels=12845056),
    "qwen3_vl": QwenVlLayout(),
    "qwen3_5": QwenVlLayout(),
}


def knobs_of(document: dict[str, Any]) -> dict[str, Any]:
    """The layout's knobs in a preprocessor_config.json of the family.

    min_pixels and max_pixels win over size.shortest_edge and size.longest_edge, as in the
    processor. What is absent takes the published value of the line that the patch size tells.

    Raises:
        MMRawError: invalid_config.
    """
    if "media_proc_cfg" in document:
        raise MMRawError("invalid_config", "media_proc_cfg belongs to family kimi_k25")
    given: Any = document.get("size") or {}
    if not isinstance(given, dict):
        raise MMRawError("invalid_config", "expected an object", "$.size")
    size = cast("dict[str, Any]", given)
    base = PRESETS["qwen2_vl" if document.get("patch_size") == 14 else "qwen3_vl"]
    knobs = msgspec.structs.asdict(base)
    edges = {"min_pixels": size.get("shortest_edge"), "max_pixels": size.get("longest_edge")}
    both = {**edges, **{name: document[name] for name in knobs if document.get(name) is not None}}
    found = {name: value for name, value in both.items() if value is not None}
    if not found:
        # Another model's file: the defaults in its place would be wrong without a word.
        message = "none of the family's knobs is there: patch_size, merge_size, size and others"
        raise MMRawError("invalid_config", message)
    return knobs | found
