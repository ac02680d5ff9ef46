"""RawRenderer among the released types: its results are JSON, and the released client takes it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import renderers
import tiny
from loopback import ANSWER, answers, running_in_a_thread
from openai import AsyncOpenAI
from pairs import KINDS, Pair, data_url, places
from renderers.client import generate

from mmraw_protocol import (
    MMRawError,
    build_features,
    get_adapter,
    mm_refs,
    parse_content_parts,
    ref_messages,
)
from mmraw_protocol.integrations.renderers import (
    RawRenderer,
    RawRendererConfig,
    create_raw_renderer,
)
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.features import MultiModalData

QWEN = "Qwen3VLRenderer"
#: Renderers that can leave images to the server.
DEFERRING = [
    name for name in KINDS if hasattr(getattr(renderers, name), "supports_process_multimodal")
]
SAMPLED = tiny.tokenizer().encode("the red square<|im_end|>", add_special_tokens=False)
LOGPROBS = [{"token": f"token_id:{token}", "logprob": -0.5} for token in SAMPLED]
CHOICE = {
    "index": 0,
    "token_ids": SAMPLED,
    "finish_reason": "stop",
    "logprobs": {"content": LOGPROBS},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("run") / "assets" / "images")


def asked(pictures: list[Any]) -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": {"url": data_url(p)}} for p in pictures]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "what is this"}]}]


def released(renderer: Any, messages: Any, answer: dict[str, Any], **options: Any) -> Any:
    """Returns the released client's result of an answer, and the request that it sent."""
    with running_in_a_thread(answers({**ANSWER, "choices": [CHOICE], **answer})) as server:

        async def exchange() -> Any:
            async with AsyncOpenAI(
                base_url=f"{server.url}/v1", api_key="x", max_retries=0
            ) as client:
                return await generate(
                    client=client, renderer=renderer, messages=messages, model="tiny", **options
                )

        return asyncio.run(exchange()), server.requests


@pytest.mark.parametrize("name", DEFERRING)
def test_images_left_to_the_server_are_the_released_renderers_own(
    name: str, store: LocalStore, pictures: list[Any]
) -> None:
    pair = Pair(name, store, thinking_retention="all")
    first = ref_messages(asked(pictures[4:6]), pair.adapter, store=store, run_id="x")
    left = {"process_multimodal": False}
    got, want = (r.render(first, **left) for r in (pair.raw, pair.layout_only))
    assert got == want
    assert pair.raw.render_ids(first, **left) == want.token_ids
    turn = ref_messages(asked(pictures[6:7]), pair.adapter, store=store, run_id="x")
    before = (want.token_ids, pair.completion(turn), turn)
    got, want = (r.bridge_to_next_turn(*before, **left) for r in (pair.raw, pair.layout_only))
    assert got == want
    assert (want is not None) == pair.kind.bridges


def test_the_released_client_posts_refs_as_content_parts(
    store: LocalStore, pictures: list[Any]
) -> None:
    raw = Pair(QWEN, store).raw
    messages = ref_messages(asked(pictures[4:6]), raw.adapter, store=store, run_id="x")
    layouts = [raw.adapter.layout(*p.open().size) for p in pictures[4:6]]
    expanded = raw.render(messages, add_generation_prompt=True)
    assert raw.render_ids(messages, add_generation_prompt=True) == expanded.token_ids
    spans = [{"offset": offset, "length": length} for offset, length in places(expanded)]
    answer = {"prompt_token_ids": expanded.token_ids, "mm_placeholders": {"image": spans}}
    result, (request,) = released(raw, messages, answer, process_multimodal=False)
    parts = parse_content_parts(request["content_parts"])
    assert [image.ref.mm_hash for image in parts.images] == [p.mm_hash for p in pictures[4:6]]
    assert request["return_token_ids"] is True
    assert "features" not in request
    pad = tiny.tokenizer().convert_tokens_to_ids(raw.adapter.pad_token)
    assert request["token_ids"].count(pad) == 2
    assert result["content"] == "the red square"
    rows = mm_refs(messages, result["mm_placeholders"])["images"]
    assert [row["length"] for row in rows] == [layout.placeholder_length for layout in layouts]


