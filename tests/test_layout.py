"""Layout arithmetic and adapters, beyond the recorded rows that the vectors hold."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from refusals import refused_code

from mmraw_protocol import KimiK25Layout, Limits, MMRawError, QwenVlLayout
from mmraw_protocol.families import (
    GRID_KEY,
    Adapter,
    families,
    get_adapter,
    grid_key,
    layout_fingerprint,
    register_adapter,
)
from mmraw_protocol.families.registry import _factories
from mmraw_protocol.wire._generated.families import FAMILIES

PUBLISHED = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"]
sides = st.integers(1, 6000)


@pytest.mark.parametrize("preset", PUBLISHED)
@given(width=sides, height=sides)
def test_qwen_grids_keep_to_the_published_parameters(preset: str, width: int, height: int) -> None:
    adapter = get_adapter("qwen_vl", preset)
    if max(width, height) > 200 * min(width, height):
        assert refused_code(adapter.layout, width, height) == "aspect_ratio"
        return
    layout = adapter.layout(width, height)
    t, h, w = layout.grid_thw
    parameters: Any = adapter.config  # type: ignore[attr-defined]
    assert (t, h % 2, w % 2) == (1, 0, 0)
    pixels = h * w * parameters.patch_size**2
    assert parameters.min_pixels <= pixels <= parameters.max_pixels
    assert layout.num_tokens * 4 == h * w == layout.placeholder_length * 4
    assert adapter.layout(height, width).grid_thw == (t, w, h)


@given(width=sides, height=sides)
def test_kimi_grids_keep_to_the_published_parameters(width: int, height: int) -> None:
    adapter = get_adapter("kimi_k25")
    layout = adapter.layout(width, height)
    t, h, w = layout.grid_thw
    assert (t, h % 2, w % 2) == (1, 0, 0)
    assert max(h, w) <= 512
    assert layout.num_tokens * 4 == h * w
    assert adapter.layout(height, width).grid_thw == (t, w, h)


@pytest.mark.parametrize("family", ["qwen_vl", "kimi_k25"])
@given(width=sides, height=sides)
def test_a_payload_says_what_its_layout_said(family: str, width: int, height: int) -> None:
    adapter = get_adapter(family)
    if family == "qwen_vl" and max(width, height) > 200 * min(width, height):
        return
    layout = adapter.layout(width, height)
    payload = adapter.parse_payload(json.loads(msgspec.json.encode(layout.payload)))
    assert payload == layout.payload
    assert adapter.grid_thw(payload) == layout.grid_thw
    assert adapter.num_tokens(payload) == layout.num_tokens
    assert adapter.prompt_text(payload).count(adapter.pad_token) == layout.placeholder_length


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (True, 5), (5.0, 5), ("5", 5), (2**40, 5)])
@pytest.mark.parametrize("family", ["qwen_vl", "kimi_k25"])
def test_sizes_that_no_image_has(family: str, size: tuple[Any, Any]) -> None:
    codes = ("invalid_type", "invalid_value", "limit_exceeded")
    assert refused_code(get_adapter(family).layout, *size) in codes


def test_two_hundred_to_one_is_allowed() -> None:
    assert get_adapter("qwen_vl").layout(200, 1).num_tokens > 0
    assert refused_code(get_adapter("qwen_vl").layout, 201, 1) == "aspect_ratio"


def test_a_grid_beyond_the_limit_is_refused() -> None:
    adapter = get_adapter("qwen_vl", {"max_pixels": 2**40})
    assert refused_code(adapter.layout, 32768, 32768) == "limit_exceeded"
    adapter.layout(32768, 32768, limits=Limits(grid_patches=2**23))


def test_both_placeholder_conventions_of_kimi() -> None:
    single, expanded = (
        get_adapter("kimi_k25", placeholder=name) for name in ("single", "expanded")
    )
    payload = single.layout(480, 640).payload
    assert single.placeholder_length(payload) == 1
    assert expanded.placeholder_length(payload) == expanded.num_tokens(payload) == 414
    assert single.identity != expanded.identity
    assert refused_code(get_adapter, "kimi_k25", placeholder="other") == "unsupported_option"
    assert refused_code(get_adapter, "qwen_vl", placeholder="single") == "unsupported_option"


def test_a_missing_token_count_is_derived() -> None:
    adapter = get_adapter("kimi_k25")
    assert adapter.num_tokens(adapter.parse_payload({"grid_thws": [[1, 4, 6]]})) == 6


QWEN2_FILE = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "image_mean": [0.48, 0.45, 0.40],
}
QWEN3_FILE = {
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
}
KIMI_FILE = {
    "media_proc_cfg": {
        "patch_size": 14,
        "in_patch_limit": 4096,
        "merge_kernel_size": 2,
        "patch_limit_on_one_side": 512,
    }
}


@pytest.mark.parametrize(
    ("family", "document", "parameters"),
    [
        (
            "qwen_vl",
            QWEN2_FILE,
            QwenVlLayout(patch_size=14, min_pixels=3136, max_pixels=12845056),
        ),
        ("qwen_vl", QWEN3_FILE, QwenVlLayout()),
        (
            "qwen_vl",
            {"patch_size": 16, "image_processor_type": "Qwen2VLImageProcessor"},
            QwenVlLayout(patch_size=16, min_pixels=3136, max_pixels=1003520),
        ),
        ("kimi_k25", KIMI_FILE, KimiK25Layout(in_patch_limit=4096)),
    ],
)
def test_a_checkpoint_configuration_is_read(
    family: str, document: dict[str, Any], parameters: Any, tmp_path: Path
) -> None:
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(document))
    wanted = get_adapter(family, parameters).fingerprint()
    for config in (document, file, str(file), tmp_path, str(tmp_path)):
        assert get_adapter(family, config).fingerprint() == wanted


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("qwen_vl", KIMI_FILE),
        ("kimi_k25", QWEN3_FILE),
        ("qwen_vl", KimiK25Layout()),
        ("qwen_vl", {"patch_size": True}),
        ("qwen_vl", {"patch_size": 16.0}),
        ("qwen_vl", {"patch_size": -1}),
        ("qwen_vl", {"size": [1]}),
        ("qwen_vl", {"min_pixels": 65536, "max_pixels": 50176}),
        ("qwen_vl", {"patch_size": 16, "image_processor_type": "x"}),
        ("qwen_vl", {"image_processor_type": "CLIPImageProcessor", "crop_size": 224}),
        ("qwen_vl", "/nowhere/at/all"),
        ("qwen_vl", 5),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(family: str, config: Any) -> None:
    assert refused_code(get_adapter, family, config) == "invalid_config"


def test_fingerprints_do_not_depend_on_the_order_of_parameters() -> None:
    parameters = {"b": 1, "a": [0.5], "c": None}
    shuffled = {name: parameters[name] for name in ("c", "a", "b")}
    assert layout_fingerprint("any", parameters) == layout_fingerprint("any", shuffled)
    assert layout_fingerprint("any", parameters) != layout_fingerprint(
        "any", {**parameters, "b": 1.0}
    )


def test_an_unknown_family_is_named() -> None:
    assert refused_code(get_adapter, "no_such_family") == "unknown_family"
    assert refused_code(layout_fingerprint, "kimi_k25", {}, "v1") == "not_convertible"
    assert refused_code(layout_fingerprint, "qwen_vl", {}, "v9") == "invalid_dialect"


TOY = """
from mmraw_protocol.families.qwen_vl import QwenVlAdapter
from mmraw_protocol import QwenVlLayout

