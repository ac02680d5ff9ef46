"""Configurations of checkpoints: which file is read, whose it is, and where a hub id is found.

What stands in a document is held by spec/vectors/config.jsonl, for every language.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.families import as_of_family
from mmraw_protocol.wire._generated.families import FAMILIES

#: The files of 125 other image processors and 22 checkpoints of models that share a class with a
#: family, as their classes of Transformers 5.24 save them without arguments: each class of the
#: auto table of image processors, and for shared ones the whole processor's document with its
#: `processor_class`, or with the `model_type` of the model's own configuration. Normalisation is
#: left out.
FOREIGN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "foreign_configs.json").read_text()
)
SMALL = {"shortest_edge": 4096, "longest_edge": 262144}
BIG = {"shortest_edge": 65536, "longest_edge": 16777216}
BASE = {
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "patch_size": 16,
    "merge_size": 2,
    "temporal_patch_size": 2,
}
MISTRAL = {
    "image_processor_type": "PixtralImageProcessor",
    "patch_size": {"height": 14, "width": 14},
}


def folder_of(folder: Path, **files: Any) -> Path:
    """A folder with JSON files, by their names without the ending; a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / f"{name}.json").write_text(text)
    return folder


def grid(config: Any, family: str = "qwen_vl") -> list[int]:
    return list(get_adapter(family, config).layout(1000, 700).grid_thw)


def refusal(family: str, config: Any) -> MMRawError:
    with pytest.raises(MMRawError) as caught:
        get_adapter(family, config)
    return caught.value


def test_no_file_of_another_model_is_taken(tmp_path: Path) -> None:
    assert len(FOREIGN) >= 40
    for number, document in enumerate(FOREIGN.values()):
        folder = folder_of(tmp_path / str(number), preprocessor_config=document)
        if "image_processor" in document:
            model = {"model_type": document.get("model_type")}
            folder = folder_of(tmp_path / str(number), processor_config=document, config=model)
        for config in (document, folder):
            for family in (*FAMILIES, "auto"):
                assert refusal(family, config).code in ("invalid_config", "unknown_family")


def test_a_refusal_names_both_models() -> None:
    error = refusal("qwen_vl", FOREIGN["SmolVLMImageProcessor"])
    assert "SmolVLMImageProcessor" in error.message
    assert "Qwen2VLImageProcessor" in error.message
    assert "qwen4_exp" in refusal("qwen_vl", FOREIGN["qwen4_exp: checkpoint"]).message
    for hostile in ("<script>", "a b", "x" * 65, "Bad\n", 7):
        error = refusal("qwen_vl", {**BASE, "image_processor_type": hostile})
        assert "another model" in error.message


def test_the_whole_processors_file_wins(tmp_path: Path) -> None:
    whole = {"processor_class": "Qwen3VLProcessor", "image_processor": {**BASE, "size": SMALL}}
    stale = {**BASE, "size": BIG}
    both = folder_of(tmp_path / "both", processor_config=whole, preprocessor_config=stale)
    alone = folder_of(tmp_path / "alone", processor_config=whole)
    assert grid(both) == grid(alone) == grid(alone / "processor_config.json") == [1, 26, 38]
    assert grid(both / "preprocessor_config.json") == [1, 44, 62]


@pytest.mark.parametrize(
    "whole",
    [
        {"processor_class": "Qwen3VLProcessor"},
        {"image_processor": None},
        {"video_processor": {**BASE, "size": BIG}},
    ],
)
def test_a_file_without_an_image_processor_is_passed_over(tmp_path: Path, whole: Any) -> None:
    own = {**BASE, "size": SMALL}
    folder = folder_of(tmp_path / "a", processor_config=whole, preprocessor_config=own)
    assert grid(folder) == [1, 26, 38]
    assert refusal("qwen_vl", folder_of(tmp_path / "b", processor_config=whole))


@pytest.mark.parametrize("text", ["{", "[]", '{"image_processor": [1]}', '{"a": 1, "a": 2}'])
def test_a_broken_file_is_not_passed_over(tmp_path: Path, text: str) -> None:
    own = {**BASE, "size": SMALL}
    refusal("qwen_vl", folder_of(tmp_path, processor_config=text, preprocessor_config=own))


