"""Models for which a server can take refs, by what its own processor says of trial images."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from vllm_server_stand_in import ImageProcessor, renderer_of

from mmraw_protocol import MMRawError
from mmraw_protocol.families import Adapter, get_adapter
from mmraw_protocol.families.served import PROBES
from mmraw_protocol.integrations.serving.identity import Naming
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.integrations.vllm.model import served_model
from mmraw_protocol.integrations.vllm.process import Served
from mmraw_protocol.wire._generated.families import FAMILIES

QWEN = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
QWEN |= {"size": {"shortest_edge": 65536, "longest_edge": 1003520}}  # type: ignore[dict-item]
NEMOTRON = {"patch_size": 16, "downsample_ratio": 0.5}
TILES = {"size": {"height": 448, "width": 448}, "min_patches": 1, "max_patches": 6}

#: family: (what the server lays out by, its image processor's file, config.json, the rest)
SERVERS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any], dict[str, Any]]] = {
    "qwen_vl": ({"max_pixels": 1003520}, QWEN, {}, {}),
    "gemma4": (
        {"max_soft_tokens": 140},
        {"patch_size": 16, "pooling_kernel_size": 3, "max_soft_tokens": 140},
        {},
        {},
    ),
    # Its own class in the server, without an image processor: config.json and a flag decide.
    "nemotron_h_omni": (
        {"max_model_len": 700, "max_num_patches": 0, "min_num_patches": 256},
        None,
        NEMOTRON
        | {"vision_config": SimpleNamespace(args={"max_num_patches": 0, "min_num_patches": 256})},
        {"max_model_len": 700},
    ),
    # The server rescales by 2, whatever the files say.
    "inkling": (
        {"patch": 20, "rescale_image_frac": 2.0},
        {
            "patch_size": 20,
            "rescale_image_frac": 2.0,
            "rescale_image_max_upscaled_long_edge": 2048,
        },
        {"vision_config": SimpleNamespace(patch_size=20)},
        {},
    ),
    "glm4v": (
        {"longest_edge": 1003520},
        {**QWEN, "patch_size": 14, "size": {"shortest_edge": 12544, "longest_edge": 1003520}},
        {},
        {},
    ),
    "glm5_next": (
        {"max_image_tokens": 500},
        {
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "min_image_tokens": 16,
            "max_image_tokens": 500,
        },
        {},
        {},
    ),
    # The processor always tiles, and its file says that it does not.
    "internvl": (
        {"max_patches": 6, "image_seq_length": 64},
        {**TILES, "crop_to_patches": False},
        {},
        {},
    ),
}


def server(family: str, truth: Adapter | None = None, **options: Any) -> Any:
    """A server's renderer; it lays out by `truth`, or else by what its configuration says."""
    parameters, image_processor, hf_config, rest = SERVERS[family]
    processor = SimpleNamespace(image_seq_length=64)
    if image_processor is not None:
        processor.image_processor = ImageProcessor(image_processor)
    model_type = FAMILIES[family].vllm.model_types[0]
    given = truth or get_adapter(family, parameters)
    return renderer_of(given, processor, {"model_type": model_type, **hf_config}, **rest, **options)


def start(renderer: Any, **settings: Any) -> Served:
    """Returns what the server would serve."""
    served = asyncio.run(served_model(renderer, Settings(**settings), Naming(b"s" * 32, "")))
    served.images.close()
    return served


@pytest.mark.parametrize("family", SERVERS)
def test_a_server_starts_under_its_own_layout_parameters(family: str) -> None:
    renderer = server(family)
    served = start(renderer)
    expected = get_adapter(family, SERVERS[family][0])
    assert served.images.adapter.fingerprint() == expected.fingerprint()
    assert served.no_features is None
    # The server expands the token that vLLM looks for, which need not be the pad.
    text = FAMILIES[family].vllm.target
    target = renderer.vocabulary[text]
    assert served.target == (text, target)
    assert [prompt["prompt_token_ids"] for prompt in renderer.asked] == [[target]] * len(PROBES)


def test_what_vllm_allows_and_makes_bounds_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = server("qwen_vl", max_model_len=700)
    item = renderer._item

    def with_pixels(layout: Any) -> Any:
        pixels = SimpleNamespace(data=SimpleNamespace(nbytes=50_000 * layout.num_tokens))
        return {**item(layout), "pixel_values": pixels}

    renderer._item = with_pixels
    served = start(renderer)
    assert (served.most_tokens, served.most_images) == (700, 999)
    assert served.images.token_bytes == 50_000
    usual = served.images.settings.limits.image_pixels
    for given, expected in (("1000", 1000), ("100000000", usual)):
        monkeypatch.setenv("VLLM_MAX_IMAGE_PIXELS", given)
        assert start(server("qwen_vl")).images.settings.limits.image_pixels == expected


