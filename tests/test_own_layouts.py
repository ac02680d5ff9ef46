"""Layout parameters in an image part: that image's own layout, or rejected by the part's path."""

from types import SimpleNamespace
from typing import Any

import pytest
from samples import PNG

from mmraw_protocol import MMRawError, get_adapter, pack_images, ref_messages
from mmraw_protocol.families.own_layout import with_parameters
from mmraw_protocol.integrations.layout_processor import LayoutProcessor
from mmraw_protocol.integrations.renderers import RawRenderer, sized_messages
from mmraw_protocol.materialize import Materializer
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire._generated.types import PlaceholderRange
from mmraw_protocol.wire.ref import parse_ref

QWEN: Any = get_adapter("qwen_vl")
SMALL = {"min_pixels": 3136, "max_pixels": 4096}
OWN = get_adapter("qwen_vl", SMALL)


def user(*parts: Any) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": list(parts)}]


def image(**more: Any) -> dict[str, Any]:
    """An image part."""
    return {"type": "image", "image": PNG, **more}


def test_an_image_has_the_layout_that_its_part_names() -> None:
    plain, own = pack_images(user(image(), image(**SMALL)), QWEN, storage="inline")
    assert own.item.layout_fingerprint == OWN.fingerprint() != plain.item.layout_fingerprint
    assert own.description == OWN.describe(PNG) != plain.description
    assert own.item.payload == OWN.describe(PNG).payload
    assert plain.item.layout_fingerprint == QWEN.fingerprint()


def test_refs_carry_the_layout_and_a_server_of_another_rejects_them() -> None:
    made = ref_messages(user(image(**SMALL)), QWEN, storage="inline", run_id="x")
    ref = made[0]["content"][0]["image"]
    assert parse_ref(ref).fingerprint == OWN.fingerprint()
    server = Materializer(adapters={"qwen_vl": QWEN}, cache_bytes=0)
    with pytest.raises(MMRawError, match="fingerprint_mismatch"):
        server.materialize(ref)
    assert Materializer(adapters={"qwen_vl": OWN}, cache_bytes=0).materialize(ref).width


def test_parameters_that_are_the_adapters_own_change_nothing() -> None:
    same = {"min_pixels": QWEN.config.min_pixels, "max_pixels": None}
    plain, own = pack_images(user(image(), image(**same)), QWEN, storage="inline")
    assert own.item == plain.item


def test_a_column_and_typed_parts_name_parameters_too() -> None:
    row = {"messages": [{"role": "user", "content": "<image>"}], "images": [image(**SMALL)]}
    typed = user(SimpleNamespace(**image(**SMALL)))
    for messages in (row, typed):
        (packed,) = pack_images(messages, QWEN, storage="inline")
        assert packed.item.layout_fingerprint == OWN.fingerprint()


def test_parameters_beside_the_url_count_too() -> None:
    url = pack_images(user(image()), QWEN, storage="inline")[0].item.raw_uri
    part = {"type": "image_url", "image_url": {"url": url, **SMALL}}
    (packed,) = pack_images(user(part), QWEN, storage="inline")
    assert packed.item.layout_fingerprint == OWN.fingerprint()
    part = {"type": "image_url", "image_url": {"url": url, "resized_height": 28}}
    with pytest.raises(MMRawError, match="unsupported_option") as caught:
        pack_images(user(part), QWEN, storage="inline")
    assert caught.value.path == "$[0].content[0]"


def test_slots_messages_and_rows_name_parameters_of_their_images() -> None:
    slot = {"type": "image", **SMALL}
    (message,) = user(image())
    tagged = {"role": "user", "content": "<image>", "images": [PNG]}
    for messages in (
        {"messages": user(slot), "images": [PNG]},
        [{**message, **SMALL}],
        [{**tagged, **SMALL}],
        {"messages": [message], **SMALL},
        {"messages": [tagged], **SMALL},
        {"prompt": [message], "completion": user(image()), **SMALL},
        {"messages": [{**message, **SMALL}], "min_pixels": 1, "max_pixels": 2},
        {"messages": user(slot), "images": [PNG], "max_pixels": 2},
    ):
        found = pack_images(messages, QWEN, storage="inline")
        assert {one.item.layout_fingerprint for one in found} == {OWN.fingerprint()}
    for messages in ([{**tagged, **SMALL}], {"messages": user(slot), "images": [PNG]}):
        (made,) = ref_messages(messages, QWEN, storage="inline", run_id="x")
        part = next(one for one in made["content"] if "image_url" in one)
        assert parse_ref(part["image_url"]["url"]).fingerprint == OWN.fingerprint()
    beside = [{**message, **SMALL}, message]
    _, plain = pack_images(beside, QWEN, storage="inline")
    assert plain.item.layout_fingerprint == QWEN.fingerprint(), "of another message"


