"""Video and audio are rejected by name, with their place, wherever images are looked for."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import samples
from samples import PNG
from vllm_stand_in import Server

from mmraw_protocol import MMRawError, MultiModalData, build_features, parse_features, parse_ref
from mmraw_protocol.cli import main
from mmraw_protocol.conversation.features_builder import FeaturesBuilder
from mmraw_protocol.conversation.messages import (
    find_images,
    image_source,
    inline_messages,
    is_image_part,
    offload_messages,
    pack_images,
)
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.renderers import RawRenderer, raw_data, sized_messages
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.materialize import Materializer
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.modalities import PARTS, UNSUPPORTED
from mmraw_protocol.wire.item import parse_item
from mmraw_protocol.wire.ref import format_ref

ADAPTER = get_adapter("qwen_vl")
IMAGE = {"type": "image", "image": PNG}
VIDEO = {"type": "video_url", "video_url": {"url": "clip.mp4"}}
#: A conversation whose video stands in the second message, behind an image.
MESSAGES = [
    {"role": "user", "content": [IMAGE]},
    {"role": "user", "content": [{"type": "text", "text": "this?"}, IMAGE, VIDEO]},
]
PLACE = "$[1].content[2]"


def path_of(call: Callable[[], Any]) -> str:
    """Returns the path at which a call rejects a video or audio."""
    with pytest.raises(MMRawError) as caught:
        call()
    assert caught.value.code == "modality_unsupported"
    assert caught.value.message.startswith(("video is not supported", "audio is not supported"))
    return caught.value.path


def features_of(modality: str) -> dict[str, Any]:
    """A body with one ref of a modality, in which nothing else is wrong."""
    return samples.features(samples.ref(modality=modality), modality=modality)


def data_of(modality: str) -> dict[str, Any]:
    """Returns a renderer's result for one thing of a modality."""
    maps = samples.mm_data([samples.envelope()])
    return {name: {modality: by["image"]} for name, by in maps.items()}


@pytest.mark.parametrize("word", PARTS)
def test_a_part_is_named_by_its_type_or_its_key(word: str) -> None:
    for part in ({"type": word}, {word: "x"}, SimpleNamespace(type=word)):
        with pytest.raises(MMRawError) as caught:
            is_image_part(part)
        modality = PARTS[word]
        assert caught.value.message.startswith(f"{modality} is not supported")
        assert caught.value.message.endswith(UNSUPPORTED[modality])
    assert path_of(lambda: image_source({"type": word})) == "$"


@pytest.mark.parametrize("word", PARTS)
def test_none_counts_as_absent(word: str) -> None:
    assert is_image_part({"type": "image", "image": "a.png", word: None})
    assert is_image_part({"image": "a.png", word: None})
    assert not is_image_part({"type": "text", "text": "x", word: None})


