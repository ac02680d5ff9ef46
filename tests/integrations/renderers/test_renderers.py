"""The released renderers, unmodified, with a processor that computes layouts only.

Each law compares with the same renderer under the real image processor of Transformers.
"""

import base64
import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import processors
import pytest
import renderers
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmraw_protocol import MMRawError, build_features, parse_features
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import (
    LayoutProcessor,
    RawRenderer,
    SizedImage,
    raw_data,
    sized_messages,
)
from mmraw_protocol.materialize import Materializer
from mmraw_protocol.stores import LocalStore

# The renderers leave the files of paths open to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

QWEN3, QWEN35, KIMI = "Qwen3VLRenderer", "Qwen35Renderer", "KimiK25Renderer"
CONFIGS = {
    QWEN3: renderers.Qwen3VLRendererConfig,
    QWEN35: renderers.Qwen35RendererConfig,
    KIMI: renderers.KimiK25RendererConfig,
}
TOOLS = [
    {
        "name": "screenshot",
        "description": "what the screen shows",
        "parameters": {"type": "object", "properties": {"zoom": {"type": "integer"}}},
    }
]
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Pair:
    """One renderer twice: under the real processor, and under the layout-only one."""

    def __init__(self, name: str, store: LocalStore, **config: Any) -> None:
        kind = getattr(renderers, name)
        real = processors.RemoteKimi() if name == KIMI else processors.qwen()
        self.adapter = get_adapter("kimi_k25" if name == KIMI else "qwen_vl")
        options = (tiny.tokenizer(), CONFIGS[name](**config))
        self.real = kind(*options, processor=processors.processor_of(real))
        self.layout_only = kind(*options, processor=LayoutProcessor(self.adapter))
        self.raw = RawRenderer(self.layout_only, self.adapter, store=store)
        self.grid_key = "grid_thws" if name == KIMI else "image_grid_thw"

    def same(self, got: Any, want: Any) -> None:
        """Tokens, attributions, placeholders and grids are those of the real processor."""
        assert got.token_ids == want.token_ids
        assert got.message_indices == want.message_indices
        assert got.sampled_mask == want.sampled_mask
        if want.multi_modal_data is None:
            assert not got.multi_modal_data.mm_items
            return
        assert places(got) == places(want)
        grids = [self.adapter.grid_thw(i.payload) for i in got.multi_modal_data.mm_items["image"]]
        real = want.multi_modal_data.mm_items["image"]
        assert grids == [tuple(int(side) for side in item[self.grid_key][0]) for item in real]


def places(rendered: Any) -> list[tuple[int, int]]:
    return [(p.offset, p.length) for p in rendered.multi_modal_data.mm_placeholders["image"]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("run") / "assets" / "images")


@pytest.fixture(scope="module", params=[QWEN3, QWEN35, KIMI])
def pair(request: pytest.FixtureRequest, store: LocalStore) -> Pair:
    return Pair(request.param, store)


def data_url(picture: Any) -> str:
    kind = {"jpg": "jpeg"}.get(picture.name.rsplit(".")[-1], picture.name.rsplit(".")[-1])
    return f"data:image/{kind};base64,{base64.b64encode(picture.data).decode()}"


#: Every source that both the renderers and this package read, in the spellings that both read.
SOURCES = {
    "bytes": lambda p: {"type": "image", "image": p.data},
    "path": lambda p: {"type": "image", "path": str(p.path)},
    "image as path": lambda p: {"image": str(p.path)},
    "data URL": lambda p: {"type": "image_url", "image_url": {"url": data_url(p)}},
    "flat data URL": lambda p: {"type": "image_url", "image_url": data_url(p)},
    "PIL": lambda p: {"type": "image", "image": p.open()},
}


@st.composite
def parts(draw: st.DrawFn, pictures: list[Any]) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"type": "text", "text": draw(st.text("a red <|>\n", max_size=8))}
    return SOURCES[draw(st.sampled_from(sorted(SOURCES)))](draw(st.sampled_from(pictures)))


@st.composite
def turns(draw: st.DrawFn, pictures: list[Any]) -> list[list[dict[str, Any]]]:
    """Conversations of several turns; in some the model calls a tool that answers with images."""
    content = st.lists(parts(pictures), min_size=1, max_size=3)
    first = [{"role": "user", "content": draw(content)}]
    if draw(st.booleans()):
        first.insert(0, {"role": "system", "content": "you see images"})
    result = [first]
    for _ in range(draw(st.integers(0, 2))):
        role = draw(st.sampled_from(["user", "tool"]))
        message: dict[str, Any] = {"role": role, "content": draw(content)}
        if role == "tool":
            message |= {"tool_call_id": "functions.screenshot:0", "name": "screenshot"}
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


