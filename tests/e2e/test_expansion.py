"""Prompts that vLLM's own processors expand, beside what `expand_prompt` makes of them.

No server runs here: the processor of a model needs its configuration and its tokenizer alone.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from conftest import Models
from tiny_processors import make_gemma4, make_glm4v, make_internvl, make_mistral3

from mmraw_protocol import RawMMRef, compact_prompt, expand_prompt, get_adapter
from mmraw_protocol.families import Adapter
from mmraw_protocol.families.built_in import BuiltInAdapter

SIZES = ((100, 50), (300, 200), (33, 97), (640, 480), (28, 28), (211, 500))
#: (family, line, what makes a folder of it).
CASES: dict[str, tuple[str, str, Callable[[Models, Path], Path]]] = {
    "qwen": ("qwen_vl", "qwen3_vl", lambda models, _: models.get("qwen")),
    "kimi": ("kimi_k25", "kimi_k25", lambda models, _: models.get("kimi")),
    "glm4v": ("glm4v", "glm4v", lambda _, folder: make_glm4v(folder)),
    "gemma4": ("gemma4", "gemma4", lambda _, folder: make_gemma4(folder)),
    "internvl": ("internvl", "internvl", lambda _, folder: make_internvl(folder)),
    "mistral3": ("pixtral", "mistral3", lambda _, folder: make_mistral3(folder)),
}


class Case(NamedTuple):
    """A model's own processor, and the family's adapter."""

    processor: Any
    adapter: BuiltInAdapter[Any, Any]
    vocabulary: dict[str, int]


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    """One family's."""
    family, line, make = CASES[request.param]
    folder = make(models, tmp_path_factory.mktemp("processors") / line)
    return made_case(folder, get_adapter(family, line))


def made_case(folder: Path, adapter: Adapter, **processor_options: Any) -> Case:
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    config = ModelConfig(
        model=str(folder),
        tokenizer=str(folder),
        dtype="bfloat16",
        max_model_len=8192,
        mm_processor_kwargs=processor_options or None,
    )
    processor = MULTIMODAL_REGISTRY.create_processor(config)
    vocabulary = processor.info.get_tokenizer().get_vocab()
    return Case(processor, cast("BuiltInAdapter[Any, Any]", adapter), vocabulary)


def expanded_by_vllm(
    case: Case, token_ids: list[int], sizes: tuple[tuple[int, int], ...]
) -> tuple[list[int], list[tuple[int, int]]]:
    """The prompt as vLLM expands it, and its own ranges."""
    from PIL import Image
    from vllm.multimodal.processing import ProcessorInputs, TimingContext

    modality = case.adapter.feature_modality
    images: list[Any] = [Image.new("RGB", size) for size in sizes]
    if modality == "vision_chunk":
        images = [{"type": "image", "image": image, "uuid": None} for image in images]
    items = case.processor.info.parse_mm_data({modality: images})
    names = {modality: [f"image {index}" for index in range(len(images))]}
    inputs = ProcessorInputs(token_ids, items, names, cache=None)
    result = case.processor.apply(inputs, TimingContext(enabled=False))
    ranges = result["mm_placeholders"][modality]
    return result["prompt_token_ids"], [(place.offset, place.length) for place in ranges]


@pytest.mark.parametrize("count", [1, 2, len(SIZES)])
def test_vllm_expands_a_prompt_as_the_family_says(case: Case, count: int) -> None:
    adapter, vllm = case.adapter, case.adapter.info.vllm
    sizes = SIZES[:count]
    target = case.vocabulary[vllm.target]
    token_ids = [65, 66]
    for index in range(count):
        # One image follows another, or text does.
        token_ids += [target, *[67] * (index % 3)]
    refs = [
        RawMMRef(
            family=adapter.family,
            fingerprint=adapter.fingerprint(),
            mm_hash="0" * 32,
            modality=adapter.feature_modality,
            payload=adapter.layout(*size).payload,
            raw_image_id="a.png",
            run_id="e2e",
        )
        for size in sizes
    ]
    made = expand_prompt(token_ids, refs, adapter, vocabulary=case.vocabulary)
    theirs, ranges = expanded_by_vllm(case, token_ids, sizes)
    assert made.token_ids == theirs
    before, after = bool(vllm.before), bool(vllm.after)
    assert ranges == [(p.offset - before, before + p.length + after) for p in made.placeholders]
    back = compact_prompt(theirs, made.placeholders, adapter, refs=refs, vocabulary=case.vocabulary)
    assert back.token_ids == token_ids


@pytest.mark.parametrize("name", ["qwen", "glm4v"])
def test_vllm_does_not_resize_where_it_is_told_so(
    name: str, models: Models, tmp_path: Path
) -> None:
    family, _, make = CASES[name]
    adapter = get_adapter(family, {"do_resize": False})
    case = made_case(make(models, tmp_path / name), adapter, do_resize=False)
    target = case.vocabulary[case.adapter.info.vllm.target]
    for size in ((672, 1344), (1344, 672), (224, 448)):
        _, ranges = expanded_by_vllm(case, [65, target], (size,))
        assert ranges == [(1, adapter.layout(*size).placeholder_length)]
    with pytest.raises(ValueError, match="Failed to apply"):
        expanded_by_vllm(case, [65, target], ((100, 60),))