def test_a_message_is_refused_by_everything_that_reads_images(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    renderer = RawRenderer(None, ADAPTER, storage="inline")
    for call in (
        lambda: find_images(MESSAGES),
        lambda: offload_messages(MESSAGES, store),
        lambda: inline_messages(MESSAGES),
        lambda: pack_images(MESSAGES, ADAPTER, store=store),
        lambda: sized_messages(MESSAGES),
        lambda: renderer.render(MESSAGES),
        lambda: renderer.bridge_to_next_turn([], [], MESSAGES),
    ):
        assert path_of(call) == PLACE
    assert [*tmp_path.iterdir()] == [], "nothing is stored of a conversation that is refused"


@pytest.mark.parametrize("modality", UNSUPPORTED)
def test_features_are_refused_whatever_the_list_holds(modality: str) -> None:
    body = features_of(modality)
    assert path_of(lambda: parse_features(body)) == f"$.kwargs_data.{modality}"
    assert path_of(lambda: parse_features(json.dumps(body))) == f"$.kwargs_data.{modality}"
    for name in body:
        alone = {**samples.features()}
        alone[name] = {**alone[name], modality: [None]}
        assert path_of(partial(parse_features, alone)) == f"$.{name}.{modality}"


def test_an_empty_list_is_no_video() -> None:
    body = {name: {**by, "video": []} for name, by in samples.features().items()}
    assert parse_features(body).refs["video"] == []
    maps = samples.mm_data([samples.envelope()])
    data = {name: {**by, "video": []} for name, by in maps.items()}
    assert build_features(data, run_id="x") == build_features(maps, run_id="x")


@pytest.mark.parametrize("modality", UNSUPPORTED)
def test_a_builder_refuses_what_it_would_skip(modality: str) -> None:
    place = f"$.mm_items.{modality}"
    data = data_of(modality)
    assert path_of(lambda: build_features(data, run_id="x")) == place
    assert path_of(lambda: build_features(MultiModalData(**data), run_id="x")) == place
    assert path_of(lambda: FeaturesBuilder(run_id="x").add(data)) == place
    alone = {**samples.mm_data([samples.envelope()])}
    alone["mm_hashes"] = {**alone["mm_hashes"], modality: ["0" * 32]}
    assert path_of(lambda: build_features(alone, run_id="x")) == f"$.mm_hashes.{modality}"


@pytest.mark.parametrize("count", [1, 2])
def test_a_builder_writes_no_ref_that_no_reader_takes(count: int) -> None:
    items = [samples.envelope() for _ in range(count)]
    items[-1]["vllm_modality"] = "video"
    place = f"$.mm_items.image[{count - 1}].vllm_modality"
    assert path_of(lambda: build_features(samples.mm_data(items), run_id="x")) == place


def test_an_envelope_is_refused_by_its_modality() -> None:
    item = samples.envelope(modality="video")
    assert path_of(lambda: parse_item(item)) == "$.modality"
    assert path_of(lambda: parse_item(json.dumps({"a": 1, **item}))) == "$.modality"
    with pytest.raises(MMRawError) as caught:
        parse_item(samples.envelope(modality="video_frame"))
    assert caught.value.code == "invalid_value"


def test_a_ref_may_name_any_modality_and_is_never_taken_for_an_image() -> None:
    text = samples.ref(modality="video", raw_uri=samples.data_url(PNG))
    assert format_ref(parse_ref(text)) == text
    assert path_of(lambda: Materializer().materialize(text)) == "$.modality"
    assert path_of(lambda: Materializer().materialize(text, modality="image")) == "$.modality"


def test_what_a_renderer_returned_is_refused() -> None:
    messages = [{"role": "user", "content": [IMAGE]}]
    for name in ("mm_items", "mm_hashes", "mm_placeholders"):
        data = SimpleNamespace(mm_items={}, mm_hashes={}, mm_placeholders={})
        getattr(data, name)["audio"] = [None]
        rendered = SimpleNamespace(token_ids=[1], multi_modal_data=data)
        call = partial(raw_data, rendered, messages, ADAPTER, storage="inline")
        assert path_of(call) == f"$.{name}.audio"


def test_the_client_sends_nothing() -> None:
    async def send() -> None:
        async with GenerateClient("http://127.0.0.1:9", "m", run_id="x", retries=0) as client:
            await client.generate([1, 2], multi_modal_data=data_of("video"))

    assert path_of(lambda: asyncio.run(send())) == "$.mm_items.video"


@pytest.mark.parametrize("text", [samples.ref(modality="video"), "gAAAtensor"])
def test_a_server_refuses_refs_and_tensors_by_name(text: str) -> None:
    features = {**features_of("video"), "kwargs_data": {"video": [text]}}
    answer = Server(None, refs_only=True).post({"token_ids": [1], "features": features})
    process.serve(None)
    error = answer.error["mmraw"]
    assert (error["code"], error["path"]) == ("modality_unsupported", "$.kwargs_data.video")


def test_a_server_that_takes_tensors_leaves_video_alone() -> None:
    features = {**features_of("video"), "kwargs_data": {"video": ["gAAAtensor"]}}
    server = Server(None)
    assert server.post({"token_ids": [1], "features": features}).status == 200
    process.serve(None)
    assert len(server.bodies) == 1


def answer(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main([*args, "--json"]) == 1
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_commands_tell_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "messages.json"
    content = [{"type": "image", "image": samples.data_url(PNG)}, VIDEO]
    file.write_text(json.dumps([{"role": "user", "content": content}]))
    told = answer(capsys, "pack", str(file), "--storage", "inline", "--run-id", "x")
    assert "modality_unsupported" in told
    assert "$[0].content[1]" in told
    file.write_text(json.dumps({"features": features_of("audio")}))
    told = answer(capsys, "validate", str(file))
    assert "modality_unsupported" in told
    assert "$.*.kwargs_data.audio" in told
    told = answer(capsys, "inspect", json.dumps(features_of("video")))
    assert "modality_unsupported" in told


@pytest.mark.parametrize("url", ["data:video/mp4;base64,AAAA", "DATA:Audio\\/wav;base64,AAAA"])
def test_offload_names_the_line_of_a_video(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.jsonl"
    text = f'{{"a": "{samples.data_url(PNG)}"}}\n{{"b": "{url}", "c": "data:video/ is prose"}}\n'
    file.write_text(text)
    told = answer(capsys, "offload", str(file), "--store", str(tmp_path / "store"), "-i")
    (row,) = json.loads(told)["files"]
    assert [(r["line"], r["byte"], r["code"]) for r in row["refusals"]] == [
        (2, 7, "modality_unsupported")
    ]
    assert file.read_text() == text, "a file is rewritten whole or not at all"