class ToyAdapter(QwenVlAdapter):
    family = "toy"

def make(config, placeholder):
    return ToyAdapter(QwenVlLayout())

RUBBISH = 17

def empty(config, placeholder):
    return None

def stubborn(config, placeholder):
    raise SystemExit(1)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that registers the families toy (good) and broken."""
    (tmp_path / "toy_family.py").write_text(TOY)
    (tmp_path / "toy_exit.py").write_text("raise SystemExit(1)\n")
    info = tmp_path / "toy_family-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-family\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mmraw_protocol.adapters]\ntoy = toy_family:make\nbroken = toy_family:missing\n"
        "leaving = toy_exit:make\nrubbish = toy_family:RUBBISH\nempty = toy_family:empty\n"
        "stubborn = toy_family:stubborn\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plugin")
def test_a_third_party_family_is_found_by_entry_point() -> None:
    assert "toy" in families()
    assert isinstance(get_adapter("toy"), Adapter)
    assert get_adapter("toy").family == "toy"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("family", ["broken", "leaving", "rubbish", "empty", "stubborn"])
def test_a_package_that_is_of_no_use_breaks_its_own_families_and_is_named(family: str) -> None:
    assert family in families()
    for _ in range(2):
        with pytest.raises(MMRawError, match="the package toy-family") as caught:
            get_adapter(family)
        assert caught.value.code == "unknown_family"
    assert get_adapter("toy").family == "toy"
    assert get_adapter("qwen_vl").family == "qwen_vl"


def test_installed_packages_are_searched_once_for_refs_of_unknown_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searches: list[str] = []

    def search(group: str) -> list[Any]:
        searches.append(group)
        return []

    monkeypatch.setattr("importlib.metadata.entry_points", search)
    monkeypatch.syspath_prepend("nowhere")  # a path that was not searched yet
    for number in range(100):
        assert refused_code(get_adapter, f"unknown{number}") == "unknown_family"
    assert searches == ["mmraw_protocol.adapters"]


def test_a_family_can_be_registered_in_process() -> None:
    register_adapter("mine", lambda config, placeholder: get_adapter("qwen_vl", config))
    try:
        assert get_adapter("mine").layout(64, 64).num_tokens > 0
    finally:
        _factories.pop("mine")


@pytest.mark.parametrize("value", [69, 71, 100, 1119, 1121, 280.0, True, "280", None])
def test_an_integer_of_few_choices_is_one_of_them(value: Any) -> None:
    assert refused_code(get_adapter, "gemma4", {"max_soft_tokens": value}) == "invalid_config"
    assert get_adapter("gemma4", {"max_soft_tokens": 70}).layout(640, 480).num_tokens <= 70


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1 / 1025, 1.5, 2.0, 2, True, "0.5", [1], None])
def test_a_ratio_is_a_number_within_its_bounds(ratio: Any) -> None:
    config = {"downsample_ratio": ratio}
    assert refused_code(get_adapter, "nemotron_h_omni", config) == "invalid_config"
    for bound in (1 / 1024, 1.0, 1):
        assert get_adapter("nemotron_h_omni", {"downsample_ratio": bound})


def test_every_family_names_its_grid_and_any_other_has_the_usual_name() -> None:
    for family, info in FAMILIES.items():
        assert grid_key(family) == info.grid_key
    assert len({grid_key(family) for family in FAMILIES}) > 1
    assert grid_key("unheard_of") == GRID_KEY


@pytest.mark.parametrize("size", [(640, 480), (300, 1000), (77, 31), (4032, 3024)])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_resized_picture_is_the_grid_in_pixels(family: str, size: tuple[int, int]) -> None:
    adapter: Any = get_adapter(family)
    layout = adapter.layout(*size)
    frames, rows, columns = layout.grid_thw
    side = layout.resized[0] // columns
    assert frames == 1
    assert side > 1
    assert layout.resized == (columns * side, rows * side)
    token = side * adapter.merge_size
    padding = [whole - part for part, whole in zip(layout.content, layout.resized, strict=True)]
    assert all(0 <= pixels <= token for pixels in padding)


def test_a_side_has_31_bits() -> None:
    adapter = get_adapter("internvl")
    assert adapter.layout(2**31 - 1, 2**31 - 1).grid_thw == (1, 3, 3)
    assert refused_code(adapter.layout, 2**31, 5) == "limit_exceeded"
    assert refused_code(adapter.layout, 5, 2**31) == "limit_exceeded"


@example(width=4511, height=5154)
@example(width=5033, height=7546)
@given(width=st.integers(1500, 9000), height=st.integers(1500, 9000))
def test_glm5_takes_the_highest_picture_within_its_budget(width: int, height: int) -> None:
    adapter: Any = get_adapter("glm5_next", {"max_image_tokens": 64})
    config = adapter.config
    factor = config.patch_size * config.merge_size
    areas = (
        -(-high // factor) * -(-max(1, width * high // height) // factor)
        for high in range(1, 64 * factor)
    )
    layout = adapter.layout(width, height)
    assert layout.num_tokens == max(area for area in areas if area <= 64)
    wide, high = layout.content
    assert abs(wide * height - high * width) <= max(width, height)
