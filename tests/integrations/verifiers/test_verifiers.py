"""The message functions on the typed messages of the released verifiers, and on what it saves."""

import base64
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.conversation.messages import (
    find_images,
    inline_messages,
    offload_messages,
    pack_images,
)
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore

types = importlib.import_module("verifiers.v1.types")
MESSAGES = TypeAdapter(types.Messages)


def data_url(picture: Any) -> str:
    kind = {"jpg": "jpeg"}.get(picture.name.rsplit(".")[-1], picture.name.rsplit(".")[-1])
    return f"data:image/{kind};base64,{base64.b64encode(picture.data).decode()}"


def image(url: str) -> Any:
    return types.ImageUrlContentPart(image_url=types.ImageUrlSource(url=url))


def text(words: str) -> Any:
    return types.TextContentPart(text=words)


def conversation(urls: list[str]) -> list[Any]:
    """Images of the user and of a tool, among every other kind of message."""
    half = len(urls) // 2
    call = types.ToolCall(id="c1", name="screenshot", arguments='{"zoom": 2}')
    return [
        types.SystemMessage(content="you see images"),
        types.UserMessage(content=[text("what is"), *map(image, urls[:half]), text("this")]),
        types.AssistantMessage(content=None, reasoning_content="look", tool_calls=[call]),
        types.ToolMessage(tool_call_id="c1", content=[*map(image, urls[half:])], name="screenshot"),
        types.AssistantMessage(content="a red square"),
        types.UserMessage(content="thanks"),
    ]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


def kinds(value: Any) -> Any:
    """The class of a message, of its parts, and of their sources."""
    content = value.content if isinstance(value.content, list) else []
    inner = [(type(part), type(getattr(part, "image_url", None))) for part in content]
    return type(value), inner


def test_images_are_found_wherever_they_stand(pictures: list[Any]) -> None:
    urls = [data_url(p) for p in pictures]
    found = find_images(conversation(urls))
    assert [image.source for image in found] == urls
    assert {image.message_index for image in found} == {1, 3}


def test_offloading_and_inlining_keep_every_type(pictures: list[Any], store: LocalStore) -> None:
    messages = conversation([data_url(p) for p in pictures])
    before = MESSAGES.dump_json(messages)
    offloaded = offload_messages(messages, store)
    assert MESSAGES.dump_json(messages) == before, "the caller's messages are not changed"
    assert list(map(kinds, offloaded)) == list(map(kinds, messages))
    assert all(image.source.startswith("file:///") for image in find_images(offloaded))
    assert sorted(store.list())[0][:32] in {p.mm_hash for p in pictures}
    # They are whole: verifiers reads its own JSON of them back.
    again = MESSAGES.validate_json(MESSAGES.dump_json(offloaded))
    assert again == offloaded
    inlined = inline_messages(again)
    assert list(map(kinds, inlined)) == list(map(kinds, messages))
    assert inlined == messages


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_typed_conversation_comes_back_as_it_was(
    data: st.DataObject, pictures: list[Any], store: LocalStore
) -> None:
    part = st.one_of(
        st.builds(text, st.text(max_size=5)),
        st.sampled_from(pictures).map(lambda p: image(data_url(p))),
    )
    content = st.one_of(st.text(max_size=5), st.lists(part, max_size=4))
    message = st.one_of(
        st.builds(types.UserMessage, content=content),
        st.builds(types.SystemMessage, content=content),
        st.builds(types.ToolMessage, tool_call_id=st.just("c"), content=content),
        st.builds(types.AssistantMessage, content=st.one_of(st.none(), st.text(max_size=5))),
    )
    messages = data.draw(st.lists(message, max_size=5))
    offloaded = offload_messages(messages, store)
    assert list(map(kinds, offloaded)) == list(map(kinds, messages))
    assert inline_messages(offloaded) == messages


def test_typed_messages_become_items(pictures: list[Any], store: LocalStore) -> None:
    packed = pack_images(
        conversation([data_url(p) for p in pictures]),
        get_adapter("qwen_vl"),
        store=store,
    )
    assert [image.mm_hash for image in packed] == [p.mm_hash for p in pictures]


