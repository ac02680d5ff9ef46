"""Turns what a renderer returned into raw items, and prepares the messages that it gets.

What is needed of a result is `token_ids`, `multi_modal_data` and, where a template drops images,
`message_indices`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..conversation.found import Conversation
from ..conversation.messages import (
    PackedImage,
    changed,
    open_image_part,
    own_adapter,
    pack_images,
)
from ..conversation.placeholders import check_placeholders
from ..conversation.reading import read_conversation
from ..families import Adapter, Layout, grid_key
from ..families.readings import answers_of, differs
from ..images.preparing import Alpha, Orientation, Preparation, prepare
from ..stores.base import Storage
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError
from ..wire.features import MultiModalData
from ..wire.item import KIND, RawMMItem
from ..wire.modality import check_maps
from .layout_processor import SizedImage

__all__ = ["attach", "expand_pads", "raw_data", "sized_messages", "with_images"]


def sized_messages(
    messages: Any,
    *,
    limits: Limits = DEFAULT_LIMITS,
    store: Any = None,
    run_id: str | None = None,
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
) -> list[Any]:
    """The messages with a `SizedImage` in place of every picture; `messages` is never changed.

    Every spelling and every source of an image becomes `{"type": "image", "image": …}`, which
    every renderer understands; http(s) is refused and never fetched. Stored refs, and URLs of the
    store's own, are read through `store`. `orientation` and `alpha` are those that the images are
    packed with, since a turned picture has another size.

    Raises:
        MMRawError: what reading an image's bytes or header raises, with the part's path.
    """
    conversation = read_conversation(messages)
    preparation = Preparation(orientation=orientation, alpha=alpha)
    sized: list[SizedImage] = []
    for image in conversation.images:
        source = open_image_part(image, limits, store, run_id)
        source, _ = prepare(source, preparation, image.path)
        sized.append(SizedImage(source, image.layout_parameters))
    return with_images(conversation, sized)


def with_images(conversation: Conversation, images: Sequence[Any]) -> list[Any]:
    """The messages with `images` in place of theirs, in order, as every renderer takes them."""
    parts = [
        {"type": "image", "image": image, **found.layout_parameters}
        for found, image in zip(conversation.images, images, strict=True)
    ]
    return conversation.with_images(parts)


def raw_data(
    rendered: Any,
    messages: Sequence[Any],
    adapter: Adapter,
    *,
    storage: Storage = "offload",
    store: Any = None,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    allow_dropped: bool = False,
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
) -> MultiModalData:
    """Raw items, byte hashes and placeholders for what a renderer returned.

    The items are envelopes as JSON objects: the released renderers' type holds dicts, and rollouts
    are written as JSON.

    Args:
        rendered: A renderer's result: `token_ids`, `multi_modal_data` (mm_placeholders, mm_items),
            and `message_indices` where some images are not in the prompt.
        messages: What was rendered, with its images: the whole conversation; or, where the items
            of earlier turns are raw already (as after a bridge), the new messages alone.
        adapter: The family and its configuration; every grid and length is compared with it.
        storage: `offload` puts the bytes into `store`; `inline` keeps them in raw_uri.
        store: Where to; needed for `offload`.
        run_id: The run, where the store holds several.
        limits: Of images and grids.
        allow_dropped: Whether images may be left out that the renderer gave no placeholder, as
            templates do with the images of assistant messages.
        orientation: As for `pack_images`.
        alpha: As for `pack_images`.

    Raises:
        MMRawError: missing_slot (an image without placeholder), lengths_differ, grid_mismatch,
            placeholder_mismatch, placeholder_invalid, span_mismatch, modality_unsupported (the
            renderer returned a video or audio), and what `pack_images` raises.
    """
    packed = pack_images(
        messages,
        adapter,
        storage=storage,
        store=store,
        run_id=run_id,
        limits=limits,
        orientation=orientation,
        alpha=alpha,
    )
    return attach(rendered, packed, adapter, limits=limits, allow_dropped=allow_dropped)


def attach(
    rendered: Any,
    packed: Sequence[PackedImage],
    adapter: Adapter,
    *,
    limits: Limits = DEFAULT_LIMITS,
    allow_dropped: bool = False,
) -> MultiModalData:
    """`raw_data` for images that were packed already."""
    data = rendered.multi_modal_data
    items, ranges, hashes = _slots(data)
    tokens: Sequence[int] = rendered.token_ids
    check_placeholders(tokens, ranges)
    fresh = [index for index, item in enumerate(items) if not _is_raw(item)]
    images = _in_prompt(rendered, packed, [ranges[index] for index in fresh], allow_dropped)
    for index, image in zip(fresh, images, strict=True):
        described = image.description
        own = own_adapter(adapter, image.where)
        layout = own.layout(described.width, described.height, limits=limits)
        _compare(items[index], ranges[index], layout, adapter.family, index)
        items[index], hashes[index] = image.item, image.mm_hash
    if not items:
        return MultiModalData()
    documents = [item.to_dict() if isinstance(item, RawMMItem) else item for item in items]
    return MultiModalData(
        mm_hashes={"image": hashes},
        mm_placeholders={"image": ranges},
        mm_items={"image": documents},
    )


def _slots(data: Any) -> tuple[list[Any], list[PlaceholderRange], list[str]]:
    """Items, placeholders and hashes of a renderer's data, copied; empty where there is none."""
    if data is None:
        return [], [], []
    check_maps({name: getattr(data, name) for name in ("mm_items", "mm_hashes", "mm_placeholders")})
    names = {name for mapping in (data.mm_items, data.mm_placeholders) for name in mapping}
    if names - {"image"}:
        message = "expected images alone, got another modality from the renderer"
        raise MMRawError("modality_mismatch", message)
    items = list(data.mm_items.get("image", ()))
    ranges = [
        PlaceholderRange(offset=int(place.offset), length=int(place.length))
        for place in data.mm_placeholders.get("image", ())
    ]
    hashes = list(data.mm_hashes.get("image", ()))
    if not len(items) == len(ranges) == len(hashes):
        counts = f"{len(items)}, {len(hashes)}, {len(ranges)}"
        message = f"expected as many mm_items, mm_hashes and mm_placeholders, got {counts}"
        raise MMRawError("lengths_differ", message, "$.mm_items.image")
    return items, ranges, hashes


