"""One renderer twice, under the real image processor and under the layout-only one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import processors
import renderers
import tiny
from hypothesis import strategies as st

from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import LayoutProcessor, RawRenderer
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.item import parse_item

TOOLS = [
    {
        "name": "screenshot",
        "description": "what the screen shows",
        "parameters": {"type": "object", "properties": {"zoom": {"type": "integer"}}},
    }
]


def data_url(picture: Any) -> str:
    kind = {"jpg": "jpeg"}.get(picture.name.rsplit(".")[-1], picture.name.rsplit(".")[-1])
    return f"data:image/{kind};base64,{base64.b64encode(picture.data).decode()}"


#: Every source that both the renderers and this package read, in the spellings that both read.
SOURCES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "bytes": lambda p: {"type": "image", "image": p.data},
    "path": lambda p: {"type": "image", "path": str(p.path)},
    "image as path": lambda p: {"image": str(p.path)},
    "data URL": lambda p: {"type": "image_url", "image_url": {"url": data_url(p)}},
    "flat data URL": lambda p: {"type": "image_url", "image_url": data_url(p)},
    "PIL": lambda p: {"type": "image", "image": p.open()},
}
TYPED = tuple(source for source in SOURCES if source != "image as path")
IN_MEMORY = ("bytes", "data URL", "flat data URL", "PIL")


def _grid_of(key: str) -> Callable[[Any, int], dict[str, Any]]:
    return lambda item, _: {key: [[int(side) for side in item[key][0]]]}


def _gemma(item: Any, length: int) -> dict[str, Any]:
    w, h = (int(most) + 1 for most in item["image_position_ids"][0].max(axis=0))
    return {"image_grid_hw": [[h, w]], "num_soft_tokens": length}


def _nemotron(item: Any, length: int) -> dict[str, Any]:
    (sides,) = item["imgs_sizes"]
    assert list(item["num_tokens"]) == [length]
    return {"image_grid_hw": [[side // 16 for side in sides]]}


@dataclass(frozen=True)
class Kind:
    """A released renderer.

    Attributes:
        config: Its class of options.
        family: The family of its models.
        real: Makes the image processor that it asks.
        payload: What a real item and the length of its span tell of the payload.
        answer: The tokens of an answer, as the model ends it.
        call: The same where the answer calls a tool; None: as `answer`.
        sources: The sources of images that it reads itself.
        tool_images: Whether it shows the images that a tool answers with.
        assistant_images: Whether it shows the images of assistants.
        bridges: Whether it goes on from earlier turns where there are images.
    """

    config: Any
    family: str
    real: Callable[[], Any]
    payload: Callable[[Any, int], dict[str, Any]]
    answer: str
    call: str | None = None
    sources: tuple[str, ...] = tuple(SOURCES)
    tool_images: bool = True
    assistant_images: bool = False
    bridges: bool = True


KINDS = {
    "Qwen3VLRenderer": Kind(
        config=renderers.Qwen3VLRendererConfig,
        family="qwen_vl",
        real=processors.qwen,
        payload=_grid_of("image_grid_thw"),
        answer="the red square<|im_end|>",
    ),
    "Qwen35Renderer": Kind(
        config=renderers.Qwen35RendererConfig,
        family="qwen_vl",
        real=processors.qwen,
        payload=_grid_of("image_grid_thw"),
        answer="</think>the red square<|im_end|>",
    ),
    "KimiK25Renderer": Kind(
        config=renderers.KimiK25RendererConfig,
        family="kimi_k25",
        real=processors.RemoteKimi,
        payload=_grid_of("grid_thws"),
        answer="</think>the red square<|im_end|>",
    ),
    "Gemma4Renderer": Kind(
        config=renderers.Gemma4RendererConfig,
        family="gemma4",
        real=processors.gemma,
        payload=_gemma,
        answer="the red square<turn|>",
        call="<|tool_call>call:screenshot{zoom:2}<tool_call|><|tool_response>",
        assistant_images=True,
    ),
    "Nemotron35Renderer": Kind(
        config=renderers.Nemotron35RendererConfig,
        family="nemotron_h_omni",
        real=processors.RemoteNemotron,
        payload=_nemotron,
        answer="</think>the red square<|im_end|>",
        sources=IN_MEMORY,
        assistant_images=True,
        bridges=False,
    ),
    "InklingRenderer": Kind(
        config=renderers.InklingRendererConfig,
        family="inkling",
        real=processors.inkling,
        payload=lambda item, length: {"num_patches": int(item["pixel_values"].shape[0])},
        sources=TYPED,
        answer="<|content_text|>the red square<|end_message|><|content_model_end_sampling|>",
        tool_images=False,
        assistant_images=True,
    ),
}


class Pair:
    """The released renderer `name` under both processors, and what this package makes of it."""

    def __init__(self, name: str, store: LocalStore, **config: Any) -> None:
        self.kind = KINDS[name]
        self.adapter = get_adapter(self.kind.family)
        made = getattr(renderers, name)
        options = (tiny.tokenizer(), self.kind.config(**config))
        self.real = made(*options, processor=processors.processor_of(self.kind.real()))
        self.layout_only = made(*options, processor=LayoutProcessor(self.adapter))
        self.raw = RawRenderer(self.layout_only, self.adapter, store=store)

    def same(self, got: Any, want: Any) -> None:
        """Tokens, attributions, placeholders and payloads are those of the real processor."""
        assert got.token_ids == want.token_ids
        assert got.message_indices == want.message_indices
        assert got.sampled_mask == want.sampled_mask
        if want.multi_modal_data is None:
            assert not got.multi_modal_data.mm_items
            return
        assert places(got) == places(want)
        items = got.multi_modal_data.mm_items["image"]
        real = want.multi_modal_data.mm_items["image"]
        for item, said, (offset, length) in zip(items, real, places(want), strict=True):
            payload = item["payload"]
            known = self.kind.payload(said, length)
            assert {name: payload[name] for name in known} == known
            assert self.adapter.parse_payload(payload) == parse_item(item).payload
            pad = tiny.tokenizer().convert_tokens_to_ids(self.adapter.pad_token)
            assert got.token_ids[offset : offset + length] == [pad] * length
            assert pad not in (got.token_ids[offset - 1], *got.token_ids[offset + length :][:1])

    def completion(self, turn: list[dict[str, Any]]) -> list[int]:
        """The tokens of the assistant's answer before `turn`."""
        kind = self.kind
        text = kind.call if turn[0]["role"] == "tool" and kind.call else kind.answer
        return tiny.tokenizer().encode(text, add_special_tokens=False)