def test_a_typed_part_that_names_the_web_is_refused_with_its_place(
    store: LocalStore,
) -> None:
    messages = [types.UserMessage(content=[text("x"), image("https://example.invalid/x.png")])]
    with pytest.raises(MMRawError) as caught:
        offload_messages(messages, store)
    assert (caught.value.code, caught.value.path) == (
        "source_unsupported",
        "$[0].content[1]",
    )


def save_rollouts(folder: Path, urls: list[str]) -> Path:
    """Two episodes, saved by verifiers' own writer."""
    episodes = importlib.import_module("verifiers.v1.episode")
    traces = importlib.import_module("verifiers.v1.trace")
    graph = importlib.import_module("verifiers.v1.graph")
    saved = importlib.import_module("verifiers.v1.utils.trace_store")
    for shift in (0, 1):
        messages = conversation(urls[shift:] + urls[:shift])
        task = {
            "type": "Look",
            "data": {
                "idx": shift,
                "prompt": messages[:2],
                "image": "python:3.11",
                "goal": "see",
            },
        }
        trace = traces.WireTrace(task=task, agent={"config": {}}, is_completed=True, ok=True)
        for index, message in enumerate(messages):
            sampled = message.role == "assistant"
            node = graph.MessageNode(
                parent=index - 1 if index else None,
                message=message,
                sampled=sampled,
                token_ids=[index, 7],
                mask=[False, sampled],
                logprobs=[-0.5] if sampled else [],
            )
            trace.nodes.append(node)
        trace.record_reward("seen", 0.5)
        episode = episodes.WireEpisode(task=task, traces=[trace], ok=True)
        saved.write_episode(folder, episode)
    return folder / saved.TRACES_FILE


def read_rollouts(file: Path) -> list[Any]:
    saved = importlib.import_module("verifiers.v1.utils.trace_store")
    traces = importlib.import_module("verifiers.v1.trace")
    return saved.read_episodes(file.parent, traces.WireTrace)


def test_messages_of_a_saved_rollout_come_back_unchanged(
    pictures: list[Any], tmp_path: Path, store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the library: read, offloaded, saved and read again, inlined."""
    saved = importlib.import_module("verifiers.v1.utils.trace_store")
    before = read_rollouts(save_rollouts(tmp_path, [data_url(p) for p in pictures]))
    second = tmp_path / "offloaded"
    second.mkdir()
    for episode in read_rollouts(tmp_path / saved.TRACES_FILE):
        for node in episode.traces[0].nodes:
            (node.message,) = offload_messages([node.message], store)
        saved.write_episode(second, episode)
    assert main(["validate", str(second / saved.TRACES_FILE)]) == 0
    capsys.readouterr()
    after = read_rollouts(second / saved.TRACES_FILE)
    assert after != before
    for episode in after:
        for node in episode.traces[0].nodes:
            (node.message,) = inline_messages([node.message])
    assert after == before


def test_a_saved_rollout_is_offloaded_validated_and_comes_back_unchanged(
    pictures: list[Any],
    tmp_path: Path,
    store: LocalStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = save_rollouts(tmp_path, [data_url(p) for p in pictures])
    original = file.read_bytes()
    before = read_rollouts(file)

    assert main(["offload", str(file), "--in-place", "--store", str(store.root), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["files"]
    assert b"data:image" not in file.read_bytes()
    assert len(list(store.list())) == len(pictures)
    # Once in the graph, and what the user showed once more in the task, of episode and of trace.
    shown = len(pictures) // 2
    assert report["images"] == 2 * (len(pictures) + 2 * shown)
    assert report["duplicates"] == report["images"] - len(pictures)
    assert len(file.read_bytes()) < len(original)
    offloaded = read_rollouts(file)
    urls = [p.image_url.url for p in offloaded[0].traces[0].nodes[1].message.content[1:-1]]
    assert all(url.startswith("file:///") for url in urls)
    assert offloaded[0].task.data.image == "python:3.11", "a container's image is none of ours"

    assert main(["validate", str(file)]) == 0
    capsys.readouterr()
    assert main(["inline", str(file), "--in-place", "--store", str(store.root)]) == 0
    assert file.read_bytes() == original
    assert read_rollouts(file) == before
