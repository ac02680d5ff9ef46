"""Images that are not resized: layouts and tensors are those of Transformers' own processors.

Where a layout is refused that a processor has, the model's own code shows why.
"""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import processors
import pytest
import torch
from conftest import Picture
from many_pictures import forty_pictures
from PIL import Image
from test_real_layouts import laid_out
from test_real_tensors import features_of, made_by_the_processor, same
from transformers import Gemma4VisionConfig
from transformers.models.gemma4.modeling_gemma4 import Gemma4VisionPooler
from transformers.models.kimi_k25.modeling_kimi_k25 import get_vision_temporal_merge_index
from whole_processors import WHOLE, whole_processor

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.integrations.transformers import TensorMaker, adapter_of
from mmraw_protocol.wire._generated.families import FAMILIES

UNRESIZED = [family for family, info in FAMILIES.items() if "do_resize" in info.config_names]
#: Families whose models merge patches on a raster that the processor does not ask for.
MERGED = {"gemma4", "kimi_k25"}
SIZES = 2000


def unresized(family: str, rng: random.Random | None = None) -> Any:
    """The adapter under the defaults, or under parameters that are drawn."""
    varied = processors.REAL[family].varied
    chosen = {} if rng is None else {name: rng.choice(values) for name, values in varied.items()}
    try:
        return get_adapter(family, {**chosen, "do_resize": False})
    except MMRawError:  # the least of something exceeds the most of it
        return unresized(family, rng)


def side(adapter: Any) -> int:
    return adapter.config.patch_size * adapter.merge_size


def is_on_the_raster(adapter: Any, width: int, height: int) -> bool:
    return not (width % side(adapter) or height % side(adapter))


def sizes(adapter: Any, rng: random.Random) -> list[tuple[int, int]]:
    """Of any scale, most on a raster of patches or of tokens."""
    steps = (1, adapter.config.patch_size, side(adapter), side(adapter), side(adapter))
    drawn = [(rng.choice(steps), rng.randint(1, 60), rng.randint(1, 60)) for _ in range(50)]
    return [(step * across, step * down) for step, across, down in drawn]


def layout_of(adapter: Any, width: int, height: int) -> Any:
    """None where it is refused for the size."""
    try:
        return adapter.layout(width, height)
    except MMRawError as error:
        if error.code != "layout_refused":
            raise
        return None


@pytest.mark.parametrize("family", UNRESIZED)
def test_the_layout_of_every_size_is_the_processors(family: str) -> None:
    rng, laid, refused = random.Random(family), 0, 0
    while laid < SIZES:
        adapter = unresized(family, rng)
        parameters = processors.parameters_of(adapter)
        processor, real = processors.real(family, parameters), processors.REAL[family]
        call = real.call(parameters)
        for width, height in sizes(adapter, rng):
            layout = layout_of(adapter, width, height)
            if layout is None:
                refused += 1
                if family in MERGED:
                    assert not is_on_the_raster(adapter, width, height)
                    continue
                with pytest.raises(RuntimeError):
                    laid_out(processor, width, height, call)
                continue
            says = real.payload(laid_out(processor, width, height, call)[0], call)
            for name in set(layout.payload.__struct_fields__) & set(says):
                ours = getattr(layout.payload, name)
                rows = [ours] if isinstance(ours, int) else [list(row) for row in ours]
                assert says[name].tolist() == rows, (name, width, height, parameters)
            assert layout.resized == layout.content == (width, height)
            laid += 1
    assert refused > 0 or family == "pixtral"


def on_the_raster(adapter: Any, pictures: list[Picture]) -> list[Picture]:
    """The pictures, brought to multiples of a token's sides; of pixtral those that have tokens."""
    step, found = side(adapter), []
    for picture in pictures:
        image = picture.pixels()
        if adapter.family != "pixtral":
            image = image.resize([max(round(n / step), 1) * step for n in image.size])
        if min(image.size) >= step:
            found.append(encoded(picture.name, image))
    return found


def encoded(name: str, image: Any) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return Picture(name, buffer.getvalue(), Path(name))


@pytest.fixture(params=UNRESIZED)
def maker(request: pytest.FixtureRequest) -> TensorMaker:
    parameters = processors.parameters_of(unresized(request.param))
    adapter = get_adapter(request.param, parameters)
    return TensorMaker(processors.real(request.param, parameters), adapter=adapter)