def _is_raw(item: Any) -> bool:
    if isinstance(item, RawMMItem):
        return True
    return isinstance(item, Mapping) and cast("Mapping[str, Any]", item).get("kind") == KIND


def _in_prompt(
    rendered: Any,
    packed: Sequence[PackedImage],
    places: Sequence[PlaceholderRange],
    allow_dropped: bool,
) -> list[PackedImage]:
    """The images that have a placeholder, in order."""
    if len(packed) == len(places):
        return list(packed)
    if len(places) > len(packed):
        message = (
            f"expected one image for each placeholder, got {len(packed)} for {len(places)}; "
            "pass all messages that were rendered"
        )
        raise MMRawError("lengths_differ", message, "$.mm_placeholders.image")
    # Templates leave out the images of a whole message, never one of several.
    indices: Sequence[int] = getattr(rendered, "message_indices", ())
    owners = [indices[place.offset] for place in places if place.offset < len(indices)]
    shown = [image for image in packed if image.where.message_index in owners]
    if [image.where.message_index for image in shown] != owners or len(owners) != len(places):
        message = (
            f"expected one placeholder for each image, got {len(places)} for {len(packed)}; "
            "which images were left out is unknown"
        )
        raise MMRawError("lengths_differ", message, "$.mm_placeholders.image")
    if not allow_dropped:
        lost = next(image for image in packed if image not in shown)
        message = "the renderer gave this image no placeholder (allow_dropped=True leaves it out)"
        raise MMRawError("missing_slot", message, lost.where.path)
    return shown


def _compare(item: Any, place: PlaceholderRange, layout: Layout, family: str, index: int) -> None:
    """Check the renderer's grid and length against the image's layout."""
    if item is None or differs(item, answers_of(family), layout):
        message = "expected the grid that the adapter computes, got another from the renderer"
        raise MMRawError("grid_mismatch", message, f"$.mm_items.image[{index}]")
    if place.length != layout.placeholder_length:
        message = f"expected {layout.placeholder_length} placeholder tokens, got {place.length}"
        path = f"$.mm_placeholders.image[{index}]"
        raise MMRawError("placeholder_mismatch", message, path)


#: Fields of a renderer's result with one entry for each token.
_PER_TOKEN = ("token_ids", "message_indices", "sampled_mask", "is_content")


def expand_pads(rendered: Any, adapter: Adapter) -> Any:
    """The renderer's result, with one pad for each token even if it wrote one per image.

    Kimi's renderer writes one; stock vLLM wants one for each token (the convention `expanded`). The
    images of earlier turns, which are raw items already, stay as they are. `rendered` is kept.
    """
    items, ranges, hashes = _slots(rendered.multi_modal_data)
    counts = [
        1 if _is_raw(item) or place.length > 1 else _pads(item, adapter)
        for item, place in zip(items, ranges, strict=True)
    ]
    if all(count == 1 for count in counts):
        return rendered
    places = list(zip(ranges, counts, strict=True))
    changes: dict[str, Any] = {}
    for name in _PER_TOKEN:
        row = getattr(rendered, name, None)
        if row:
            changes[name] = _repeated(row, places)
    moved: list[PlaceholderRange] = []
    added = 0
    for place, count in places:
        length = place.length if count == 1 else count
        moved.append(PlaceholderRange(offset=place.offset + added, length=length))
        added += length - place.length
    changes["multi_modal_data"] = MultiModalData(
        mm_hashes={"image": hashes}, mm_placeholders={"image": moved}, mm_items={"image": items}
    )
    return changed(rendered, changes)


def _pads(item: Mapping[str, Any], adapter: Adapter) -> int:
    key = grid_key(adapter.family)
    grid = [[int(side) for side in row] for row in item[key]]
    return adapter.placeholder_length(adapter.parse_payload({key: grid}))


def _repeated(row: Sequence[Any], places: Sequence[tuple[PlaceholderRange, int]]) -> list[Any]:
    """The row with the element at each place's offset repeated."""
    result: list[Any] = []
    done = 0
    for place, count in places:
        result += row[done : place.offset]
        result += [row[place.offset]] * (count - 1)
        done = place.offset
    return result + list(row[done:])
