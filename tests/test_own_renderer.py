"""A renderer of one's own: token ids and placeholders are all that raw items need."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from samples import PNG

from mmraw_protocol import MMRawError, MultiModalData, PlaceholderRange, build_features
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.renderers import RawRenderer, raw_data, sized_messages

ADAPTER = get_adapter("qwen_vl")
PAD = 9


@dataclass
class Rendered:
    """The result of a renderer."""

    token_ids: list[int]
    multi_modal_data: Any
    message_indices: list[int] = field(default_factory=list)


class ToyRenderer:
    """Bytes of the text, pads for the images of users, and nothing for those of assistants."""

    stop = 3

    def render(self, messages: list[Any]) -> Rendered:
        tokens: list[int] = []
        owners: list[int] = []
        places: list[PlaceholderRange] = []
        items: list[Any] = []
        for index, message in enumerate(messages):
            tokens.append(1)
            for image in find_images([message]) if message["role"] == "user" else ():
                layout = ADAPTER.layout(*image.source.size)
                place = PlaceholderRange(offset=len(tokens), length=layout.placeholder_length)
                places.append(place)
                items.append({"image_grid_thw": [list(layout.grid_thw)]})
                tokens += [PAD] * place.length
            owners += [index] * (len(tokens) - len(owners))
        data = MultiModalData(
            mm_hashes={"image": ["pixels"] * len(items)},
            mm_placeholders={"image": places},
            mm_items={"image": items},
        )
        return Rendered(tokens, data, owners)


def user(*images: bytes, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"type": "image", "image": image} for image in images]}


def rendered_of(messages: list[Any]) -> Rendered:
    return ToyRenderer().render(sized_messages(messages))


def refusal(rendered: Rendered, messages: list[Any], **options: Any) -> tuple[str, str]:
    with pytest.raises(MMRawError) as caught:
        raw_data(rendered, messages, ADAPTER, storage="inline", **options)
    return caught.value.code, caught.value.path


def test_it_becomes_a_renderer_of_raw_items() -> None:
    renderer = RawRenderer(ToyRenderer(), ADAPTER, storage="inline")
    rendered = renderer.render([user(PNG, PNG)])
    assert isinstance(rendered, Rendered)
    assert renderer.stop == 3, "everything else is the inner renderer's"
    body = build_features(rendered.multi_modal_data, run_id="x")
    length = ADAPTER.layout(101, 67).placeholder_length
    assert [p["offset"] for p in body["mm_placeholders"]["image"]] == [1, 1 + length]
    assert len(set(body["mm_hashes"]["image"])) == 1


def test_a_text_conversation_has_no_images() -> None:
    rendered = Rendered([1, 2], None)
    data = raw_data(rendered, [{"role": "user", "content": "x"}], ADAPTER, storage="inline")
    assert build_features(data) == {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}


def test_images_that_the_renderer_left_out_are_named() -> None:
    messages = [user(PNG), user(PNG, role="assistant"), user(PNG)]
    rendered = rendered_of(messages)
    assert refusal(rendered, messages) == ("missing_slot", "$[1].content[0]")
    data = raw_data(rendered, messages, ADAPTER, storage="inline", allow_dropped=True)
    assert len(data.mm_items["image"]) == 2


def test_images_that_cannot_be_told_apart_are_refused() -> None:
    messages = [user(PNG), user(PNG, role="assistant")]
    rendered = rendered_of(messages)
    rendered.message_indices = []
    assert refusal(rendered, messages, allow_dropped=True)[0] == "lengths_differ"
    assert refusal(rendered_of([user(PNG, PNG)]), [user(PNG)])[0] == "lengths_differ"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.token_ids.__setitem__(3, 8), "span_mismatch"),
        (lambda r: r.token_ids.__delitem__(slice(5, None)), "placeholder_invalid"),
        (lambda r: r.multi_modal_data.mm_placeholders["image"].reverse(), "placeholder_invalid"),
        (lambda r: r.multi_modal_data.mm_hashes["image"].pop(), "lengths_differ"),
        (lambda r: r.multi_modal_data.mm_items["image"].__setitem__(1, None), "grid_mismatch"),
        (lambda r: r.multi_modal_data.mm_items.update(video=[]), "modality_mismatch"),
    ],
)
def test_a_renderers_mistakes_are_told(change: Any, code: str) -> None:
    messages = [user(PNG, PNG)]
    rendered = rendered_of(messages)
    change(rendered)
    assert refusal(rendered, messages)[0] == code


def test_a_placeholder_of_another_convention_is_told() -> None:
    messages = [user(PNG)]
    rendered = rendered_of(messages)
    rendered.multi_modal_data.mm_placeholders["image"][0] = PlaceholderRange(offset=1, length=1)
    assert refusal(rendered, messages)[0] == "placeholder_mismatch"