def places(rendered: Any) -> list[tuple[int, int]]:
    return [(p.offset, p.length) for p in rendered.multi_modal_data.mm_placeholders["image"]]


@st.composite
def parts(draw: st.DrawFn, pictures: list[Any], kind: Kind, images: bool = True) -> dict[str, Any]:
    if not images or draw(st.booleans()):
        return {"type": "text", "text": draw(st.text("a red <|>\n", max_size=8))}
    return SOURCES[draw(st.sampled_from(sorted(kind.sources)))](draw(st.sampled_from(pictures)))


@st.composite
def turns(draw: st.DrawFn, pictures: list[Any], kind: Kind) -> list[list[dict[str, Any]]]:
    """Conversations of several turns; in some the model calls a tool that answers with images."""
    content = st.lists(parts(pictures, kind), min_size=1, max_size=3)
    answers = st.lists(parts(pictures, kind, kind.tool_images), min_size=1, max_size=3)
    first = [{"role": "user", "content": draw(content)}]
    if draw(st.booleans()):
        first.insert(0, {"role": "system", "content": "you see images"})
    result = [first]
    for _ in range(draw(st.integers(0, 2))):
        role = draw(st.sampled_from(["user", "tool"]))
        message: dict[str, Any] = {"role": role, "content": draw(content)}
        if role == "tool":
            message = {"role": role, "content": draw(answers), "name": "screenshot"}
            message |= {"tool_call_id": "functions.screenshot:0"}
        result.append([message])
    return result


def answer(turn: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message before `turn`."""
    if turn[0]["role"] != "tool":
        return {"role": "assistant", "content": "the red square"}
    call = {"name": "screenshot", "arguments": {"zoom": 2}}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "functions.screenshot:0", "type": "function", "function": call}],
    }
