"""The released renderers, unmodified, with a processor that computes layouts only.

Each law compares with the same renderer under the real image processor of Transformers.
"""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import KINDS, SOURCES, TOOLS, Pair, answer, data_url, places, turns
from PIL import Image

from mmraw_protocol import MMRawError, build_features, parse_features
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import (
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

KIMI = "KimiK25Renderer"
#: Layout parameters that the real processors do not have.
OTHER = {
    "qwen_vl": {"max_pixels": 66000},
    "kimi_k25": {"in_patch_limit": 20},
    "gemma4": {"max_soft_tokens": 70},
    "nemotron_h_omni": {"min_num_patches": 256},
    "inkling": {"patch": 20},
}
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("run") / "assets" / "images")


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, store: LocalStore) -> Pair:
    return Pair(request.param, store)


@given(data=st.data(), tools=st.sampled_from([None, TOOLS]))
@SETTINGS
def test_whole_conversations_render_as_under_the_real_processor(
    pair: Pair, pictures: list[Any], data: st.DataObject, tools: Any
) -> None:
    conversation: list[dict[str, Any]] = []
    for turn in data.draw(turns(pictures, pair.kind)):
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


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.bridges])
@given(data=st.data())
@SETTINGS
def test_bridged_conversations_carry_the_images_of_all_turns(
    name: str, store: LocalStore, pictures: list[Any], data: st.DataObject
) -> None:
    pair = Pair(name, store, thinking_retention="all")
    first, *later = data.draw(turns(pictures, pair.kind))
    want = pair.real.render(first, tools=TOOLS, add_generation_prompt=True)
    got = pair.raw.render(first, tools=TOOLS, add_generation_prompt=True)
    pair.same(got, want)
    for turn in later:
        completion = pair.completion(turn)
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
    source = "path" if "path" in pair.kind.sources else "bytes"
    plain = SOURCES[source](picture)
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
    names = {name: kind.family for name, kind in KINDS.items()}
    program = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
import base64, io, json, renderers, tiny
from PIL import Image
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import LayoutProcessor, RawRenderer
buffer = io.BytesIO()
Image.new("RGB", (300, 200)).save(buffer, format="PNG")
messages = [{"role": "user", "content": [{"type": "image", "image": buffer.getvalue()}]}]
for name, family in json.loads(sys.argv[1]).items():
    adapter = get_adapter(family)
    renderer = getattr(renderers, name)(tiny.tokenizer(), processor=LayoutProcessor(adapter))
    rendered = RawRenderer(renderer, adapter, storage="inline").render(messages)
    print(len(rendered.multi_modal_data.mm_items["image"]))
print([name for name in sys.modules if name.startswith("transformers.models.") and "image" in name])
"""
    folder = Path(__file__).parent.parent
    environment = {"PYTHONPATH": f"{folder}:{folder.parent.parent}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program, json.dumps(names)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == [*["1"] * len(names), "[]", ""]


def test_an_assistants_image_is_not_lost_silently(pair: Pair, pictures: list[Any]) -> None:
    shown, hidden = pictures[4], pictures[5]
    messages = [
        {"role": "user", "content": [{"type": "image", "image": shown.data}]},
        {"role": "assistant", "content": [{"type": "image", "image": hidden.data}]},
        {"role": "user", "content": [{"type": "image", "image": hidden.data}]},
    ]
    if pair.kind.assistant_images:
        data = pair.raw.render(messages).multi_modal_data
        assert data.mm_hashes["image"] == [shown.mm_hash, hidden.mm_hash, hidden.mm_hash]
        return
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
    wrong = get_adapter(pair.adapter.family, OTHER[pair.adapter.family])
    with pytest.raises(MMRawError) as caught:
        raw_data(rendered, messages, wrong, storage="inline")
    # Inkling's item is pixels alone: the count of tokens is all that it tells.
    counted = pair.adapter.family == "inkling"
    assert caught.value.code == ("placeholder_mismatch" if counted else "grid_mismatch")


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
