"""Images in chat messages: find them, put them into a store, take them back inline.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..families import Adapter, ImageDescription
from ..families.own_layout import with_parameters
from ..images import ImageSource
from ..images.preparing import Alpha, Note, Orientation, Preparation, prepare
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
from .found import MessageImage, put
from .opening import open_image_part, stored_source
from .parts import image_source, is_image_part
from .places import changed, value_at, write
from .reading import read_conversation

__all__ = [
    "MessageImage",
    "PackedImage",
    "changed",
    "find_images",
    "image_source",
    "inline_messages",
    "is_image_part",
    "mm_data",
    "offload_messages",
    "open_image_part",
    "pack_images",
]


class PackedImage(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """An image of a conversation, ready for features.

    Attributes:
        where: The part it came from.
        item: The envelope.
        description: Size, hash and layout.
        data: The encoded bytes.
        notes: What was done with orientation and alpha, if anything.
    """

    where: MessageImage
    item: RawMMItem
    description: ImageDescription
    data: bytes
    notes: tuple[Note, ...] = ()

    def _shown(self) -> Mapping[str, object]:
        size = f"{self.description.width}x{self.description.height}"
        path, sha256 = self.where.path, self.description.sha256
        return {"path": path, "size": size, "sha256": sha256, "data": self.data}

    def __hash__(self) -> int:
        return hash((self.where, self.description))

    @property
    def mm_hash(self) -> str:
        """The hash that is listed with the ref."""
        return self.description.mm_hash


def offload_messages(
    messages: Any,
    store: AssetStore,
    *,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    skipped: Counter[str] | None = None,
) -> Any:
    """The messages with every image stored and its part rewritten to the store's URL.

    An image that carries such a URL or a ref already is read and verified, and stays where it is.
    All images are read and stored before anything is rewritten; `messages` is never changed, and
    parts keep their kind (dict, dataclass, pydantic model, msgspec struct, plain object) and their
    spelling. A row with a column of images gives a row.

    Raises:
        MMRawError: what `find_images`, reading an image or storing it raises, with the part's path.
    """

    def url_of(image: MessageImage) -> str:
        source = open_image_part(image, limits, store, run_id)
        _ = source.header
        found = stored_source(store, image.source, run_id)
        if found is not None:
            return store.url(found.raw_image_id, run_id=found.run_id)
        return store.url(_stored(store, source.data, run_id, image.path), run_id=run_id)

    return _rewrite(messages, url_of, skipped)


def _stored(store: AssetStore, data: bytes, run_id: str | None, path: str) -> str:
    failed: MMRawError | None = None
    try:
        return store.put(data, run_id=run_id)
    except MMRawError as error:
        failed = error
    raise failed.with_path_prefix(path)


def inline_messages(
    messages: Any,
    *,
    store: AssetStore | None = None,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    skipped: Counter[str] | None = None,
) -> Any:
    """The messages with every image in them, as its spelling has it; `messages` is never changed.

    That is a data: URL, base64 with its media type, or bytes.

    Args:
        messages: The conversation, or a row that has one with a column of images.
        store: Where images were offloaded to. Its URLs are read through it, which an object store's
            need; file: URLs are read without it, too.
        run_id: The run, if the store holds several; None looks at what the URL says.
        limits: Of images.
        skipped: As for `find_images`.

    Raises:
        MMRawError: what `find_images` and reading an image raise, with the part's path.
    """

    def opened(image: MessageImage) -> ImageSource:
        return open_image_part(image, limits, store, run_id)

    return _rewrite(messages, opened, skipped)


def data_url(source: ImageSource) -> str:
    """An image as `data:image/<format>;base64,…`."""
    return f"data:image/{source.header.format};base64,{encode_base64(source.data)}"


def _rewrite(
    messages: Any,
    made_of: Callable[[MessageImage], str | ImageSource],
    skipped: Counter[str] | None,
) -> Any:
    """The messages with what is made of each image in place of its source."""
    conversation = read_conversation(messages, skipped)
    made = [made_of(image) for image in conversation.images]
    given = conversation.given
    for image, one in zip(conversation.images, made, strict=True):
        given = put(given, image.steps, with_source(image, one))
    return given


def with_source(image: MessageImage, source: str | ImageSource) -> Any:
    """The image's part with a URL, or with the bytes of an image, as its spelling has them."""
    place, part = image.place, image.part
    if isinstance(source, str):
        template = place.ref if source.startswith(PREFIX) and place.ref else place.url
        values: dict[str, Any] = {"{url}": source, "{media_type}": _media_type(image)}
    else:
        template = place.data
        text = encode_base64(source.data)
        stood = isinstance(image.source, str)
        as_text = stood and place.at[-1:] == ("bytes",)
        typed = not isinstance(part, Mapping)
        values = {
            "{url}": data_url(source),
            "{media_type}": f"image/{source.header.format}",
            "{base64}": text,
            "{bytes}": text if as_text else source.data,
            "{blob}": text if stood and not typed else source.data,
        }
    return write(part, place, template, values) if place.at else values["{url}"]


def _media_type(image: MessageImage) -> str | None:
    return value_at(image.part, image.place.media_type) if image.place.media_type else None


