"""Lines of checkpoints: what family.json says of each is what Transformers' classes do.

A whole processor of each line expands a prompt as our adapter says, and makes the tensors that
TensorMaker makes with its image processor alone. Ids of tokens and classes of processors are those
of the model's configuration class. Published layout parameters and texts of tokens that stand in
checkpoints' files alone cannot be looked up in Transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tiny
import torch
from many_pictures import conversation, forty_pictures
from processors import parameters_of, processor_of, real
from renderers.base import MODEL_RENDERER_MAP, RENDERER_REGISTRY, _populate_registry
from whole_processors import (
    CONFIGS,
    IMAGE_PROCESSORS,
    PROCESSORS,
    WHOLE,
    adapter_of_line,
    whole_processor,
)

from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.wire._generated.families import FAMILIES, Line

_populate_registry()
#: Classes of checkpoints' own code, which are not at hand.
REMOTE = {"KimiK25Processor"}
LINES = [(family, name) for family, info in FAMILIES.items() for name in info.lines]
CLASSES = [
    (family, name, processor)
    for family, name in LINES
    for processor in FAMILIES[family].lines[name].processor_classes
    if processor not in REMOTE
]
#: The names of a token's id in configuration classes, by its role in a prompt.
IDS = {
    "token": ("image_token_id", "image_token_index"),
    "before": (
        "vision_start_token_id",
        "image_start_token_id",
        "boi_token_id",
        "image_bos_token_id",
    ),
    "after": ("vision_end_token_id", "image_end_token_id", "eoi_token_id"),
}
#: Published ids that no configuration class has: of a tokenizer's file alone.
IN_NO_CONFIGURATION = {
    ("pixtral", "[IMG]"),
    ("pixtral", "[IMG_BREAK]"),
    ("pixtral", "[IMG_END]"),
    ("mistral3", "[IMG_BREAK]"),
    ("mistral3", "[IMG_END]"),
    ("qwen3_omni", "<|vision_end|>"),
}
#: Layout parameters by what configuration classes call them.
PATCHES = {
    "patch": "patch_size",
    "patch_size": "patch_size",
    "merge_kernel_size": "spatial_merge_size",
    "merge_size": "spatial_merge_size",
    "spatial_merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
    "pooling_kernel_size": "pooling_kernel_size",
}
#: Names of models that the released renderers know, and the line whose prompt theirs is.
RENDERED = {
    "Qwen/Qwen3-VL-8B-Instruct": "qwen3_vl",
    "Qwen/Qwen3.5-35B-A3B": "qwen3_5",
    "Qwen/Qwen3.6-35B-A3B": "qwen3_5",
    "Qwen/Qwen3.8-27B": "qwen3_5",
}
#: The model's type is another family's too; the processor's class in the checkpoint decides.
BY_PROCESSOR_CLASS = {"llava"}


def line_of(family: str, name: str) -> Line:
    return FAMILIES[family].lines[name]


def test_every_class_of_processors_is_in_the_table() -> None:
    assert {processor for *_, processor in CLASSES} == WHOLE.keys()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("family", "name", "processor"), CLASSES)
def test_a_whole_processor_expands_a_prompt_as_the_adapter_says(
    family: str, name: str, processor: str
) -> None:
    line, adapter = line_of(family, name), adapter_of_line(family, name)
    whole = whole_processor(family, adapter, line, processor)
    pictures = [p for p in forty_pictures() if min(p.open().size) > 60][:2]
    described = [adapter.describe(picture.data) for picture in pictures]
    tokens = line.placeholder
    around = ("", "") if WHOLE[processor].writes_around else (tokens.before, tokens.after)
    single = f"{around[0]}{tokens.token}{around[1]}"
    out = whole(
        images=[picture.pixels() for picture in pictures],
        text=[f"one {single}, two {single}."],
        return_tensors="pt",
    )
    first, second = (adapter.prompt_text(found.payload) for found in described)
    expected = whole.tokenizer(f"one {first}, two {second}.", add_special_tokens=False)["input_ids"]
    assert out["input_ids"].tolist() == [expected]
    pad = whole.tokenizer.convert_tokens_to_ids(adapter.pad_token)
    assert expected.count(pad) == sum(found.num_tokens for found in described)

    maker = TensorMaker(whole.image_processor, adapter=adapter)
    packed = pack_images(conversation(pictures), adapter, storage="inline")
    made = maker([image.item for image in packed])
    for argument, tensor in made.items():
        key = argument if argument in out else maker.tensors.outputs.outputs[argument].output
        assert torch.equal(out[key], tensor), argument


def values(document: Any, names: tuple[str, ...]) -> Iterator[Any]:
    """Yields the values under any of the names, at any depth, without nulls."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in names and value is not None:
                yield value
            yield from values(value, names)


