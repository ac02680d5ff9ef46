"""Decisions of a server's owner, and those of the server's model."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.families import get_adapter
from mmraw_protocol.families.served import FAMILY_BY_MODEL_TYPE, family_of, server_adapter
from mmraw_protocol.images.isolation import IsolatedDecoder
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.stores import CachedStore, LocalStore
from mmraw_protocol.wire._generated.families import FAMILIES


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    assert Settings.load({}) == Settings()
    environment = {
        "MMRAW_STORE": str(tmp_path),
        "MMRAW_RUN_IDS": "exp42, exp43",
        "MMRAW_CACHE_BYTES": "0",
        "MMRAW_FAMILIES": "qwen_vl",
        "MMRAW_REFS_ONLY": "false",
        "MMRAW_IDENTITY": "secret",
        "MMRAW_EPOCH": "step-7",
        "MMRAW_ISOLATION": "process",
        "MMRAW_LIMITS": '{"image_pixels": 1000}',
        "MMRAW_WORKERS": " ",
    }
    assert Settings.load(environment) == Settings(
        store=str(tmp_path),
        run_ids=("exp42", "exp43"),
        cache_bytes=0,
        families=("qwen_vl",),
        refs_only=False,
        identity="secret",
        epoch="step-7",
        isolation="process",
        limits=Limits(image_pixels=1000),
    )


def test_images_may_be_decoded_in_processes_of_their_own() -> None:
    assert [Settings().decoder(), Settings(isolation="off").decoder()] == ["auto", "off"]
    decoder = Settings(isolation="process", workers=3, frames="first").decoder()
    assert isinstance(decoder, IsolatedDecoder)
    with decoder:
        assert (decoder.processes, decoder.frames) == (3, "first")


def test_a_file_holds_settings_and_the_environment_overrides_it(tmp_path: Path) -> None:
    path = tmp_path / "mmraw.json"
    path.write_text('{"workers": 7, "families": ["qwen_vl"], "frames": "first"}')
    found = Settings.load({"MMRAW_CONFIG": str(path), "MMRAW_FRAMES": "single"})
    assert found == Settings(workers=7, families=("qwen_vl",))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WORKERS", "0"),
        ("INFLIGHT_BYTES", "0"),
        ("INFLIGHT_IMAGES", "0"),
        ("QUEUE", "-1"),
        ("IMAGE_SECONDS", "-3"),
        ("IMAGE_SECONDS", "nan"),
        ("IMAGE_SECONDS", "1e9"),
        ("MAX_BODY_BYTES", "-1"),
        ("CACHE_BYTES", "-1"),
        ("REFS_ONLY", "perhaps"),
        ("IDENTITY", "passport"),
        ("SECRET", "too short"),
        ("ISOLATION", "room"),
        ("LIMITS", '{"image_pixel": 1}'),
        ("LIMITS", "{"),
        ("LIMITS", '{"image_pixels": -5}'),
        ("STORE_CREATE", "perhaps"),
        ("STORE_OPTIONS", "[]"),
        ("CONFIG", "no such file"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(name: str, text: str) -> None:
    with pytest.raises(MMRawError, match=f"MMRAW_{name}") as caught:
        Settings.load({f"MMRAW_{name}": text})
    assert text not in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    both = {"MMRAW_IDENTITY": "mm_hash", "MMRAW_EPOCH": "step-7"}
    with pytest.raises(MMRawError, match="MMRAW_EPOCH has no effect where MMRAW_IDENTITY"):
        Settings.load(both)
    assert Settings.load({"MMRAW_IDENTITY": "mm_hash"}).identity == "mm_hash"


def test_what_all_images_may_hold_is_enough_for_the_largest_one() -> None:
    Settings().check_room()
    small = Limits(image_pixels=1_000_000, inline_image_bytes=1_000_000)
    # While it is decoded, an image takes 8 bytes a pixel; an eighth of all is for files.
    with pytest.raises(
        MMRawError, match=r"is 9142856, .* 1000000 pixels .* needs 9142858"
    ) as found:
        Settings(inflight_bytes=9_142_856, limits=small).check_room()
    assert found.value.code == "unsupported_option"
    enough = Settings(inflight_bytes=9_142_858, limits=small)
    enough.check_room()
    with pytest.raises(MMRawError, match="needs 10285715"):
        enough.check_room(processed=5_000_000)


def test_a_setting_with_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mmraw.json"
    path.write_text('{"worker": 7}')
    with pytest.raises(MMRawError, match=r"MMRAW_CONFIG: .*; did you mean workers\?"):
        Settings.load({"MMRAW_CONFIG": str(path)})
    with pytest.raises(MMRawError, match=r"'MMRAW_RUNID'; did you mean MMRAW_RUN_ID\?"):
        Settings.load({"MMRAW_RUNID": "exp42"})
    with pytest.raises(MMRawError, match="they are STORE, STORE_CREATE, "):
        Settings.load({"MMRAW_QX": "1"})


def test_names_that_are_no_settings_of_a_server_are_left_alone() -> None:
    others = {
        "MMRAW_MODEL": "/models/a",
        "MMRAW_STORE_FILE_MODE": "0664",
        "MMRAW_STORE_DIR_MODE": "2775",
    }
    assert Settings.load({**others, "MMRAW_RUNID": " ", "RUNID": "exp42"}) == Settings()


def test_families_that_do_not_exist_are_refused_with_those_that_do() -> None:
    for name in ("FAMILIES", "FAMILY"):
        with pytest.raises(MMRawError, match=f"MMRAW_{name}: .*kimi_k25.*qwen_vl"):
            Settings.load({f"MMRAW_{name}": "qwen"})


def test_a_model_whose_family_is_not_allowed_is_not_served() -> None:
    allowed = Settings(families=("kimi_k25",))
    with pytest.raises(MMRawError, match="MMRAW_FAMILIES leaves out the model's family, qwen_vl"):
        allowed.materializer(get_adapter("qwen_vl"))


def test_a_store_that_does_not_exist_is_made_only_on_demand(tmp_path: Path) -> None:
    place = tmp_path / "no" / "such"
    with pytest.raises(MMRawError, match=r"store_invalid.*MMRAW_STORE: .*MMRAW_STORE_CREATE=true"):
        Settings(store=str(place)).open_store()
    assert not place.parent.exists()
    assert Settings(store=str(place), store_create=True).open_store() is not None
    assert place.is_dir()


def test_runs_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run_exp42" / "assets" / "images").mkdir(parents=True)
    assert Settings(store=str(tmp_path), run_ids=("exp42",)).open_store() is not None
    several = {"store": str(tmp_path), "run_ids": ("exp42", "exp43")}
    with pytest.raises(MMRawError, match="MMRAW_STORE: "):
        Settings(**several).open_store()
    assert Settings(**several, store_create=True).open_store() is not None
    with pytest.raises(MMRawError, match="invalid_run_id"):
        Settings(store=str(tmp_path), run_id="../exp42").open_store()


def test_a_run_without_a_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VF_RENDERER_IMAGE_OFFLOAD_DIR", "PRIME_RL_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MMRawError, match="MMRAW_RUN_ID"):
        Settings(run_id="exp42").open_store()


def test_the_store_is_found_by_the_names_that_users_have_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VF_RENDERER_IMAGE_OFFLOAD_DIR", "PRIME_RL_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert Settings().open_store() is None
    monkeypatch.setenv("PRIME_RL_RUN_DIR", str(tmp_path))
    found = Settings(store_create=True).open_store()
    assert isinstance(found, LocalStore)
    assert found.root == tmp_path / "assets" / "images"


def test_options_of_the_store_are_passed_on(tmp_path: Path) -> None:
    options = {"cache_dir": str(tmp_path / "cache")}
    found = Settings(store="memory://", run_id="exp42", store_options=options).open_store()
    assert isinstance(found, CachedStore)
    with pytest.raises(MMRawError, match="have settings of their own"):
        Settings(store="memory://", store_options={"run_id": "exp43"}).open_store()
    with pytest.raises(MMRawError, match="unsupported_option"):
        Settings(store="memory://", store_options={"colour": "red"}).open_store()


def test_the_layout_is_that_of_the_servers_processor() -> None:
    published = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    published |= {"size": {"shortest_edge": 65536, "longest_edge": 16777216}}  # type: ignore[dict-item]
    default = get_adapter("qwen_vl").fingerprint()
    assert server_adapter("qwen_vl", published, {}).fingerprint() == default
    smaller = get_adapter("qwen_vl", {"max_pixels": 1003520}).fingerprint()
    for overrides in (
        {"max_pixels": 1003520},
        {"size": {"longest_edge": 1003520}},
        {"images_kwargs": {"size": {"longest_edge": 1003520}}},
    ):
        assert server_adapter("qwen_vl", published, overrides).fingerprint() == smaller


@pytest.mark.parametrize(
    ("family", "overrides", "parameters"),
    [
        ("qwen_vl", {"size": {"shortest_edge": 3136}}, {"min_pixels": 3136}),
        ("gemma4", {"max_soft_tokens": 70}, {"max_soft_tokens": 70}),
        ("gemma4", {"images_kwargs": {"max_soft_tokens": 70}}, {"max_soft_tokens": 70}),
        ("glm4v", {"size": {"longest_edge": 1003520}}, {"longest_edge": 1003520}),
        ("glm5_next", {"min_image_tokens": 4}, {"min_image_tokens": 4}),
        ("internvl", {"max_patches": 4}, {"max_patches": 4}),
    ],
)
def test_what_the_server_was_started_with_is_read_by_the_familys_names(
    family: str, overrides: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Beside the file's own values, under any of a parameter's names."""
    published = msgspec.structs.asdict(FAMILIES[family].layout())
    found = server_adapter(family, published, {**overrides, "do_resize": True})
    assert found.fingerprint() == get_adapter(family, parameters).fingerprint()


def test_kimis_placeholders_are_the_tokens_that_vllm_puts_there() -> None:
    media = {"patch_size": 14, "merge_kernel_size": 2}
    media |= {"in_patch_limit": 16384, "patch_limit_on_one_side": 512}
    adapter = server_adapter("kimi_k25", {"media_proc_cfg": media}, {})
    layout = adapter.layout(320, 200)
    assert layout.placeholder_length == layout.num_tokens > 1


def test_a_model_of_no_known_family_is_refused() -> None:
    assert set(map(family_of, FAMILY_BY_MODEL_TYPE)) <= set(FAMILIES)
    with pytest.raises(MMRawError, match="MMRAW_FAMILY"):
        family_of("llava_next")


def test_a_model_that_one_server_alone_serves_has_a_family_there_alone() -> None:
    assert family_of("internvl_chat", "sglang") == "internvl"
    assert family_of("qwen3_vl", "sglang") == family_of("qwen3_vl") == "qwen_vl"
    with pytest.raises(MMRawError, match="MMRAW_FAMILY"):
        family_of("internvl_chat")
