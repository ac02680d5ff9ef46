"""A toy family: an image is shrunk to fit a budget of square tiles, one token each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from mmraw_protocol import DEFAULT_LIMITS, Limits, MMRawError
from mmraw_protocol.families import FamilyAdapter, Layout, read_config, typed_config


class TileLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Layout parameters: side of a tile in pixels, and the most tiles that an image may become."""

    tile: int = 32
    most_tiles: int = 64


class TileAdapter(FamilyAdapter[TileLayout]):
    """The adapter of family `toy_tiles`."""

    family = "toy_tiles"
    feature_modality = "image"
    pad_token = "<|tile|>"

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """Rows and columns of tiles that cover the (shrunk) image."""
        self.check_size(width, height, limits)
        tile, most = self.config.tile, self.config.most_tiles
        scale = min(1.0, math.sqrt(most * tile * tile / (width * height)))
        rows = max(1, min(most, int(height * scale / tile)))
        columns = max(1, min(most // rows, int(width * scale / tile)))
        return Layout(
            grid_thw=(1, rows, columns),
            num_tokens=rows * columns,
            placeholder_length=rows * columns,
            payload={"tiles": [rows, columns]},
            resized=(columns * tile, rows * tile),
            content=(columns * tile, rows * tile),
        )

    def parse_payload(self, payload: Any) -> dict[str, Any]:
        """`{"tiles": [rows, columns]}`, two positive integers and nothing else."""
        sides = payload.get("tiles") if isinstance(payload, Mapping) and len(payload) == 1 else None
        if not isinstance(sides, (list, tuple)) or len(sides) != 2:
            raise MMRawError("invalid_grid", "expected two numbers in tiles", "$.payload")
        if not all(type(side) is int and side > 0 for side in sides):
            raise MMRawError("invalid_grid", "tiles are positive integers", "$.payload")
        return {"tiles": list(sides)}

    def grid_thw(self, payload: Any) -> tuple[int, int, int]:
        """Tiles as a grid: one frame, rows, columns."""
        rows, columns = self.parse_payload(payload)["tiles"]
        return 1, rows, columns

    def num_tokens(self, payload: Any) -> int:
        """One token per tile."""
        _, rows, columns = self.grid_thw(payload)
        return rows * columns

    def placeholder_length(self, payload: Any) -> int:
        """One pad per token."""
        return self.num_tokens(payload)

    def prompt_text(self, payload: Any) -> str:
        """The pads, and nothing around them."""
        return self.pad_token * self.placeholder_length(payload)


def make(config: Any, placeholder: str | None) -> TileAdapter:
    """The function that the entry point names: makes an adapter from a configuration (or None)."""
    if placeholder is not None:
        raise MMRawError("unsupported_option", "toy_tiles has one placeholder convention")
    if config is None or isinstance(config, TileLayout):
        return TileAdapter(config or TileLayout())
    return TileAdapter(typed_config(read_config(config), TileLayout))
