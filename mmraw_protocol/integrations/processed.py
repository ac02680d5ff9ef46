"""Images of a conversation as a trainer takes them: tensors for SFT, or raw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from ..conversation.found import MessageImage
from ..conversation.messages import PackedImage, find_images, open_image_part
from ..conversation.messages import pack_images as pack_raw_images
from ..families import ImageDescription
from ..images import decode_rgb
from ..images.preparing import Alpha, Note, Orientation, Preparation, prepare
from ..system.shown import Shown
from ..wire.errors import MMRawError
from .tensors import Tensors

if TYPE_CHECKING:
    from .transformers import TensorMaker

__all__ = ["ProcessedImage", "pack_images"]


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
        raise MMRawError("unsupported_option", "multimodal_output is raw or processed")
    if packing:
        raise MMRawError("unsupported_option", "tensors are stored nowhere: no storage, no store")
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
    raise failed if failed.path.startswith(image.path) else failed.at(image.path)