def test_the_released_client_takes_conversations_without_images(store: LocalStore) -> None:
    raw = Pair(QWEN, store).raw
    result, (request,) = released(raw, asked([]), {}, max_prompt_len=1000)
    assert result["content"] == "the red square"
    assert result["multi_modal_data"].is_empty()
    assert set(request) == {"model", "token_ids", "sampling_params"}


def test_the_released_client_builds_features_of_tensors_alone(
    store: LocalStore, pictures: list[Any]
) -> None:
    """Refs in features are posted by GenerateClient; docs/renderers.md says so."""
    raw = Pair(QWEN, store).raw
    with pytest.raises(NotImplementedError, match="RawRenderer"):
        released(raw, asked(pictures[4:5]), {}, max_prompt_len=100_000)


def test_items_are_json(store: LocalStore, pictures: list[Any]) -> None:
    data = Pair(QWEN, store).raw.render(asked(pictures[4:6])).multi_modal_data
    items = data.mm_items["image"]
    assert json.loads(json.dumps(items)) == items
    again = MultiModalData.from_dict(json.loads(json.dumps(data.to_dict())))
    assert build_features(again, run_id="x") == build_features(data, run_id="x")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    """A tokenizer that says that it is of a checkpoint with layout parameters of its own."""
    processor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "size": {"shortest_edge": 65536, "longest_edge": 131072},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    tiny.tokenizer().save_pretrained(tmp_path)
    return renderers.base.load_tokenizer(str(tmp_path))


def test_one_line_makes_a_raw_renderer(
    tokenizer: Any, store: LocalStore, pictures: list[Any]
) -> None:
    own = renderers.Qwen3VLRendererConfig(add_vision_id=True)
    made = create_raw_renderer(tokenizer, RawRendererConfig(renderer=own, store=store))
    assert isinstance(made, RawRenderer)
    assert made.adapter == get_adapter("qwen_vl", tokenizer.name_or_path)
    assert made.adapter != get_adapter("qwen_vl")
    rendered = made.render(asked(pictures[4:5]))
    (item,) = rendered.multi_modal_data.mm_items["image"]
    assert item["layout_fingerprint"] == made.adapter.fingerprint()
    assert store.get(item["raw_image_id"])
    assert "Picture 1:" in tokenizer.decode(rendered.token_ids)


@pytest.mark.parametrize(
    ("model", "kind", "family"),
    [
        ("Qwen/Qwen3-VL-4B-Instruct", "Qwen3VLRenderer", "qwen_vl"),
        ("Qwen/Qwen3.6-35B-A3B", "Qwen36Renderer", "qwen_vl"),
        ("moonshotai/Kimi-K2.5", "KimiK25Renderer", "kimi_k25"),
    ],
)
def test_renderer_and_family_are_found_by_the_models_name(
    model: str, kind: str, family: str, tokenizer: Any, store: LocalStore
) -> None:
    tokenizer.name_or_path = model
    adapter = get_adapter(family)
    made = create_raw_renderer(tokenizer, RawRendererConfig(store=store, adapter=adapter))
    assert (type(made.renderer).__name__, made.adapter.family) == (kind, family)


def test_processed_output_is_the_packages_own(
    tokenizer: Any, store: LocalStore, pictures: list[Any]
) -> None:
    own = renderers.Qwen3VLRendererConfig()
    processed = RawRendererConfig(multimodal_output="processed", renderer=own)
    assert type(create_raw_renderer(tokenizer, processed)) is renderers.Qwen3VLRenderer
    pair = Pair(QWEN, store)
    around = RawRenderer(pair.real, pair.adapter, processed)
    (item,) = around.render(asked(pictures[4:5])).multi_modal_data.mm_items["image"]
    assert "pixel_values" in item
    with pytest.raises(MMRawError) as caught:
        RawRenderer(pair.real, pair.adapter, multimodal_output="both")
    assert caught.value.code == "unsupported_option"


def test_a_renderer_of_no_family_is_refused(tokenizer: Any) -> None:
    tokenizer.name_or_path = "Qwen/Qwen3-0.6B"
    with pytest.raises(MMRawError) as caught:
        create_raw_renderer(tokenizer)
    assert caught.value.code == "unsupported_option"
