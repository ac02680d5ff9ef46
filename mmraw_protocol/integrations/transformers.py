"""The trainer's side: from refs to the tensors that a model of Transformers takes.

The checkpoint's own image processor makes the tensors, from pixels that were verified and decoded
as on the server. Torch and Transformers are imported only where they are used; which processor (its
Pillow or its torchvision backend) is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, cast, overload

import msgspec

from ..conversation.found import MessageImage
from ..conversation.messages import PackedImage, find_images, open_image_part
from ..conversation.messages import pack_images as pack_raw_images
from ..conversation.placeholders import (
    ImageTokens,
    check_placeholder_tokens,
    image_tokens,
    span_texts,
)
from ..families import Adapter, ImageDescription
from ..images import decode_rgb
from ..images.decode import Isolation
from ..images.preparing import Alpha, Note, Orientation, Preparation, prepare
from ..materialize import Materializer
from ..stores import AssetStore, open_store
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.features import Features, MultiModalData, Slot, build_features, parse_features
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.item import RawMMItem, parse_item
from ..wire.ref import Payload, RawMMRef
from .known_layouts import KnownLayouts, adapter_of, size_of
from .tensors import ImageTensors, Tensors, concatenate

__all__ = ["ProcessedImage", "TensorMaker", "adapter_of", "pack_images"]

FeaturesLike = Features | Mapping[str, Any] | str | bytes
Images = FeaturesLike | MultiModalData | Sequence[RawMMItem | Mapping[str, Any]]


class TensorMaker:
    """Makes a model's image tensors, and refuses what is not exactly what a ref means.

    Args:
        image_processor: The checkpoint's own, for example of `AutoImageProcessor.from_pretrained`.
        store: Where stored images are: a store, or its place; None allows inline refs only. A place
            is opened again in each worker process.
        adapter: Default: `adapter_of(image_processor)`.
        limits: Of refs, images and grids.
        cache_bytes: As for `Materializer`; by default nothing is cached, since a trainer seldom
            sees an image twice in a worker.
        isolation: Where images are decoded, as for `Materializer`.
        vocabulary: Ids by token, as a tokenizer's `get_vocab()` gives them; None takes those that
            are published for the line of checkpoints with the prompt's placeholder token.
        layouts: Layout parameters that parts of the data name for their image, for example
            `[{"max_pixels": 50176}]`: refs with their fingerprint are laid out by them.
        preparation: What becomes of orientation and alpha of images that are read from messages, as
            when the rollout was packed.

    It may be handed to worker processes, by fork or by pickle.
    """

    def __init__(
        self,
        image_processor: Any,
        *,
        store: AssetStore | str | PathLike[str] | None = None,
        adapter: Adapter | None = None,
        limits: Limits = DEFAULT_LIMITS,
        cache_bytes: int = 0,
        isolation: Isolation = "auto",
        vocabulary: Mapping[str, int] | None = None,
        layouts: Sequence[Mapping[str, Any]] = (),
        preparation: Preparation | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.image_processor = image_processor
        self.adapter = adapter or adapter_of(image_processor)
        self.limits = limits
        self.tensors = ImageTensors(self.adapter)
        self.layouts = KnownLayouts(self.adapter, layouts)
        self.preparation = preparation or Preparation()
        self._store = store
        self._cache_bytes = cache_bytes
        self._isolation: Isolation = isolation
        self._materializers: dict[str, Materializer] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_materializers": {}}

    @property
    def materializer(self) -> Materializer:
        """The materializer, opened on first use in each process by itself."""
        return self._materializer_of(self.adapter)

    def _materializer_of(self, adapter: Adapter) -> Materializer:
        if adapter.identity not in self._materializers:
            store = self._store
            if isinstance(store, (str, PathLike)):
                store = open_store(store, limits=self.limits)
            self._materializers[adapter.identity] = Materializer(
                store,
                limits=self.limits,
                cache_bytes=self._cache_bytes,
                adapters={adapter.family: adapter},
                families=[adapter.family],
                isolation=self._isolation,
            )
        return self._materializers[adapter.identity]

    def __call__(
        self,
        images: Images,
        *,
        token_ids: Sequence[int] | None = None,
        pad_token_id: int | None = None,
        run_id: str | None = None,
    ) -> Tensors:
        """The tensors of one prompt's images, in the order of the prompt.

        Args:
            images: A features body; MultiModalData; or raw items alone, which have no placeholders.
            token_ids: The prompt, where its spans are to be checked.
            pad_token_id: The family's pad in it; by default what the first span holds.
            run_id: The run of raw items; needed where the store holds several.

        Returns:
            What the family's models take: `pixel_values`, and beside it the grids, sizes or
            positions (int64, one row for each image; spec/families/<name>/family.json lists names
            and shapes); empty where there is no image. Images follow one another along the first
            dimension, as in the processor's own batch of them. With `token_ids` and spans, what
            tells tokens of images from others too (`mm_token_type_ids`, int64, one for each token),
            where the family's models take it.

        Raises:
            MMRawError: what `parse_features`, `Materializer.materialize` and
                `check_placeholder_tokens` raise,
                with the image's path; modality_mismatch (another family's images); grid_mismatch
                (the processor made another layout than the ref names).
        """
        rows, spans = self._rows(images, token_ids, pad_token_id, run_id)
        made = concatenate([self._of_ref(ref, options, path) for ref, options, path in rows])
        if token_ids is None or spans is None:
            return made
        return {**made, **self.tensors.token_types(len(token_ids), spans)}

    def _rows(
        self,
        images: Images,
        token_ids: Sequence[int] | None,
        pad_token_id: int | None,
        run_id: str | None,
    ) -> tuple[list[tuple[RawMMRef, dict[str, Any], str]], list[PlaceholderRange] | None]:
        """(ref, what `materialize` compares it with, path) for each image; the images' spans."""
        if isinstance(images, MultiModalData):
            images = build_features(images, run_id=run_id or "items", limits=self.limits)
        if isinstance(images, Sequence) and not isinstance(images, (str, bytes)):
            rows = [self._item_row(item, index, run_id) for index, item in enumerate(images)]
            return rows, None
        features = images
        if not isinstance(images, Features):
            features = parse_features(cast("FeaturesLike", images), limits=self.limits)
        features = cast("Features", features)
        for modality, places in features.mm_placeholders.items():
            if modality != self.adapter.feature_modality and places:
                message = "expected images of the modality of the processor's family, got others"
                path = f"$.kwargs_data{key_in_path(modality)}"
                raise MMRawError("modality_mismatch", message, path)
        self.check_tokens(features, token_ids, pad_token_id)
        slots = list(features.slots())
        return [_slot_row(slot) for slot in slots], [slot.placeholder for slot in slots]

    def check_tokens(
        self, features: Features, token_ids: Sequence[int] | None, pad_token_id: int | None
    ) -> None:
        """The prompt's placeholder tokens are those of the features, and no others.

        Raises:
            MMRawError: what `check_placeholder_tokens` raises.
        """
        spans = {
            modality: [span_texts(ref.family, ref.payload, self.adapter) for ref in refs]
            for modality, refs in features.refs.items()
        }
        tokens = self.image_tokens(features, token_ids or [], pad_token_id)
        if features.kwargs_data and len(tokens.pads) == 1:
            (pad_token_id,) = tokens.pads
        check_placeholder_tokens(
            token_ids,
            features.mm_placeholders,
            pad_token_id=pad_token_id,
            spans=spans,
            tokens=tokens,
        )

    def image_tokens(
        self, features: Features, token_ids: Sequence[int], pad_token_id: int | None
    ) -> ImageTokens:
        """The ids of the family's tokens in a prompt, as far as they are known.

        Args:
            features: Of the prompt.
            token_ids: The prompt.
            pad_token_id: The placeholder token; None takes what the first placeholder begins with.
        """
        places = [slot.placeholder.offset for slot in features.slots()]
        if pad_token_id is None:
            pad_token_id = (self.vocabulary or {}).get(self.adapter.pad_token)
        if pad_token_id is None and places and places[0] < len(token_ids):
            pad_token_id = token_ids[places[0]]
        return image_tokens(
            self.adapter.family,
            pad_token_id=pad_token_id,
            vocabulary=self.vocabulary,
            line=getattr(self.adapter, "line", None),
        )

    def _item_row(
        self, item: RawMMItem | Mapping[str, Any], index: int, run_id: str | None
    ) -> tuple[RawMMRef, dict[str, Any], str]:
        path = f"$[{index}]"
        parsed = parse_item(item, limits=self.limits, path=path)
        ref = RawMMRef(
            family=parsed.family,
            fingerprint=parsed.layout_fingerprint,
            mm_hash=_hash_of_item(parsed, self.limits, path),
            modality=parsed.feature_modality,
            payload=parsed.payload,
            raw_image_id=parsed.raw_image_id,
            raw_uri=parsed.raw_uri,
            run_id=run_id,
        )
        return ref, {"modality": self.adapter.feature_modality}, path

    def _of_ref(self, ref: RawMMRef, options: dict[str, Any], path: str) -> Tensors:
        failed: MMRawError | None = None
        try:
            adapter = self.layouts.adapter_of(ref)
            image = self._materializer_of(adapter).materialize(ref, **options)
            return self.process(image.image, ref.payload, adapter)
        except MMRawError as error:
            failed = error
        raise failed.with_path_prefix(path)

    def process(self, image: Any, payload: Payload, adapter: Adapter | None = None) -> Tensors:
        """The processor's tensors of one RGB PIL image, under another adapter than its own too.

        Raises:
            MMRawError: grid_mismatch (the layout is not that of `payload`), what the adapter's
                `layout` raises.
        """
        processor = self.image_processor
        layout = (adapter or self.adapter).layout(*image.size, limits=self.limits)
        call = self.tensors.call()
        if adapter is not None and adapter != self.adapter:
            call |= size_of(adapter)
        # Some processors take media of several kinds, not pictures alone.
        wrapped = hasattr(processor, "media_tokens_calculator")
        images = [{"type": "image", "image": image} if wrapped else image]
        out = processor.preprocess(images, return_tensors="pt", **call)
        return self.tensors.checked(out, payload, layout)