@pytest.mark.parametrize("name", ["mm_processor_kwargs", "max_dynamic_patch", "min_dynamic_patch"])
def test_parameters_of_servers_are_rejected(name: str) -> None:
    kept = {name: {"max_pixels": 4096} if name.startswith("mm") else 4}
    for messages, path in (
        ({"messages": user(image()), **kept}, "$.messages[0].content[0]"),
        (user(image(**kept)), "$[0].content[0]"),
    ):
        with pytest.raises(MMRawError, match="unsupported_option") as caught:
            pack_images(messages, QWEN, storage="inline")
        assert caught.value.path == path
    assert pack_images({"messages": user("hi"), **kept}, QWEN, storage="inline") == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["min_pixels", "max_pixels", "resized_height", "resized_width"])
def test_what_a_family_has_not_is_rejected(family: str, name: str) -> None:
    adapter = get_adapter(family)
    call = lambda: pack_images(user(image(), image(**{name: 65536})), adapter, storage="inline")  # noqa: E731
    if name in FAMILIES[family].layout.__struct_fields__:
        assert len(call()) == 2
        return
    with pytest.raises(MMRawError) as caught:
        call()
    assert (caught.value.code, caught.value.path) == ("unsupported_option", "$[0].content[1]")
    assert name in caught.value.message


@pytest.mark.parametrize("value", ["3136", 3136.5, True, -1, 2**60])
def test_values_are_checked(value: Any) -> None:
    with pytest.raises(MMRawError) as caught:
        pack_images(user(image(max_pixels=value)), QWEN, storage="inline")
    assert (caught.value.code, caught.value.path) == ("invalid_config", "$[0].content[0]")


def test_placeholder_convention_and_line_stay() -> None:
    adapter: Any = get_adapter("qwen_vl", "qwen3_5")
    made: Any = with_parameters(adapter, SMALL)
    assert (made.line, made.placeholder) == ("qwen3_5", adapter.placeholder)
    assert made.config.patch_size == adapter.config.patch_size


class Inner:
    """A renderer that asks its processor for each picture's grid."""

    def __init__(self) -> None:
        self.processor = LayoutProcessor(QWEN)

    def render(self, messages: Any, **_: Any) -> Any:
        """One run of placeholder tokens for each picture."""
        parts = [part for message in messages for part in message["content"]]
        layouts = [self.processor.image_processor.layout(part) for part in parts]
        tokens: list[int] = []
        ranges: list[PlaceholderRange] = []
        for layout in layouts:
            ranges.append(PlaceholderRange(offset=len(tokens) + 1, length=layout.num_tokens))
            tokens += [1, *[9] * layout.num_tokens]
        items = [{"image_grid_thw": [list(layout.grid_thw)]} for layout in layouts]
        data = SimpleNamespace(
            mm_items={"image": items},
            mm_placeholders={"image": ranges},
            mm_hashes={"image": ["x"] * len(items)},
        )
        return SimpleNamespace(token_ids=tokens, multi_modal_data=data)


def test_a_renderer_lays_each_image_out_by_its_own_parameters() -> None:
    renderer = RawRenderer(Inner(), QWEN, storage="inline")
    data = renderer.render(user(image(), image(**SMALL))).multi_modal_data
    first, second = data.mm_items["image"]
    assert second["layout_fingerprint"] == OWN.fingerprint() != first["layout_fingerprint"]
    lengths = [place.length for place in data.mm_placeholders["image"]]
    assert lengths == [QWEN.describe(PNG).num_tokens, OWN.describe(PNG).num_tokens]


def test_one_picture_under_two_layouts_is_two_to_a_renderers_cache() -> None:
    first, second = sized_messages(user(image(), image(**SMALL)))[0]["content"]
    assert first["image"].tobytes() != second["image"].tobytes()
