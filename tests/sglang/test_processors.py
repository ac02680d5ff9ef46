"""Refs and data: URLs through SGLang's processors of images: the same ids and the same tensors."""

# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import pytest
from engine import RUN, SERVED, Engine, data_url
from pictures import KINDS, SIZES, encode, picture

from mmraw_protocol import convert_ref
from mmraw_protocol.wire._generated.dialects import DIALECTS

#: Opaque pictures of 40 sizes and kinds; of alpha and EXIF test_identity speaks.
FORTY: list[bytes] = [
    *(write(picture(96 + 7 * i, 300 - 11 * i, i)) for i, write in enumerate(KINDS.values())),
    *(encode(picture(*size, seed=40), "PNG") for size in SIZES[:7]),
    *(encode(picture(37 + 29 * i, 523 - 23 * i, i), ("JPEG", "PNG")[i % 2]) for i in range(21)),
]


def same(found: Any, expected: Any) -> bool:
    """True if two requests would give the scheduler the same."""
    return list(found.input_ids) == list(expected.input_ids) and all(
        one.offsets == two.offsets
        and one.feature.equal(two.feature)
        and one.model_specific_data.keys() == two.model_specific_data.keys()
        and all(
            one.model_specific_data[name].equal(value)
            for name, value in two.model_specific_data.items()
        )
        for one, two in zip(found.mm_inputs.mm_items, expected.mm_inputs.mm_items, strict=True)
    )


@pytest.mark.parametrize("family", SERVED)
def test_forty_pictures(engines: Any, family: str) -> None:
    engine: Engine = engines(family)
    differ = []
    for index, data in enumerate(FORTY):
        ref = engine.ref(data, inline=bool(index % 2))
        if not same(engine.processed(ref), engine.processed(data_url(data))):
            differ.append(index)
    assert len(FORTY) == 40
    assert differ == []


@pytest.mark.parametrize("family", SERVED)
def test_several_images_of_a_prompt(engines: Any, family: str) -> None:
    engine: Engine = engines(family)
    refs = [engine.ref(data) for data in FORTY[:4]]
    urls = [data_url(data) for data in FORTY[:4]]
    mixed = [refs[0], urls[1], refs[2], urls[3]]
    expected = engine.processed(*urls)
    assert same(engine.processed(*refs), expected)
    assert same(engine.processed(*mixed), expected)


@pytest.mark.parametrize("family", [name for name in SERVED if name != "internvl_chat"])
def test_the_tensors_are_those_of_transformers(engines: Any, family: str) -> None:
    """SGLang cuts tiles of InternVL's own checkpoints itself."""
    engine: Engine = engines(family)
    # As processors of whole prompts call the image processor.
    calls = {"internvl": {"crop_to_patches": True}, "mistral3": {"patch_size": 28}}
    options = calls.get(family, {})
    for data in FORTY[::8]:
        (item,) = engine.processed(engine.ref(data)).mm_inputs.mm_items
        image = engine.open(data).convert("RGB")
        expected = engine.transformers(images=[image], return_tensors="pt", **options)
        assert item.feature.equal(expected["pixel_values"])


def test_each_form_in_which_sglang_takes_an_image(qwen: Engine, tmp_path: Path) -> None:
    from sglang.srt.utils import ImageData

    data = FORTY[0]
    expected = qwen.processed(data_url(data))
    for form in (
        qwen.ref(data),
        {"url": qwen.ref(data)},
        {"image": qwen.ref(data)},
        {"type": "image", "url": qwen.ref(data), "detail": "auto"},
        ImageData(url=qwen.ref(data)),
    ):
        assert same(qwen.processed(form), expected)


def test_every_dialect_is_read(qwen: Engine) -> None:
    expected = qwen.processed(data_url(FORTY[0]))
    config: Any = {"run_id": RUN, "config": qwen.folder, "store": qwen.store}
    for dialect, wire in DIALECTS.items():
        ref = qwen.ref(FORTY[0], inline="raw_image_data" in wire.attributes)
        assert same(qwen.processed(convert_ref(ref, dialect, **config)), expected)


def test_other_images_go_on_unchanged(qwen: Engine, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(encode(picture(120, 80), "PNG"))
    expected = qwen.processed(data_url(path.read_bytes()))
    for source in (str(path), f"file://{path}", path.read_bytes(), qwen.open(path.read_bytes())):
        assert same(qwen.processed(source), expected)
    with pytest.raises(ValueError, match=r"^(?!.*mmraw).*$"):
        qwen.processed("no image")