@given(data=st.data(), tools=st.sampled_from([None, TOOLS]))
@SETTINGS
def test_whole_conversations_render_as_under_the_real_processor(
    pair: Pair, pictures: list[Any], data: st.DataObject, tools: Any
) -> None:
    conversation: list[dict[str, Any]] = []
    for turn in data.draw(turns(pictures)):
        if conversation:
            conversation.append(answer(turn))
        conversation += turn
        options = {"tools": tools, "add_generation_prompt": True}
        want = pair.real.render(conversation, **options)
        got = pair.raw.render(conversation, **options)
        pair.same(got, want)
        # The stand-in alone, without the rest, gives the same prompt too.
        alone = pair.layout_only.render(conversation, **options)
        assert alone.token_ids == want.token_ids
        assert pair.raw.render_ids(conversation, **options) == want.token_ids
        body = build_features(got.multi_modal_data, run_id="x")
        assert len(list(parse_features(body).slots())) == len(
            places(want) if body["mm_hashes"] else []
        )


@pytest.mark.parametrize("name", [QWEN3, QWEN35, KIMI])
@given(data=st.data())
@SETTINGS
def test_bridged_conversations_carry_the_images_of_all_turns(
    name: str, store: LocalStore, pictures: list[Any], data: st.DataObject
) -> None:
    pair = Pair(name, store, thinking_retention="all")
    first, *later = data.draw(turns(pictures))
    want = pair.real.render(first, tools=TOOLS, add_generation_prompt=True)
    got = pair.raw.render(first, tools=TOOLS, add_generation_prompt=True)
    pair.same(got, want)
    end = "</think>the red square<|im_end|>" if name != QWEN3 else "the red square<|im_end|>"
    completion = tiny.tokenizer().encode(end, add_special_tokens=False)
    for turn in later:
        before = copy.deepcopy(got.multi_modal_data)
        want = pair.real.bridge_to_next_turn(
            want.token_ids, completion, turn, previous_multi_modal_data=want.multi_modal_data
        )
        got = pair.raw.bridge_to_next_turn(
            got.token_ids, completion, turn, previous_multi_modal_data=got.multi_modal_data
        )
        assert want is not None, "these turns bridge"
        pair.same(got, want)
        # Earlier images keep their slots, item by item; none is ever None.
        for name_of in ("mm_hashes", "mm_items", "mm_placeholders"):
            earlier = getattr(before, name_of).get("image", [])
            assert (
                getattr(got.multi_modal_data, name_of).get("image", [])[: len(earlier)] == earlier
            )


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_hashes_are_those_of_the_bytes(
    pair: Pair, pictures: list[Any], source: str, store: LocalStore
) -> None:
    messages = [{"role": "user", "content": [SOURCES[source](p) for p in pictures]}]
    before = copy.copy(messages[0]["content"])
    rendered = pair.raw.render(messages)
    assert messages[0]["content"] == before
    hashes = rendered.multi_modal_data.mm_hashes["image"]
    if source != "PIL":
        assert hashes == [picture.mm_hash for picture in pictures]
    assert len(set(hashes)) == len(pictures)
    # And the refs materialize: the server sees the pixels that the renderer was given.
    body = build_features(rendered.multi_modal_data, run_id="x")
    materializer = Materializer(store)
    for slot, picture in zip(parse_features(body).slots(), pictures, strict=True):
        image = materializer.materialize(
            slot.ref, mm_hash=slot.mm_hash, placeholder_length=slot.placeholder.length
        )
        assert image.rgb == picture.open().convert("RGB").tobytes()


def test_file_urls_are_read_with_their_escapes(pair: Pair, pictures: list[Any]) -> None:
    """The renderers open the path as it is written in the URL; a space in a name needs %20."""
    picture = pictures[4]
    part = {"type": "image_url", "image_url": {"url": picture.path.as_uri()}}
    assert "%20" in part["image_url"]["url"]
    plain = {"type": "image", "path": str(picture.path)}
    want = pair.real.render([{"role": "user", "content": [plain]}])
    pair.same(pair.raw.render([{"role": "user", "content": [part]}]), want)


def test_not_one_pixel_is_decoded(pair: Pair, pictures: list[Any]) -> None:
    """A picture whose pixels are cut off renders all the same; the real way it does not."""
    cut = pictures[4].data[:1200]
    messages = [{"role": "user", "content": [{"type": "image", "image": cut}]}]
    assert pair.raw.render(messages).multi_modal_data.mm_items["image"]
    with pytest.raises(OSError, match="truncated"):
        pair.real.render(messages)


def test_neither_torch_nor_an_image_processor_is_imported() -> None:
    program = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
import base64, io, renderers, tiny
from PIL import Image
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import LayoutProcessor, RawRenderer
buffer = io.BytesIO()
Image.new("RGB", (300, 200)).save(buffer, format="PNG")
messages = [{"role": "user", "content": [{"type": "image", "image": buffer.getvalue()}]}]
for name in ("Qwen3VLRenderer", "Qwen35Renderer", "KimiK25Renderer"):
    adapter = get_adapter("kimi_k25" if "Kimi" in name else "qwen_vl")
    renderer = getattr(renderers, name)(tiny.tokenizer(), processor=LayoutProcessor(adapter))
    rendered = RawRenderer(renderer, adapter, storage="inline").render(messages)
    print(len(rendered.multi_modal_data.mm_items["image"]))
