"""Tensors of every family are those of Transformers' own image processors, bit for bit.

The processors get the pixels of the files; TensorMaker gets refs. What a whole processor calls its
image processor with is written in `processors.REAL`; TensorMaker knows it from the family.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import processors
import pytest
import torch
from conftest import Picture
from many_pictures import conversation, forty_pictures
from PIL import Image

from mmraw_protocol import MMRawError, build_features, get_adapter, mm_data
from mmraw_protocol.conversation.messages import pack_images as pack_raw_images
from mmraw_protocol.families import Adapter
from mmraw_protocol.integrations.rollouts import collate
from mmraw_protocol.integrations.tensors import ImageTensors
from mmraw_protocol.integrations.transformers import TensorMaker, pack_images
from mmraw_protocol.wire._generated.families import FAMILIES

#: The arguments of models that are made of images.
ARGUMENTS = {
    "gemma4": {"pixel_values", "image_position_ids"},
    "glm4v": {"pixel_values", "image_grid_thw"},
    "glm5_next": {"pixel_values", "image_grid_thw"},
    "inkling": {"pixel_values"},
    "internvl": {"pixel_values"},
    "kimi_k25": {"pixel_values", "image_grid_thw"},
    "nemotron_h_omni": {"pixel_values", "image_grid_hw"},
    "pixtral": {"pixel_values", "image_sizes"},
    "qwen_vl": {"pixel_values", "image_grid_thw"},
}
#: Families whose outputs tell how many tokens there are, and not in which grid.
COUNTED = {"gemma4", "inkling", "internvl"}


def other_adapter(family: str) -> Adapter:
    """One under other layout parameters than the defaults, the same in every run."""
    rng = random.Random(family)
    while True:
        varied = processors.REAL[family].varied
        chosen = {name: rng.choice(values) for name, values in varied.items()}
        # Refs carry grids [t, h, w] of even sides alone.
        chosen |= {name: 2 for name in chosen if name.startswith("merge_")}
        try:
            return get_adapter(family, {**processors.parameters_of(get_adapter(family)), **chosen})
        except MMRawError:
            continue


CONFIGURED = [(family, chosen) for family in FAMILIES for chosen in ("defaults", "others")]


@pytest.fixture(scope="module", params=CONFIGURED, ids="-".join)
def maker(request: pytest.FixtureRequest) -> TensorMaker:
    family, configuration = request.param
    adapter = get_adapter(family) if configuration == "defaults" else other_adapter(family)
    processor = processors.real(family, processors.parameters_of(adapter))
    return TensorMaker(processor, adapter=adapter)


def made_by_the_processor(maker: TensorMaker, pictures: list[Picture]) -> dict[str, Any]:
    """Its own batch of the pictures."""
    family = maker.adapter.family
    call = processors.REAL[family].call(processors.parameters_of(maker.adapter))
    images = [picture.pixels() for picture in pictures]
    out = maker.image_processor.preprocess(images, return_tensors="pt", **call)
    return {name: out[name] for name in ARGUMENTS[family]}


def features_of(maker: TensorMaker, pictures: list[Picture]) -> dict[str, Any]:
    packed = pack_raw_images(conversation(pictures), maker.adapter, storage="inline", alpha="drop")
    offsets, offset = [], 0
    for image in packed:
        offsets.append(offset)
        offset += image.description.placeholder_length + 1
    return build_features(mm_data(packed, offsets), run_id="x")


def same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert got[name].dtype == value.dtype, name
        assert torch.equal(got[name], value), name


def is_laid_out(maker: TensorMaker, picture: Picture) -> bool:
    try:
        maker.adapter.describe(picture.data)
        return True
    except MMRawError as error:
        if error.code in ("aspect_ratio", "layout_refused"):
            return False
        raise


def test_tensors_of_forty_pictures_one_by_one(maker: TensorMaker) -> None:
    compared = 0
    for picture in forty_pictures():
        try:
            want = made_by_the_processor(maker, [picture])
        except (ValueError, ZeroDivisionError):
            assert not is_laid_out(maker, picture)
            continue
        except RuntimeError:
            # Torch fails on some pictures that it resizes to one row or column.
            assert min(picture.open().size) <= 4
            continue
        same(maker(features_of(maker, [picture])), want)
        compared += 1
    assert compared >= 36


def several(maker: TensorMaker) -> list[Picture]:
    """Pictures of different sizes, of which two are of one size."""
    laid_out = [picture for picture in forty_pictures() if is_laid_out(maker, picture)]
    return [*laid_out[::7][:4], laid_out[0]]


def test_several_images_are_the_processors_own_batch(maker: TensorMaker) -> None:
    if maker.adapter.family == "nemotron_h_omni":
        least = processors.parameters_of(maker.adapter)["min_num_patches"]
        assert least * 5 <= 13312, "a budget that its images would share"
    pictures = several(maker)
    got = maker(features_of(maker, pictures))
    same(got, made_by_the_processor(maker, pictures))


def test_a_batch_of_prompts_is_the_processors_own_batch(maker: TensorMaker) -> None:
    pictures = several(maker)
    prompts = [pictures[:2], [], pictures[2:]]
    samples = [{"input_ids": torch.tensor([1]), **maker(features_of(maker, p))} for p in prompts]
    batch = collate(samples, pad_token_id=0)
    del batch["input_ids"], batch["attention_mask"]
    same(batch, made_by_the_processor(maker, pictures))


def test_images_of_a_conversation_are_laid_out_each_alone(maker: TensorMaker) -> None:
    pictures = several(maker)
    made = pack_images(conversation(pictures), maker, alpha="drop")
    for image, picture in zip(made, pictures, strict=True):
        same(image.tensors, made_by_the_processor(maker, [picture]))


def test_another_layout_than_the_refs_is_refused(maker: TensorMaker) -> None:
    """The image has other pixels than the ref says: another count, another grid or both."""
    picture = Image.new("RGB", (448, 448))
    layouts = [maker.adapter.layout(*size) for size in ((448, 448), (448, 224), (1400, 400))]
    own, *others = layouts
    assert maker.process(picture, own.payload)
    for layout in others:
        # Some outputs tell a count alone.
        if layout.num_tokens == own.num_tokens and maker.adapter.family in COUNTED:
            continue
        with pytest.raises(MMRawError) as caught:
            maker.process(picture, layout.payload)
        assert caught.value.code == "grid_mismatch"


class Cut:
    """A processor whose pictures lack their last column, or half of each patch."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def preprocess(self, images: list[Any], **options: Any) -> Any:
        out = self.processor.preprocess(images, **options)
        pixels = out["pixel_values"]
        # The last axis of some is that of colours; the one before is never shorter than a side.
        out["pixel_values"] = pixels[..., :-1, :] if pixels.ndim > 2 else pixels[:, ::2]
        return out


