"""Under which names vLLM files pictures of refs, and under which what a client names."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from vllm_package import VLLMValidationError, install
from vllm_server_stand_in import Renderer, StockRenderer
from vllm_stand_in import PAD, QWEN

from mmraw_protocol.integrations.serving.identity import INFO, Name
from mmraw_protocol.integrations.vllm import renderers
from mmraw_protocol.integrations.vllm.renderers import named


def picture(name: str, num_tokens: int | None = None) -> Any:
    """A picture of a ref."""
    image = Image.new("RGB", (320, 200))
    tokens = QWEN.layout(320, 200).num_tokens if num_tokens is None else num_tokens
    image.info[INFO] = Name(name, tokens)
    return image


def uuids_of(**prompt: Any) -> Any:
    """Returns what goes to vLLM beside a prompt's data."""
    given = {name: {"image": value} for name, value in prompt.items()}
    return named(given).get("multi_modal_uuids", {}).get("image")


def test_pictures_of_refs_have_their_names_and_all_else_a_clients() -> None:
    plain, ref = Image.new("RGB", (8, 8)), picture("a")
    assert uuids_of(multi_modal_data=[ref, plain, ref]) == ["a", None, "a"]
    both = {"multi_modal_data": [ref, plain, plain], "multi_modal_uuids": ["x", "a", None]}
    assert uuids_of(**both) == ["a", "client-a", None]
    # vLLM also takes a single item, and names of pictures that it has.
    assert uuids_of(multi_modal_data=ref) == ["a"]
    assert uuids_of(multi_modal_data=None, multi_modal_uuids="a") == ["client-a"]
    assert uuids_of(multi_modal_data=[plain]) is None
    chunk = {"type": "image", "image": ref, "uuid": None}
    assert uuids_of(multi_modal_data=[chunk]) == ["a"]
    # No name at all: vLLM refuses it.
    assert uuids_of(multi_modal_data=[plain], multi_modal_uuids=[5]) == [5]


def test_a_name_in_a_file_is_no_name() -> None:
    forged = Image.new("RGB", (8, 8))
    forged.info[INFO] = "a"
    assert uuids_of(multi_modal_data=[forged]) is None


def test_both_prompts_of_an_encoder_and_decoder_are_looked_at() -> None:
    inner = {"multi_modal_uuids": {"audio": ["a"]}}
    found = named({"encoder_prompt": inner, "decoder_prompt": None})
    assert found["encoder_prompt"]["multi_modal_uuids"] == {"audio": ["client-a"]}


def test_a_prompt_without_media_stays_as_it_is() -> None:
    prompt = {"prompt_token_ids": [1, 2], "cache_salt": "s"}
    assert named(prompt) == prompt


@pytest.mark.parametrize("way", ["process_for_engine", "process_for_engine_async"])
def test_a_count_that_is_not_the_refs_never_reaches_the_engine(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    renderer = Renderer(QWEN, {QWEN.pad_token: PAD})

    def ask(*pictures: Any) -> Any:
        data = {"multi_modal_data": {"image": [*pictures]}}
        found = getattr(renderer, way)({"prompt_token_ids": [PAD] * len(pictures), **data}, 0.0)
        return asyncio.run(found) if way.endswith("async") else found

    assert ask(picture("a"), picture("b"))["mm_hashes"] == {"image": ["a", "b"]}
    with pytest.raises(VLLMValidationError, match=r"^placeholder_mismatch: .* \(image 1\)$"):
        ask(picture("a"), picture("b", 3))
    # vLLM must not believe that the engine has them.
    assert renderer.mm_processor_cache.invalidated == ["a", "b"]


def test_the_plugins_renderers_stand_in_front_of_vllms() -> None:
    registry = SimpleNamespace(renderers={"hf": (StockRenderer.__module__, "StockRenderer")})
    renderers.install(registry)
    renderers.install(registry)
    module, name = registry.renderers["hf"]
    assert module == renderers.__name__
    made = getattr(renderers, name)
    assert (made.__mro__[1], made.__name__, made.takes_refs) == (
        StockRenderer,
        "StockRenderer",
        True,
    )
    assert getattr(renderers, name) is made
    with pytest.raises(AttributeError):
        _ = renderers.no_such_renderer