print([name for name in sys.modules if name.startswith("transformers.models.") and "image" in name])
"""
    folder = Path(__file__).parent.parent
    environment = {"PYTHONPATH": f"{folder}:{folder.parent.parent}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == ["1", "1", "1", "[]", ""]


def test_an_assistants_image_is_not_lost_silently(pair: Pair, pictures: list[Any]) -> None:
    shown, hidden = pictures[4], pictures[5]
    messages = [
        {"role": "user", "content": [{"type": "image", "image": shown.data}]},
        {"role": "assistant", "content": [{"type": "image", "image": hidden.data}]},
        {"role": "user", "content": [{"type": "image", "image": hidden.data}]},
    ]
    with pytest.raises(MMRawError) as caught:
        pair.raw.render(messages)
    assert (caught.value.code, caught.value.path) == ("missing_slot", "$[1].content[0]")
    rendered = pair.real.render(messages)
    data = raw_data(rendered, messages, pair.adapter, storage="inline", allow_dropped=True)
    assert data.mm_hashes["image"] == [shown.mm_hash, hidden.mm_hash]


def test_the_converter_takes_what_the_real_processor_gave(pair: Pair, pictures: list[Any]) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": pictures[4].data}]}]
    rendered = pair.real.render(messages)
    data = raw_data(rendered, messages, pair.adapter, storage="inline")
    assert data.mm_hashes["image"] == [pictures[4].mm_hash]
    other = {"qwen_vl": {"max_pixels": 66000}, "kimi_k25": {"in_patch_limit": 20}}
    wrong = get_adapter(pair.adapter.family, other[pair.adapter.family])
    with pytest.raises(MMRawError) as caught:
        raw_data(rendered, messages, wrong, storage="inline")
    assert caught.value.code == "grid_mismatch"


def test_kimis_one_pad_becomes_one_for_each_token(store: LocalStore, pictures: list[Any]) -> None:
    """As stock vLLM wants it; every token keeps its attributions, and earlier turns stay."""
    single = Pair(KIMI, store, thinking_retention="all")
    adapter = get_adapter("kimi_k25", placeholder="expanded")
    raw = RawRenderer(single.layout_only, adapter, store=store)
    parts = [{"type": "image", "image": p.data} for p in pictures[4:7]]
    messages = [{"role": "user", "content": [parts[0], {"type": "text", "text": "a"}, parts[1]]}]
    lengths = [adapter.layout(*p.open().size).placeholder_length for p in pictures[4:7]]
    assert min(lengths) > 1
    before, after = single.raw.render(messages), raw.render(messages)
    assert raw.render_ids(messages) == after.token_ids
    assert [length for _, length in places(after)] == lengths[:2]
    pad = tiny.tokenizer().convert_tokens_to_ids("<|media_pad|>")
    rows = zip(after.token_ids, after.message_indices, after.sampled_mask, strict=True)
    kept = zip(before.token_ids, before.message_indices, before.sampled_mask, strict=True)
    assert [row for row in rows if row[0] != pad] == [row for row in kept if row[0] != pad]
    assert after.token_ids.count(pad) == sum(lengths[:2])

    completion = tiny.tokenizer().encode("</think>a<|im_end|>", add_special_tokens=False)
    turn = [{"role": "user", "content": [parts[2]]}]
    bridged = raw.bridge_to_next_turn(
        after.token_ids, completion, turn, previous_multi_modal_data=after.multi_modal_data
    )
    assert places(bridged)[:2] == places(after)
    assert bridged.token_ids[: len(after.token_ids)] == after.token_ids
    assert [length for _, length in places(bridged)] == lengths
    body = build_features(bridged.multi_modal_data, run_id="x")
    materializer = Materializer(store, adapters={"kimi_k25": adapter})
    for slot in parse_features(body).slots():
        materializer.materialize(slot.ref, placeholder_length=slot.placeholder.length)


def test_nothing_is_fetched(pair: Pair) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}
    with pytest.raises(MMRawError) as caught:
        pair.raw.render([{"role": "user", "content": [part]}])
    assert caught.value.code == "source_unsupported"


def test_what_arrow_fills_in_is_no_image(pair: Pair, pictures: list[Any]) -> None:
    """The renderer itself stumbles over `image: None` beside a URL; a sized message never does."""
    url = {"url": data_url(pictures[4])}
    part = {"type": "image_url", "image": None, "image_url": url, "text": None}
    text = {"type": "text", "image": None, "image_url": None, "text": "hello"}
    messages = [{"role": "user", "content": [text, part]}]
    rendered = pair.raw.render(messages)
    assert rendered.multi_modal_data.mm_hashes["image"] == [pictures[4].mm_hash]
    with pytest.raises(TypeError):
        pair.real.render(messages)


def test_a_sized_image_says_that_it_has_no_pixels(pictures: list[Any]) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": pictures[4].data}]}]
    image = sized_messages(messages)[0]["content"][0]["image"]
    assert isinstance(image, SizedImage)
    assert isinstance(image, Image.Image)
    assert image.size == (image.width, image.height) == (320, 240)
    with pytest.raises(MMRawError) as caught:
        image.resize((10, 10))
    assert caught.value.code == "unsupported_option"