def test_tensors_of_another_size_are_refused(maker: TensorMaker) -> None:
    """Grid and count are right: another patch size, tile or budget shows in the pixels alone."""
    cut = TensorMaker(Cut(maker.image_processor), adapter=maker.adapter)
    with pytest.raises(MMRawError) as caught:
        cut.process(Image.new("RGB", (448, 448)), maker.adapter.layout(448, 448).payload)
    assert caught.value.code == "grid_mismatch"


def test_a_family_that_is_not_built_in_has_patches_in_rows_and_their_grid() -> None:
    adapter: Any = SimpleNamespace(family="toy", grid_thw=lambda _: (1, 2, 3))
    layout: Any = SimpleNamespace(grid_thw=(1, 2, 3), resized=(3, 2))
    out = {"pixel_values": torch.zeros(6, 4), "image_grid_thw": torch.tensor([[1, 2, 3]])}
    assert ImageTensors(adapter).checked({**out, "more": 1}, {}, layout) == out
    for changed in ({"pixel_values": torch.zeros(7, 4)}, {"image_grid_thw": torch.ones(1, 3)}):
        with pytest.raises(MMRawError, match="grid_mismatch"):
            ImageTensors(adapter).checked({**out, **changed}, {}, layout)


def test_a_field_of_a_line_that_is_called_like_a_tensor_stays_a_field() -> None:
    samples = [{"input_ids": torch.tensor([1]), "image_sizes": [[4, 4]]} for _ in range(2)]
    assert collate(samples, pad_token_id=0)["image_sizes"] == [[[4, 4]], [[4, 4]]]


def test_every_family_is_in_the_tables() -> None:
    assert processors.REAL.keys() == ARGUMENTS.keys() == FAMILIES.keys()