def test_parameters_of_the_whole_processor_stand_in_its_file(tmp_path: Path) -> None:
    """Older checkpoints have both files: the image processor's, and the whole one's without it."""
    whole = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}
    folder = folder_of(tmp_path, processor_config=whole, preprocessor_config=MISTRAL)
    assert get_adapter("pixtral", folder).config.spatial_merge_size == 2  # type: ignore[attr-defined]


def test_the_models_type_decides_the_line_and_its_tokens(tmp_path: Path) -> None:
    own = {**BASE, "size": SMALL}
    tokens = {"qwen2_5_omni": "<|IMAGE|>", "qwen3_5": "<|image_pad|>", "qwen3_vl_moe": None}
    lines = {"qwen3_vl_moe": "qwen3_vl"}
    for model_type, token in tokens.items():
        folder = tmp_path / model_type
        folder_of(folder, preprocessor_config=own, config={"model_type": model_type})
        adapter: Any = get_adapter("auto", folder)
        assert adapter.line == lines.get(model_type, model_type)
        assert token in (None, adapter.pad_token)
    assert get_adapter("auto", "qwen2_5_omni").pad_token == "<|IMAGE|>"
    by_class: Any = get_adapter("qwen_vl", {**own, "processor_class": "Qwen2_5OmniProcessor"})
    assert by_class.line == "qwen2_5_omni"


def test_a_models_configuration_may_have_what_strict_json_has_not(tmp_path: Path) -> None:
    own = {**BASE, "size": SMALL}
    text = '{"model_type": "exaone4_5", "time_step_limit": [0.0, Infinity]}'
    folder = folder_of(tmp_path, preprocessor_config=own, config=text)
    assert "exaone4_5" in refusal("qwen_vl", folder).message
    (tmp_path / "config.json").write_text("{")
    assert refusal("qwen_vl", folder).code == "invalid_config"


def test_auto_needs_a_configuration() -> None:
    assert refusal("auto", None).code == "invalid_config"
    assert get_adapter("auto", "mistral3").family == "pixtral"
    for info in FAMILIES.values():
        assert get_adapter("auto", info.layout()).family == info.family


@pytest.fixture(
    params=["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"]
)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> Path:
    """The folder of the hub's cache, by each of the variables that name it."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(request.param, str(tmp_path))
    below = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}
    below["HOME"] = ".cache/huggingface/hub"
    return tmp_path / below.get(request.param, ".")


def test_a_hub_id_is_found_in_the_cache(cache: Path) -> None:
    repository = cache / "models--Some-Org--Model.7B"
    commit, other = "a" * 40, "b" * 40
    folder_of(repository / "snapshots" / commit, preprocessor_config={**BASE, "size": SMALL})
    folder_of(repository / "snapshots" / other, preprocessor_config={**BASE, "size": BIG})
    error = refusal("qwen_vl", "Some-Org/Model.7B")
    assert 'hf download Some-Org/Model.7B --include "*.json"' in error.message
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert grid("Some-Org/Model.7B") == grid(repository) == [1, 26, 38]
    assert grid(repository / "snapshots" / other) == [1, 44, 62]
    (repository / "refs" / "main").write_text(f"../snapshots/{commit}")
    refusal("qwen_vl", "Some-Org/Model.7B")


@pytest.mark.parametrize(
    "name", ["../x", "a--b/c", "a/b/c", "a/b.git", "a/..", "/etc/x", "a b/c", ""]
)
def test_what_is_no_hub_id_is_no_command(name: str) -> None:
    assert "hf download" not in refusal("qwen_vl", name).message


def test_parameters_of_one_family_alone_do_not_name_it() -> None:
    # With defaults for the rest, any parameter would do.
    assert refusal("auto", {"in_patch_limit": 16384}).code == "unknown_family"


def test_a_processor_is_named_only_for_an_image_processor_without_one() -> None:
    assert as_of_family({"patch_size": 14}, "qwen_vl") == {"patch_size": 14}
    whole = {"image_processor_type": "A", "processor_class": "B"}
    assert as_of_family(whole, "qwen_vl") == whole
    alone = as_of_family({"image_processor_type": "A"}, "qwen_vl")
    assert alone == {"image_processor_type": "A", "processor_class": "Qwen2VLProcessor"}