def _slot_row(slot: Slot) -> tuple[RawMMRef, dict[str, Any], str]:
    options = {
        "mm_hash": slot.mm_hash,
        "modality": slot.modality,
        "placeholder_length": slot.placeholder.length,
    }
    return slot.ref, options, f"$.kwargs_data{key_in_path(slot.modality)}[{slot.index}]"


def _hash_of_item(item: RawMMItem, limits: Limits, path: str) -> str:
    """The hash that an item's ref carries: of its inline bytes, or as its stored name promises."""
    if item.raw_uri is not None and item.raw_uri.startswith("data:"):
        return mm_hash_of(sha256_hex(parse_data_uri(item.raw_uri, limits=limits, path=path).data))
    stem = (item.raw_image_id or "").split(".")[0]
    if len(stem) not in (32, 64) or set(stem) - set("0123456789abcdef"):
        message = "the item's name promises no hash; pass features, which carry it"
        raise MMRawError("missing_field", message, f"{path}.raw_image_id")
    return mm_hash_of(stem)


class ProcessedImage(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """An image of a conversation as tensors.

    Attributes:
        where: The part it came from.
        description: Size, hash and layout.
        tensors: As `TensorMaker` returns them.
        notes: What became of orientation and alpha, where there is something to tell.
    """

    where: MessageImage
    description: ImageDescription
    tensors: Tensors
    notes: tuple[Note, ...] = ()

    def __hash__(self) -> int:
        return hash((self.where, self.description))


@overload
def pack_images(
    messages: Sequence[Any],
    maker: TensorMaker,
    *,
    multimodal_output: Literal["processed"] = "processed",
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
) -> list[ProcessedImage]: ...
@overload
def pack_images(
    messages: Sequence[Any],
    maker: TensorMaker,
    *,
    multimodal_output: Literal["raw"],
    **packing: Any,
) -> list[PackedImage]: ...
def pack_images(
    messages: Sequence[Any],
    maker: TensorMaker,
    *,
    multimodal_output: str = "processed",
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
    **packing: Any,
) -> list[ProcessedImage] | list[PackedImage]:
    """Every image of a conversation, as tensors (for SFT) or raw.

    Args:
        messages: The conversation; it is not changed.
        maker: The processor; its adapter and limits hold for `raw` too. Its store is where stored
            images of the messages are read.
        multimodal_output: `processed` gives tensors, `raw` what `messages.pack_images` gives.
        orientation: As for `messages.pack_images`.
        alpha: As for `messages.pack_images`.
        packing: For `raw`: storage, store and run_id.

    Raises:
        MMRawError: unsupported_option, image_transparent, grid_mismatch, and what reading,
            describing and decoding an image raises, with the part's path.
    """
    if multimodal_output == "raw":
        packing |= {"orientation": orientation, "alpha": alpha}
        return pack_raw_images(messages, maker.adapter, limits=maker.limits, **packing)
    if multimodal_output != "processed":
        message = "expected multimodal_output='raw' or 'processed', got another value"
        raise MMRawError("unsupported_option", message)
    if packing:
        message = "expected no storage and no store with multimodal_output='processed'"
        raise MMRawError("unsupported_option", message)
    preparation = Preparation(orientation=orientation, alpha=alpha)
    return [_processed(image, maker, preparation) for image in find_images(messages)]


def _processed(image: MessageImage, maker: TensorMaker, preparation: Preparation) -> ProcessedImage:
    source = open_image_part(image, maker.limits, maker.materializer.store)
    source, notes = prepare(source, preparation, image.path)
    failed: MMRawError | None = None
    try:
        adapter = maker.layouts.add(image.layout_parameters)
        description = adapter.describe(source, limits=maker.limits)
        decoded = decode_rgb(source.data, limits=maker.limits)
        tensors = maker.process(decoded.picture, description.payload, adapter)
        return ProcessedImage(where=image, description=description, tensors=tensors, notes=notes)
    except MMRawError as error:
        failed = error
    raise failed if failed.path.startswith(image.path) else failed.with_path_prefix(image.path)