@pytest.mark.parametrize("overrides", [None, {"do_resize": False}])
def test_a_server_that_does_not_resize_is_tried_with_images_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, overrides: Any
) -> None:
    parameters, document, *rest = SERVERS["qwen_vl"]
    parameters = parameters | {"do_resize": False}
    if overrides is None:
        document = {**(document or {}), "do_resize": False}
    monkeypatch.setitem(SERVERS, "qwen_vl", (parameters, document, *rest))
    renderer = server("qwen_vl", overrides=overrides)
    adapter = start(renderer).images.adapter
    assert adapter.fingerprint() == get_adapter("qwen_vl", parameters).fingerprint()
    assert len(renderer.asked) == 2
    # A processor that resizes nevertheless.
    resizing = get_adapter("qwen_vl", {"max_pixels": 65536})
    with pytest.raises(MMRawError, match="trial image of 640x480"):
        start(server("qwen_vl", resizing, overrides=overrides))


def test_a_server_no_trial_image_of_which_is_laid_out_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters, document, *rest = SERVERS["qwen_vl"]
    changes = {"do_resize": False, "patch_size": 500}
    changed = (parameters | changes, {**(document or {}), **changes}, *rest)
    monkeypatch.setitem(SERVERS, "qwen_vl", changed)
    with pytest.raises(MMRawError, match="no trial image can be laid out") as caught:
        start(server("qwen_vl"))
    assert caught.value.code == "layout_refused"


@pytest.mark.parametrize(
    ("family", "truth"),
    [
        ("qwen_vl", {"max_pixels": 2007040}),
        ("gemma4", {"max_soft_tokens": 280}),
        ("nemotron_h_omni", {"max_model_len": 300, "max_num_patches": 0, "min_num_patches": 256}),
        ("inkling", {"patch": 20}),
        ("glm4v", {"longest_edge": 2007040}),
        ("glm5_next", {"max_image_tokens": 1000}),
        ("internvl", {"crop_to_patches": False, "image_seq_length": 64}),
    ],
)
def test_a_server_that_counts_by_something_else_is_refused_at_its_start(
    family: str, truth: dict[str, Any]
) -> None:
    with pytest.raises(MMRawError, match="on a trial image of") as caught:
        start(server(family, get_adapter(family, truth)))
    assert caught.value.code in ("grid_mismatch", "placeholder_mismatch")
    assert "not all it counts by" in caught.value.message


@pytest.mark.parametrize(
    ("family", "name"), [("qwen_vl", "image_grid_thw"), ("nemotron_h_omni", "imgs_sizes")]
)
def test_an_item_that_tells_no_grid_is_refused(family: str, name: str) -> None:
    """Without its tiler, the server of Nemotron tiles as another model does."""
    with pytest.raises(MMRawError, match="another grid") as caught:
        start(server(family, without=(name,)))
    assert caught.value.code == "grid_mismatch"


def test_what_the_servers_processor_raises_ends_the_start_as_it_is() -> None:
    renderer = server("qwen_vl")

    def broken(*_: Any) -> Any:
        raise RuntimeError("no such kernel")

    renderer.truth = SimpleNamespace(layout=broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        start(renderer)


def pixtral(**model_config: Any) -> Any:
    """A server of a family whose spans hold row breaks."""
    config = {"patch_size": 16, "size": {"longest_edge": 1024}, "spatial_merge_size": 1}
    processor = SimpleNamespace(image_processor=ImageProcessor(config))
    hf_config = {"model_type": "mistral3"}
    return renderer_of(get_adapter("pixtral"), processor, hf_config, **model_config)


def test_spans_with_row_breaks_are_taken() -> None:
    assert start(pixtral()).no_features is None


@pytest.mark.parametrize(
    ("renderer", "reason"),
    [
        (pixtral(tokenizer_mode="mistral"), "vLLM never expands"),
        (server("internvl"), "may write the whole prompt again"),
    ],
    ids=["mistral", "InternVLChatModel"],
)
def test_of_prompts_that_cannot_be_foretold_features_are_refused_and_urls_are_not(
    renderer: Any, reason: str
) -> None:
    renderer.model_config.hf_config.architectures = ["InternVLChatModel"]
    served = start(renderer)
    assert served.target is None
    assert reason in str(served.no_features)


def test_a_model_that_writes_other_tokens_takes_no_features() -> None:
    renderer = server("qwen_vl")
    renderer.first = [5]
    served = start(renderer)
    assert served.target is not None
    assert "its prompts are not its family's" in str(served.no_features)


def test_a_tokenizer_without_the_familys_tokens_is_refused() -> None:
    renderer = server("inkling")
    del renderer.vocabulary[FAMILIES["inkling"].vllm.target]
    with pytest.raises(MMRawError, match="tokenizer") as caught:
        start(renderer)
    assert caught.value.code == "invalid_config"


def test_every_served_family_has_a_server_here() -> None:
    """Kimi's is the real one of tests/e2e."""
    assert SERVERS.keys() | {"kimi_k25", "pixtral"} == FAMILIES.keys()
