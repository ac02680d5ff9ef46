"""One checkpoint, one fingerprint: what the package reads in a folder is what Transformers reads.

Folders are written with varied parameters, by `save_pretrained` and by hand; the processor that
Transformers makes of the same folder must give the same adapter.
"""

import json
from pathlib import Path
from typing import Any

import processors  # what torchvision needs, before Transformers asks for it
import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tokenizer
from transformers import AutoImageProcessor

from mmraw_protocol import MMRawError
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.transformers import adapter_of

assert processors
sides = st.integers(1, 64)
few = st.integers(1, 4)
many = st.integers(4096, 2**24)
edges = st.tuples(st.integers(1, 4095), many).map(
    lambda pair: {"shortest_edge": pair[0], "longest_edge": pair[1]}
)
PATCHES = {"patch_size": sides, "merge_size": few, "temporal_patch_size": few}


def square(name: str, other: str, side: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return side.map(lambda n: {name: n, other: n})


RESIZE = {"do_resize": st.booleans()}
#: Options of each image processor, besides those that have no part in a layout.
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "Qwen2VLImageProcessor": PATCHES
    | RESIZE
    | {
        "size": st.none() | edges,
        "min_pixels": st.none() | st.integers(1, 4095),
        "max_pixels": st.none() | many,
    },
    "Glm4vImageProcessor": PATCHES | RESIZE | {"size": edges, "max_pixels": many},
    "Glm46VImageProcessor": PATCHES | RESIZE | {"size": edges},
    "Glm5NextImageProcessor": PATCHES
    | RESIZE
    | {"min_image_tokens": few, "max_image_tokens": st.integers(16, 10000)},
    "Kimi_K25ImageProcessor": RESIZE
    | {
        "patch_size": sides,
        "merge_size": few,
        "max_patches": st.integers(1, 20000),
        "size": square("max_height", "max_width", st.integers(2, 600)),
    },
    "Gemma4ImageProcessor": RESIZE
    | {
        "max_soft_tokens": st.sampled_from((70, 140, 280, 560, 1120)),
        "patch_size": sides,
        "pooling_kernel_size": few,
    },
    "InklingImageProcessor": {
        "size": square("height", "width", sides) | sides.map(lambda n: [n, n]),
        "rescale_image_frac": st.none() | st.floats(0.1, 4.0),
        "rescale_image_max_upscaled_long_edge": st.none() | st.integers(1, 4096),
    },
    # It always resizes, and so do tiles.
    "NemotronH_Omni_Reasoning_V3ImageProcessor": RESIZE
    | {
        "patch_size": sides,
        "downsample_ratio": st.sampled_from((0.25, 0.5, 1.0)),
        "min_num_patches": st.integers(1, 1024),
        "max_num_patches": st.none() | st.integers(0, 20000),
        "max_model_len": st.integers(100, 100000),
    },
    "PixtralImageProcessor": RESIZE
    | {
        "patch_size": sides | square("height", "width", sides),
        "size": st.integers(16, 4096).map(lambda n: {"longest_edge": n})
        | st.integers(16, 4096)
        | square("height", "width", st.integers(16, 4096)),
    },
    "GotOcr2ImageProcessor": RESIZE
    | {
        "size": st.integers(28, 900) | square("height", "width", st.integers(28, 900)),
        "min_patches": few,
        "max_patches": st.integers(4, 24),
        "crop_to_patches": st.booleans(),
    },
}
FAMILY = {
    "Qwen2VLImageProcessor": ("qwen_vl", "qwen3_vl"),
    "Glm4vImageProcessor": ("glm4v", "glm4v"),
    "Glm46VImageProcessor": ("glm4v", "glm46v"),
    "Glm5NextImageProcessor": ("glm5_next", "glm5_next"),
    "Kimi_K25ImageProcessor": ("kimi_k25", "kimi_k25"),
    "Gemma4ImageProcessor": ("gemma4", "gemma4"),
    "InklingImageProcessor": ("inkling", "inkling_mm_model"),
    "NemotronH_Omni_Reasoning_V3ImageProcessor": ("nemotron_h_omni", "nemotron_h_omni"),
    "PixtralImageProcessor": ("pixtral", "mistral3"),
    "GotOcr2ImageProcessor": ("internvl", "internvl"),
}
#: Classes without a variant that runs without torchvision.
NO_PIL = {name for name in OPTIONS if name.startswith(("Kimi", "Inkling", "Nemotron"))}
#: Under these the whole processor has a part in the layout.
SHARED = {"PixtralImageProcessor", "GotOcr2ImageProcessor"}


