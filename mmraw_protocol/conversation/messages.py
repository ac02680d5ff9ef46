"""Images in chat messages: find them, put them into a store, take them back inline.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..families import Adapter, ImageDescription
from ..images import ImageSource
from ..stores import AssetStore
from ..stores.base import Storage
from ..stores.urls import StoredImage
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.base64 import encode_base64
from ..wire.errors import MMRawError
from ..wire.features import MultiModalData, PlaceholderRange
from ..wire.item import RawMMItem, make_item
from ..wire.ref import PREFIX
from .parts import (
    MessageImage,
    field_of,
    find_images,
    image_source,
    is_container,
    is_image_part,
    open_image_part,
    stored_source,
)

__all__ = [
    "MessageImage",
    "PackedImage",
    "find_images",
    "image_source",
    "inline_messages",
    "is_image_part",
    "mm_data",
    "offload_messages",
    "pack_images",
]


class PackedImage(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """An image of a conversation, ready for features.

    Attributes:
        where: The part it came from.
        item: The envelope.
        description: Size, hash and layout.
        data: The encoded bytes.
    """

    where: MessageImage
    item: RawMMItem
    description: ImageDescription
    data: bytes

    def _shown(self) -> Mapping[str, object]:
        size = f"{self.description.width}x{self.description.height}"
        path, sha256 = self.where.path, self.description.sha256
        return {"path": path, "size": size, "sha256": sha256, "data": self.data}

    def __hash__(self) -> int:
        return hash((self.where, self.description))

    @property
    def mm_hash(self) -> str:
        """The hash that goes beside the ref."""
        return self.description.mm_hash


def offload_messages(
    messages: Sequence[Any],
    store: AssetStore,
    *,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Any]:
    """The messages with every image stored and its part rewritten to the store's URL.

    An image that carries such a URL or a ref already is read and verified, and stays where it is.
    All images are read and stored before anything is rewritten; `messages` is never changed, and
    parts keep their kind (dict, dataclass, pydantic model, msgspec struct, plain object).

    Raises:
        MMRawError: what reading an image or storing it raises, with the part's path.
    """

    def url_of(image: MessageImage) -> str:
        source = open_image_part(image, limits, store, run_id)
        _ = source.header
        found = stored_source(store, image.source, run_id)
        if found is not None:
            return store.url(found.raw_image_id, run_id=found.run_id)
        return store.url(_stored(store, source.data, run_id, image.path), run_id=run_id)

    return _rewrite(messages, url_of)


def _stored(store: AssetStore, data: bytes, run_id: str | None, path: str) -> str:
    failed: MMRawError | None = None
    try:
        return store.put(data, run_id=run_id)
    except MMRawError as error:
        failed = error
    raise failed.at(path)


def inline_messages(
    messages: Sequence[Any],
    *,
    store: AssetStore | None = None,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Any]:
    """The messages with every image as a data: URL; `messages` is never changed.

    Args:
        messages: The conversation.
        store: Where images were offloaded to. Its URLs are read through it, which an object store's
            need; file: URLs are read without it, too.
        run_id: The run, where the store holds several; None looks at what the URL says.
        limits: Of images.

    Raises:
        MMRawError: what reading an image raises, with the part's path.
    """
    return _rewrite(messages, lambda image: data_url(open_image_part(image, limits, store, run_id)))


def data_url(source: ImageSource) -> str:
    """An image as `data:image/<format>;base64,…`."""
    return f"data:image/{source.header.format};base64,{encode_base64(source.data)}"


def _rewrite(messages: Sequence[Any], url_of: Callable[[MessageImage], str]) -> list[Any]:
    images = find_images(messages)
    urls = [url_of(image) for image in images]
    parts = [with_url(image.part, url) for image, url in zip(images, urls, strict=True)]
    return replace_parts(messages, parts)


def replace_parts(messages: Sequence[Any], parts: Sequence[Any]) -> list[Any]:
    """The messages with `parts` in place of their image parts, in order; `messages` is kept."""
    result = list(messages)
    for image, part in zip(find_images(messages), parts, strict=True):
        message = result[image.message_index]
        content = list(cast("Sequence[Any]", field_of(message, "content")))
        content[image.part_index] = part
        result[image.message_index] = changed(message, {"content": content})
    return result


def with_url(part: Any, url: str) -> Any:
    """The part with a URL for its source, at the key where it stood.

    A mapping whose source stood where others read no URL has it where they do: under `image_url`
    of that type, else under `image`.
    """
    for name in ("image", "image_url", "url", "path"):
        value = field_of(part, name)
        if value is None:
            continue
        if name == "image_url" and is_container(value) and not isinstance(value, str):
            return changed(part, {name: changed(value, {"url": url})})
        if isinstance(part, Mapping) and url.startswith(PREFIX) and name in ("image", "path"):
            return {**cast("Mapping[str, Any]", part), name: None} | _at_read_key(part, url)
        # A path that became a URL moves to the key that is read as one.
        if name == "path" and url.startswith("data:"):
            return changed(part, {"path": None, "image": url})
        return changed(part, {name: url})
    return part


def _at_read_key(part: Any, url: str) -> dict[str, Any]:
    return {"image_url": {"url": url}} if field_of(part, "type") == "image_url" else {"image": url}


def changed(value: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of the same kind (mapping, model, struct, dataclass, object) with fields changed."""
    if isinstance(value, Mapping):
        return {**cast("Mapping[str, Any]", value), **changes}
    if hasattr(value, "model_copy"):
        return value.model_copy(update=dict(changes))
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **changes)
    clone = copy.copy(value)
    for name, field in changes.items():
        setattr(clone, name, field)
    return clone


