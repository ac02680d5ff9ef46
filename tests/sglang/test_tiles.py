"""The sizes that SGLang cuts into other tiles than InternVL's layout, and that it cuts alike."""

# pyright: reportMissingImports=false

from typing import Any

import pytest
from engine import Engine
from pictures import encode, picture
from test_refusals import refusal

#: All of a few pixels: SGLang takes the larger of two equally good grids even for them.
OTHERWISE = {(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1)}


def test_sizes_that_sglang_cuts_otherwise(engines: Any) -> None:
    import torch

    engine: Engine = engines("internvl_chat")
    differ: set[tuple[int, int]] = set()
    for width, height in ((width, height) for width in range(1, 8) for height in range(1, 8)):
        tiles = engine.processor.dynamic_preprocess(
            torch.zeros(3, height, width), image_size=4, use_thumbnail=True
        )
        layout = engine.adapter.layout(width, height)
        if len(tiles) * engine.processor.num_image_token != layout.num_tokens:
            differ.add((width, height))
    assert differ == OTHERWISE


@pytest.mark.parametrize("size", sorted(OTHERWISE))
def test_their_refs_are_refused(engines: Any, size: tuple[int, int]) -> None:
    engine: Engine = engines("internvl_chat")
    ref = engine.ref(encode(picture(*size), "PNG"))
    assert refusal(engine, ref).startswith("placeholder_mismatch: ")