def find_images(messages: Any, *, skipped: Counter[str] | None = None) -> list[MessageImage]:
    """Every image of a conversation, in order, in any spelling of spec/messages.json.

    Args:
        messages: A list of messages, or a row that has one under `messages`, `prompt` or
            `conversations` with a column of images. An iterator is used up.
        skipped: None rejects what looks like an image and is in no spelling that is read, videos,
            audio and file ids; a counter leaves them out and counts them by error code.

    Raises:
        MMRawError: invalid_type (no list of messages), image_part_unknown, modality_unsupported,
            source_unsupported (a file id), lengths_differ (a column and the places for its
            images), with the part's path.
    """
    return read_conversation(messages, skipped).images


def pack_images(
    messages: Any,
    adapter: Adapter,
    *,
    storage: Storage = "offload",
    store: AssetStore | None = None,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    multimodal_output: str = "raw",
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
    skipped: Counter[str] | None = None,
) -> list[PackedImage]:
    """An envelope for every image of a conversation.

    Layout parameters in a part (such as `min_pixels` and `max_pixels`) are those of its image: its
    fingerprint and grid follow them. A server has one configuration, and rejects such an image with
    fingerprint_mismatch, unless they are its own.

    Args:
        messages: The conversation, as `find_images` takes it; it is not changed.
        adapter: The family and its configuration.
        storage: `offload` puts the bytes into `store`; `inline` keeps them in raw_uri.
        store: Where to; needed for `offload`.
        run_id: The run, if the store holds several.
        limits: Of images and grids.
        multimodal_output: `raw` gives envelopes. `processed` (tensors for SFT) is made by
            mmraw_protocol.integrations.transformers.
        orientation: `as-stored` packs a picture with EXIF orientation as it is stored; `apply`
            turns it.
        alpha: `refuse` rejects an image that is not fully opaque; `drop` leaves its alpha out, and
            `white` puts it on white. What is turned or put on white is encoded again, as PNG, and
            stored; the ref names that image. `notes` of each image say what was done.
        skipped: As for `find_images`.

    Raises:
        MMRawError: image_transparent, unsupported_option (also layout parameters in a part that the
            family has not), invalid_config (no value of one), and what finding, reading, describing
            or storing an image raises, with the path.
    """
    if multimodal_output != "raw":
        message = "pack_images makes raw items; tensors come from integrations.transformers"
        raise MMRawError("unsupported_option", message)
    found = find_images(messages, skipped=skipped)
    return pack_found(
        found,
        adapter,
        storage=storage,
        store=store,
        run_id=run_id,
        limits=limits,
        preparation=Preparation(orientation=orientation, alpha=alpha),
    )


def pack_found(
    found: Sequence[MessageImage],
    adapter: Adapter,
    *,
    storage: Storage,
    store: AssetStore | None,
    run_id: str | None,
    limits: Limits,
    preparation: Preparation | None,
) -> list[PackedImage]:
    """Packs some images of a conversation as `pack_images`; None for those prepared already."""
    if storage not in ("offload", "inline"):
        message = "expected storage='offload' or 'inline', got another value"
        raise MMRawError("unsupported_option", message)
    if storage == "offload" and store is None:
        message = "expected a store, which storage='offload' needs; got none"
        raise MMRawError("store_invalid", message)
    opened = [(image, open_image_part(image, limits, store, run_id)) for image in found]
    described: list[tuple[MessageImage, ImageSource, ImageDescription, tuple[Note, ...]]] = []
    adapters = [own_adapter(adapter, image) for image in found]
    for (image, source), own in zip(opened, adapters, strict=True):
        notes: tuple[Note, ...] = ()
        if preparation is not None:
            source, notes = prepare(source, preparation, image.path)
        described.append((image, source, _describe(own, image, source, limits), notes))
    packed: list[PackedImage] = []
    for (image, source, description, notes), (_, before), own in zip(
        described, opened, adapters, strict=True
    ):
        uri = name = None
        if storage == "inline" or store is None:
            uri = data_url(source)
        else:
            place = stored_source(store, image.source, run_id) if source is before else None
            if place is None:
                place = StoredImage(_stored(store, source.data, run_id, image.path), run_id)
            name = place.raw_image_id
            uri = store.url(name, run_id=place.run_id)
        packed.append(
            PackedImage(
                where=image,
                item=_item(own, description, uri, name, limits),
                description=description,
                data=source.data,
                notes=notes,
            )
        )
    return packed


def own_adapter(adapter: Adapter, image: MessageImage) -> Adapter:
    """The adapter under the layout parameters that an image's part names.

    Raises:
        MMRawError: unsupported_option, invalid_config, with the part's path.
    """
    failed: MMRawError | None = None
    try:
        return with_parameters(adapter, image.layout_parameters)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, failed.message, image.path)


def mm_data(images: Sequence[PackedImage], offsets: Sequence[int]) -> MultiModalData:
    """Returns the argument of `build_features` for the images of a conversation or of one turn.

    Args:
        images: What `pack_images` gave.
        offsets: Position of each image's first placeholder token in the whole prompt.

    Raises:
        MMRawError: lengths_differ.
    """
    if len(offsets) != len(images):
        message = f"expected one offset for each image, got {len(offsets)} for {len(images)} images"
        raise MMRawError("lengths_differ", message)
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
    raise failed if failed.path.startswith(image.path) else failed.with_path_prefix(image.path)


def _item(
    adapter: Adapter,
    description: ImageDescription,
    uri: str | None,
    name: str | None,
    limits: Limits,
) -> RawMMItem:
    modality = adapter.feature_modality
    # A label is only allowed if it is a local file: URL; an object store's is left out.
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