def test_tensors_are_the_processors_bit_for_bit(maker: TensorMaker) -> None:
    pictures = on_the_raster(maker.adapter, list(forty_pictures()))
    assert len(pictures) >= 36
    for picture in pictures:
        got = maker(features_of(maker, [picture]))
        same(got, made_by_the_processor(maker, [picture]))
    several = pictures[::7][:4]
    same(maker(features_of(maker, several)), made_by_the_processor(maker, several))


def test_another_layout_than_the_refs_is_refused(maker: TensorMaker) -> None:
    image = Image.new("RGB", (672, 672))
    assert maker.process(image, maker.adapter.layout(672, 672).payload)
    for size in ((672, 1344), (1344, 672)):
        with pytest.raises(MMRawError) as caught:
            maker.process(image, maker.adapter.layout(*size).payload)
        assert caught.value.code == "grid_mismatch"


def test_gemmas_image_above_the_budget_stands_in_no_batch_with_others() -> None:
    adapter = unresized("gemma4")
    maker = TensorMaker(processors.real("gemma4", processors.parameters_of(adapter)))
    assert maker.adapter.fingerprint() == adapter.fingerprint()
    small, large = (
        encoded(f"{n}.png", Image.effect_noise((n, n), 50).convert("RGB")) for n in (480, 960)
    )
    same(maker(features_of(maker, [large])), made_by_the_processor(maker, [large]))
    same(maker(features_of(maker, [large] * 2)), made_by_the_processor(maker, [large] * 2))
    with pytest.raises(RuntimeError):
        made_by_the_processor(maker, [small, large])
    with pytest.raises(MMRawError, match="no batch holds these images"):
        maker(features_of(maker, [small, large]))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("family", UNRESIZED)
def test_a_whole_processor_expands_a_prompt_as_the_adapter_says(family: str) -> None:
    """The processor of the family's first line, by the parameters of the defaults."""
    line = next(iter(FAMILIES[family].lines.values()))
    placeholder = [None, *FAMILIES[family].conventions][-1]
    adapter = get_adapter(family, {"do_resize": False}, placeholder=placeholder)
    name = line.processor_classes[0]
    whole = whole_processor(family, adapter, line, name)
    # Its own adapter, read from its configuration.
    assert adapter_of(whole).fingerprint() == adapter.fingerprint()
    picture = on_the_raster(adapter, list(forty_pictures()))[0]
    described = adapter.describe(picture.data)
    around = ("", "") if WHOLE[name].writes_around else (line.placeholder[1], line.placeholder[2])
    text = f"{around[0]}{adapter.pad_token}{around[1]}"
    out = whole(images=[picture.pixels()], text=[text], return_tensors="pt")
    expected = whole.tokenizer(adapter.prompt_text(described.payload), add_special_tokens=False)
    assert out["input_ids"].tolist() == [expected["input_ids"]]


def test_gemmas_model_pools_the_processors_count_on_the_raster_alone() -> None:
    """Elsewhere it makes another count of tokens, or has several rows in one."""
    pool = Gemma4VisionPooler(Gemma4VisionConfig(hidden_size=4))
    counted = 0
    for h in range(3, 22):
        for w in range(3, 22):
            xy = torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy")
            rest = (0, 0, 0, 2520 - h * w)
            positions = torch.nn.functional.pad(torch.stack(xy, -1).reshape(-1, 2), rest, value=-1)
            hidden, padding = torch.ones(1, 2520, 4), (positions == -1).all(-1)[None]
            out, mask = pool(hidden, positions[None], padding, output_length=280)
            # Each token is the mean of nine patches, all of which are 1; it is then scaled by 2.
            right = int(mask.sum()) == h * w // 9 and bool((out[mask] == 2).all())
            assert right == (h % 3 == 0 and w % 3 == 0), (h, w)
            counted += right
    assert counted == 49


def test_kimis_model_merges_grids_on_the_raster_alone() -> None:
    """Elsewhere patches have no place of their own among the tokens that are counted."""
    for h in range(1, 16):
        for w in range(1, 16):
            place, _, count = get_vision_temporal_merge_index(torch.tensor([[1, h, w]]), 2, 2)
            places = set(place.tolist())
            right = count == h * w // 4 and len(places) == h * w and max(places) < 4 * count
            assert right == (h % 2 == w % 2 == 0), (h, w)