def test_ids_of_tokens_are_the_defaults_of_the_configuration_class() -> None:
    told: set[tuple[str, str]] = set()
    for family, name in LINES:
        line = line_of(family, name)
        for model_type in set(line.model_types) - BY_PROCESSOR_CLASS:
            document = CONFIGS[model_type]().to_dict()
            for role, names in IDS.items():
                text = getattr(line.placeholder, role)
                found = set(values(document, names))
                if text in line.token_ids and found:
                    assert found == {line.token_ids[text]}, (model_type, text)
                    told.add((name, text))
    published = {(name, text) for family, name in LINES for text in line_of(family, name).token_ids}
    assert published - told == IN_NO_CONFIGURATION


@pytest.mark.parametrize(("family", "name"), LINES)
def test_a_model_type_has_the_processors_of_its_line(family: str, name: str) -> None:
    line = line_of(family, name)
    for model_type in line.model_types:
        assert model_type in CONFIGS
        if model_type in BY_PROCESSOR_CLASS:
            continue
        assert PROCESSORS.get(model_type) in line.processor_classes
        # For some model types only image_processor_type of their files decides.
        for kind in (IMAGE_PROCESSORS.get(model_type) or {}).values():
            assert kind.removesuffix("Pil") in FAMILIES[family].image_processor_types


def test_patches_are_those_of_the_models_vision_tower() -> None:
    told: set[tuple[str, str]] = set()
    for family, name in LINES:
        parameters = parameters_of(adapter_of_line(family, name))
        for model_type in set(line_of(family, name).model_types) - BY_PROCESSOR_CLASS:
            document = CONFIGS[model_type]().to_dict()
            for parameter in parameters.keys() & PATCHES.keys():
                found = set(values(document, (PATCHES[parameter],)))
                if found:
                    assert found == {parameters[parameter]}, (model_type, parameter)
                    told.add((family, parameter))
    sizes = {("qwen_vl", name) for name in ("patch_size", "merge_size", "temporal_patch_size")}
    assert told >= sizes
    assert {family for family, _ in told} == FAMILIES.keys() - {"internvl"}, "tiles are no patches"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("model", "name"), RENDERED.items())
def test_a_renderer_of_the_models_name_writes_the_lines_prompt(model: str, name: str) -> None:
    """Models without a type of their own in Transformers, by the released renderers."""
    line, adapter = FAMILIES["qwen_vl"].lines[name], adapter_of_line("qwen_vl", name)
    tokenizer = tiny.tokenizer()
    kind = RENDERER_REGISTRY[MODEL_RENDERER_MAP[model]]
    picture = forty_pictures()[-1]
    processor = processor_of(real("qwen_vl", parameters_of(adapter)))
    renderer = kind(tokenizer, processor=processor)
    content = [{"type": "text", "text": "a"}, {"type": "image", "image": picture.pixels()}]
    rendered = renderer.render([{"role": "user", "content": content}])
    found = adapter.describe(picture.data)
    text = tokenizer.decode(rendered.token_ids)
    assert text.count(adapter.prompt_text(found.payload)) == 1
    (place,) = rendered.multi_modal_data.mm_placeholders["image"]
    span = tokenizer.convert_ids_to_tokens(rendered.token_ids[place.offset :][: place.length])
    assert span == adapter.span(found.payload)
    assert text.count(line.placeholder.token) == len(span)
