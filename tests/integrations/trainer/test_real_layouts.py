"""Layouts of every family are those of Transformers' own image processors, for any size.

The whole processor runs, on tensors of torch's device `meta`, which have a size and no pixels; of
its work only resizing and normalizing pixels is left out. `test_real_tensors.py` has pixels.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest import mock

import processors
import pytest
import torch
import torchvision.transforms.v2.functional as functional

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.families import Adapter
from mmraw_protocol.wire._generated.families import FAMILIES

SIZES = 2500
#: The refusals of an image for its size.
REFUSALS = ("aspect_ratio", "layout_refused")


def configurations(family: str, rng: random.Random) -> Iterator[Adapter]:
    """The defaults, then others for ever."""
    yield get_adapter(family)
    defaults = processors.parameters_of(get_adapter(family))
    while True:
        chosen = {
            name: rng.choice(values) for name, values in processors.REAL[family].varied.items()
        }
        # The least of something may exceed the most of it.
        with suppress(MMRawError):
            yield get_adapter(family, {**defaults, **chosen})


def sizes(rng: random.Random) -> Iterator[tuple[int, int]]:
    """(width, height) of any scale, most no thinner than images are, some on a raster."""
    while True:
        # Of an aspect that several tilings have exactly.
        across, down, scale = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 500)
        yield across * scale, down * scale
        width = round(2 ** rng.uniform(0, 12.5))
        ratio = 2 ** rng.choice((rng.gauss(0, 1), rng.uniform(-9, 9)))
        height = min(max(round(width * ratio), 1), 6000)
        step = rng.choice((1, 1, 14, 16, 28, 32))
        yield max(width // step * step, 1), max(height // step * step, 1)


def laid_out(processor: Any, width: int, height: int, call: dict[str, Any]) -> tuple[Any, Any]:
    """(the outputs, (width, height) that the picture is resized to first)."""
    resized: list[tuple[int, int]] = []

    def resize(image: Any, size: Any, *_: Any, **__: Any) -> Any:
        high, wide = size
        resized.append((wide, high))
        return image.new_empty((*image.shape[:-2], high, wide))

    image = torch.empty((3, height, width), dtype=torch.uint8, device="meta")
    without_pixels = mock.patch.multiple(
        functional, resize=resize, normalize=lambda image, *_, **__: image
    )
    options = {"input_data_format": "channels_first", "return_tensors": "pt", **call}
    with without_pixels:
        out = processor.preprocess([image], **options)
    return out, [*resized, (width, height)][0]


def compare(adapter: Adapter, processor: Any, width: int, height: int) -> bool:
    """Asserts that both refuse or that both lay out alike; whether they laid out."""
    family = processors.REAL[adapter.family]
    call = family.call(processors.parameters_of(adapter))
    layout, refusal = None, ""
    try:
        layout = adapter.layout(width, height)
    except MMRawError as error:
        refusal = error.code
    if layout is not None and layout.num_tokens > family.most_tokens:
        return False
    try:
        out, resized = laid_out(processor, width, height, call)
    except (ValueError, ZeroDivisionError, RuntimeError):
        assert refusal in REFUSALS or (layout is not None and layout.num_tokens == 0)
        return False
    assert layout is not None, refusal
    assert layout.content == resized
    says = family.payload(out, call)
    named = [name for name in layout.payload.__struct_fields__ if name in says]
    assert named
    for name in named:
        ours = getattr(layout.payload, name)
        rows = [ours] if isinstance(ours, int) else [list(row) for row in ours]
        assert says[name].tolist() == rows, name
    return True


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layout_of_every_size_is_the_processors(family: str) -> None:
    rng = random.Random(family)
    measures, done = sizes(rng), 0
    for adapter in configurations(family, rng):
        processor = processors.real(family, processors.parameters_of(adapter))
        for _ in range(50):
            width, height = next(measures)
            try:
                done += compare(adapter, processor, width, height)
            except AssertionError as error:
                parameters = processors.parameters_of(adapter)
                raise AssertionError(f"{width}x{height} under {parameters}") from error
        if done >= SIZES:
            return