def written(folder: Path, name: str, document: Any) -> None:
    (folder / name).write_text(json.dumps(document))


def write_by_hand(folder: Path, kind: str, options: dict[str, Any], form: str) -> None:
    """The same options as a file of the image processor, or of the whole processor."""
    suffixes = {"plain": "", "fast": "Fast", "pil": "" if kind in NO_PIL else "Pil"}
    document = {"image_processor_type": kind + suffixes.get(form, ""), **options}
    if form == "typeless":
        del document["image_processor_type"]
    if form == "whole":
        written(folder, "processor_config.json", {"image_processor": document})
        stale = {"image_processor_type": kind, "patch_size": 33, "max_soft_tokens": 1120}
        written(folder, "preprocessor_config.json", stale)
    else:
        written(folder, "preprocessor_config.json", document)
        if kind not in SHARED:
            written(folder, "processor_config.json", {"video_processor": {"patch_size": 31}})


@pytest.mark.parametrize("form", ["saved", "plain", "fast", "pil", "whole", "typeless"])
@pytest.mark.parametrize("kind", OPTIONS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_folder_and_its_image_processor_have_one_fingerprint(
    kind: str, form: str, data: st.DataObject, tmp_path: Path
) -> None:
    if kind in SHARED and form in ("whole", "typeless"):
        return  # the whole processor's parameters count there: see below
    family, model_type = FAMILY[kind]
    options = data.draw(st.fixed_dictionaries({}, optional=OPTIONS[kind]))
    for file in tmp_path.iterdir():
        file.unlink()
    if form == "saved":
        getattr(transformers, kind)(**options).save_pretrained(tmp_path)
    else:
        write_by_hand(tmp_path, kind, options, form)
    if form == "typeless" or kind in SHARED:
        written(tmp_path, "config.json", {"model_type": model_type})
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    adapter = get_adapter(family, tmp_path)
    wanted = adapter_of(processor, family=family)
    assert adapter.fingerprint() == wanted.fingerprint()
    assert get_adapter("auto", str(tmp_path)).fingerprint() == wanted.fingerprint()


WHOLE: dict[str, tuple[str, str, dict[str, st.SearchStrategy[Any]]]] = {
    "PixtralProcessor": (
        "pixtral",
        "PixtralImageProcessor",
        {"patch_size": sides, "spatial_merge_size": few},
    ),
    "InternVLProcessor": (
        "internvl",
        "GotOcr2ImageProcessor",
        {"image_seq_length": st.integers(1, 1024)},
    ),
    "Qwen2VLProcessor": ("qwen_vl", "Qwen2VLImageProcessor", {}),
    "Glm46VProcessor": ("glm4v", "Glm46VImageProcessor", {}),
}


def whole_processor(name: str, kind: str, inner: dict[str, Any], outer: dict[str, Any]) -> Any:
    """A whole processor with a tokenizer that has the attributes that it asks for."""
    words = tokenizer()
    for token in ("start_image_token", "end_image_token", "context_image_token", "video_token"):
        setattr(words, token, "<|image_pad|>")
        setattr(words, f"{token}_id", 1)
    image_processor = getattr(transformers, kind)(**inner)
    video = getattr(transformers, name.replace("Processor", "VideoProcessor"), None)
    parts = {} if video is None else {"video_processor": video()}
    cls = getattr(transformers, name)
    return cls(image_processor=image_processor, tokenizer=words, **parts, **outer)


@pytest.mark.parametrize("name", WHOLE)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_folder_and_its_whole_processor_have_one_fingerprint(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    family, kind, parameters = WHOLE[name]
    inner = data.draw(st.fixed_dictionaries({}, optional=OPTIONS[kind]))
    outer = data.draw(st.fixed_dictionaries({}, optional=parameters))
    processor = whole_processor(name, kind, inner, outer)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert saved["processor_class"] == name
    adapter = get_adapter(family, tmp_path)
    assert adapter.fingerprint() == adapter_of(processor).fingerprint()
    config: Any = adapter.config  # type: ignore[attr-defined]
    assert {option: getattr(config, option) for option in outer} == outer


def test_an_image_processor_of_a_shared_class_needs_the_family() -> None:
    for kind in SHARED:
        processor = getattr(transformers, kind)()
        with pytest.raises(MMRawError, match="serves several models"):
            adapter_of(processor)
        family, _ = FAMILY[kind]
        assert adapter_of(processor, family=family).family == family


def test_attributes_that_were_set_on_a_processor_count() -> None:
    processor = processors.qwen("qwen3_vl").__class__(patch_size=16, max_pixels=262144)
    processor.max_pixels = 50176
    assert adapter_of(processor).layout(1000, 700).grid_thw == (1, 10, 16)


QWEN: dict[str, Any] = {
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "patch_size": 16,
    "merge_size": 2,
    "temporal_patch_size": 2,
}
BIG = {"shortest_edge": 65536, "longest_edge": 16777216}
SMALL = {"shortest_edge": 4096, "longest_edge": 262144}
SAVED = {"processor_class": "Qwen3VLProcessor", "image_processor": {**QWEN, "size": SMALL}}
CLIP = {"shortest_edge": 224}
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "as a fine-tune is saved": {"processor_config.json": SAVED},
    "a stale file beside a newer one": {
        "preprocessor_config.json": {**QWEN, "size": BIG},
        "processor_config.json": SAVED,
    },
    "one bound": {"preprocessor_config.json": {**QWEN, "max_pixels": 1048576}},
    "not resized": {"preprocessor_config.json": {**QWEN, "do_resize": False, "size": SMALL}},
}
REFUSED: dict[str, dict[str, Any]] = {
    "bounds by their old names in size": {**QWEN, "size": {"min_pixels": 3136, "max_pixels": 9999}},
    "another model's": {"image_processor_type": "Glm4vImageProcessor", "size": BIG},
    "a classifier's": {"image_processor_type": "CLIPImageProcessor", "size": CLIP},
    "one with tiles": {
        "image_processor_type": "SmolVLMImageProcessor",
        "size": {"longest_edge": 2},
    },
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_folders_grids_are_those_of_the_processor(name: str, tmp_path: Path) -> None:
    for file, document in CHECKPOINTS[name].items():
        written(tmp_path, file, document)
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    for size in ((192, 128), (1000, 700), (4000, 3000)):
        adapter = get_adapter("qwen_vl", tmp_path)
        try:
            out = processor(images=[Image.new("RGB", size)], return_tensors="pt")
        except RuntimeError:  # not resized, and beside the raster
            with pytest.raises(MMRawError, match="layout_refused"):
                adapter.layout(*size)
            continue
        assert [list(adapter.layout(*size).grid_thw)] == out["image_grid_thw"].tolist()


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_whose_layout_is_not_the_familys_is_refused(name: str, tmp_path: Path) -> None:
    written(tmp_path, "preprocessor_config.json", REFUSED[name])
    AutoImageProcessor.from_pretrained(tmp_path)  # Transformers loads each of them
    with pytest.raises(MMRawError) as caught:
        get_adapter("qwen_vl", tmp_path)
    assert caught.value.code == "invalid_config"