def pack_images(
    messages: Sequence[Any],
    adapter: Adapter,
    *,
    storage: Storage = "offload",
    store: AssetStore | None = None,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    multimodal_output: str = "raw",
) -> list[PackedImage]:
    """An envelope for every image of a conversation.

    Args:
        messages: The conversation; it is not changed.
        adapter: The family and its configuration.
        storage: `offload` puts the bytes into `store`; `inline` keeps them in raw_uri.
        store: Where to; needed for `offload`.
        run_id: The run, where the store holds several.
        limits: Of images and grids.
        multimodal_output: `raw` gives envelopes. `processed` (tensors for SFT) is made by
            mmraw_protocol.integrations.transformers.

    Raises:
        MMRawError: what reading, describing or storing an image raises, with the part's path.
    """
    if multimodal_output != "raw":
        message = "pack_images makes raw items; tensors come from integrations.transformers"
        raise MMRawError("unsupported_option", message)
    found = find_images(messages)
    return pack_found(found, adapter, storage=storage, store=store, run_id=run_id, limits=limits)


def pack_found(
    found: Sequence[MessageImage],
    adapter: Adapter,
    *,
    storage: Storage,
    store: AssetStore | None,
    run_id: str | None,
    limits: Limits,
) -> list[PackedImage]:
    """`pack_images` for some of the images of a conversation."""
    if storage not in ("offload", "inline"):
        raise MMRawError("unsupported_option", "storage is offload or inline")
    if storage == "offload" and store is None:
        raise MMRawError("store_invalid", "offloading needs a store")
    images = [(image, open_image_part(image, limits, store, run_id)) for image in found]
    described = [
        (image, source, _describe(adapter, image, source, limits)) for image, source in images
    ]
    packed: list[PackedImage] = []
    for image, source, description in described:
        uri = name = None
        if storage == "inline" or store is None:
            uri = data_url(source)
        else:
            place = stored_source(store, image.source, run_id)
            if place is None:
                place = StoredImage(_stored(store, source.data, run_id, image.path), run_id)
            name = place.raw_image_id
            uri = store.url(name, run_id=place.run_id)
        packed.append(
            PackedImage(
                where=image,
                item=_item(adapter, description, uri, name, limits),
                description=description,
                data=source.data,
            )
        )
    return packed


def mm_data(images: Sequence[PackedImage], offsets: Sequence[int]) -> MultiModalData:
    """What `build_features` takes, for the images of a conversation or of one turn of it.

    Args:
        images: What `pack_images` gave.
        offsets: Where the first pad of each image stands in the whole prompt's tokens.

    Raises:
        MMRawError: lengths_differ.
    """
    if len(offsets) != len(images):
        raise MMRawError("lengths_differ", "there must be one offset for each image")
    return MultiModalData(
        mm_hashes={"image": [image.mm_hash for image in images]},
        mm_placeholders={
            "image": [
                PlaceholderRange(offset=offset, length=image.description.placeholder_length)
                for offset, image in zip(offsets, images, strict=True)
            ]
        },
        mm_items={"image": [image.item for image in images]},
    )


def _describe(
    adapter: Adapter, image: MessageImage, source: ImageSource, limits: Limits
) -> ImageDescription:
    failed: MMRawError | None = None
    try:
        return adapter.describe(source, limits=limits)
    except MMRawError as error:
        failed = error
    raise failed if failed.path.startswith(image.path) else failed.at(image.path)


def _item(
    adapter: Adapter,
    description: ImageDescription,
    uri: str | None,
    name: str | None,
    limits: Limits,
) -> RawMMItem:
    modality = adapter.feature_modality
    # A label is only allowed where it is a local file: URL; an object store's is left out.
    label = uri if uri is not None and uri.startswith(("data:", "file:")) else None
    return make_item(
        family=adapter.family,
        layout_fingerprint=adapter.fingerprint(),
        payload=description.payload,
        raw_uri=label,
        raw_image_id=name,
        vllm_modality=None if modality == "image" else modality,
        limits=limits,
    )
