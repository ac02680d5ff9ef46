"""The one place that knows vLLM's insides: from a running server to a `Resolver`.

Written against vLLM 0.32. vLLM is looked up when the server starts and not when this is imported.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from ...families import Adapter
from ...families.readings import differs
from ...materialize import MaterializedImage
from ...wire.errors import MMRawError
from .families import (
    check_architecture,
    check_span,
    family_of,
    item_names,
    server_adapter,
    target_of,
    trials,
)
from .handover import EncodedHandover, Handover, direct_handover
from .metrics import Metrics
from .resolver import Resolver
from .settings import Settings


class VllmItems:
    """Makes vLLM's items by the processor of the model that it serves.

    Args:
        renderer: The server's renderer.
        adapter: The model's layout.
        target_id: The token that vLLM expands for an image.
        handover: How vLLM gets the items.
    """

    def __init__(self, renderer: Any, adapter: Adapter, target_id: int, handover: Handover) -> None:
        self._processor = renderer.get_mm_processor()
        # vLLM runs this processor on one thread of its own, since its parts are not safe to share;
        # so does this.
        own = getattr(renderer, "_mm_executor", None)
        self._executor = own if isinstance(own, Executor) else ThreadPoolExecutor(1)
        self._adapter = adapter
        self._target_id = target_id
        self._names = item_names(adapter.family)
        self._handover = handover

    def make(self, image: MaterializedImage) -> Any:
        """A MultiModalKwargsItem.

        Raises:
            MMRawError: layout_refused (the processor fails), grid_mismatch, placeholder_mismatch.
        """
        return self.process(image.image, image.placeholder_length)

    def process(self, pixels: Any, placeholder_length: int) -> Any:
        """The item of an RGB picture whose layout is known."""
        found: tuple[Any, int] | None = None
        try:
            found = self._executor.submit(self._apply, pixels).result()
        except Exception:  # noqa: BLE001
            # Whatever model code raises, with input in its text, is one refusal.
            found = None
        if found is None:
            raise MMRawError("layout_refused", "the model's own processor refuses the image")
        item, tokens = found
        self._compare(item, tokens, pixels.size, placeholder_length)
        return item

    def _apply(self, pixels: Any) -> tuple[Any, int]:
        from vllm.multimodal.processing import ProcessorInputs, TimingContext
        from vllm.utils.torch_utils import set_default_torch_num_threads

        modality = self._adapter.feature_modality
        data: Any = pixels
        if modality == "vision_chunk":
            data = {"type": "image", "image": pixels, "uuid": None}
        items = self._processor.info.parse_mm_data({modality: [data]})
        # Only its own hash would need the pixels once more, and nobody looks at that.
        names = {modality: ["mmraw"]}
        inputs = ProcessorInputs([self._target_id], items, names, cache=None)
        with set_default_torch_num_threads():
            result = self._processor.apply(inputs, TimingContext(enabled=False))
        # vLLM's own span may hold tokens around the image's; the engine embeds these alone.
        span = result["mm_placeholders"][modality][0]
        return result["mm_kwargs"][modality][0], span.get_num_embeds()

    def _compare(self, item: Any, tokens: int, size: tuple[int, int], expected: int) -> None:
        """The last check before the engine: a wrong grid or count would end it."""
        said = {name: element.data for name, element in item.items() if name in self._names}
        if differs(said, self._names, self._adapter.layout(*size)):
            message = "the server's processor gives another grid than the family's layout"
            raise MMRawError("grid_mismatch", message)
        if tokens != expected:
            message = "the server's processor gives another count of placeholder tokens"
            raise MMRawError("placeholder_mismatch", message)

    def size(self, item: Any) -> int:
        """Bytes of its tensors."""
        # Some processors say small numbers without tensors.
        return sum(getattr(element.data, "nbytes", 0) for element in item.values())

    def text(self, item: Any) -> str:
        """What stands for the item in the request."""
        return self._handover.text(item)

    def discard(self, texts: Any) -> None:
        """The request of these texts is over."""
        self._handover.discard(texts)


def connect(state: Any, settings: Settings, metrics: Metrics) -> Resolver[Any]:
    """The resolver for the server whose application state this is.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option, what opening the store
            raises, and what the server's processor gets wrong on trial pictures.
    """
    renderer = state.online_renderer.renderer
    adapter = served_adapter(renderer, settings)
    check_span(adapter)
    pad_id = _token_id(renderer, adapter.pad_token, adapter)
    _, items = tried_items(renderer, adapter, _handover(settings))
    return Resolver(
        settings.materializer(adapter),
        items,
        pad_ids={adapter.family: pad_id},
        cache_bytes=settings.cache_size,
        workers=settings.workers,
        metrics=metrics,
    )


def served_adapter(renderer: Any, settings: Settings) -> Adapter:
    """The adapter of the model that a server has.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option (refs cannot be served).
    """
    if not renderer.model_config.is_multimodal_model:
        raise MMRawError("unknown_family", "the server's model takes no images")
    adapter = adapter_of(renderer, settings)
    check_architecture(adapter, getattr(renderer.model_config.hf_config, "architectures", None))
    return adapter


def tried_items(
    renderer: Any, adapter: Adapter, handover: Handover | None = None
) -> tuple[int, VllmItems]:
    """The id of the token that vLLM expands, and items, tried on pictures.

    Args:
        renderer: The server's renderer.
        adapter: The model's layout.
        handover: How vLLM gets the items; None for items that nobody hands over.

    Raises:
        MMRawError: invalid_config, and what the server's processor gets wrong on trial pictures.
    """
    target_id = _token_id(renderer, target_of(adapter), adapter)
    items = VllmItems(renderer, adapter, target_id, handover or EncodedHandover(str))
    _try_out(items, adapter)
    return target_id, items


def adapter_of(renderer: Any, settings: Settings) -> Adapter:
    """The adapter under the layout parameters of the server's own processor and configuration."""
    config = renderer.model_config
    info = renderer.get_mm_processor().info
    family = settings.family or family_of(config.hf_config.model_type)
    overrides: Any = getattr(config.multimodal_config, "mm_processor_kwargs", None) or {}
    places = {"model_config": config, "processor": info.get_hf_processor()}
    return server_adapter(family, _image_processor_config(info), overrides, places)


def _image_processor_config(info: Any) -> dict[str, Any]:
    """The image processor's configuration; empty where the model has no image processor apart."""
    processor = getattr(info, "image_processor", None)
    if processor is None and hasattr(info, "get_image_processor"):
        processor = info.get_image_processor()
    if processor is None:
        processor = getattr(info.get_hf_processor(), "image_processor", None)
    if processor is None:
        return {}
    media = getattr(processor, "media_proc_cfg", None)
    return processor.to_dict() if media is None else {"media_proc_cfg": media}


def _token_id(renderer: Any, token: str, adapter: Adapter) -> int:
    tokenizer = renderer.tokenizer
    if tokenizer is None and token == adapter.pad_token:
        return int(renderer.model_config.hf_config.image_token_id)
    found = None if tokenizer is None else tokenizer.get_vocab().get(token)
    if found is None:
        message = "the server's tokenizer does not know the tokens of the model's family"
        raise MMRawError("invalid_config", message)
    return int(found)


def _handover(settings: Settings) -> Handover:
    if settings.handover == "direct":
        return direct_handover()
    from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import encode_mm_kwargs_item

    return EncodedHandover(encode_mm_kwargs_item)


def _try_out(items: VllmItems, adapter: Adapter) -> None:
    """Holds the adapter against the processor, so that a misfit is known before any request."""
    from PIL import Image

    for size, layout in trials(adapter).items():
        failed = None
        try:
            items.process(Image.new("RGB", size), layout.num_tokens)
        except MMRawError as error:
            failed = error
        if failed is not None:
            # What the server counts by is then not in its image processor's configuration.
            trial = f"on a trial image of {size[0]}x{size[1]} pixels, {failed.message}"
            message = f"{trial}; the layout parameters that were found are not all it counts by"
            raise MMRawError(failed.code, message)


def api_keys(state: Any) -> list[str]:
    """The keys that the server asks for, by its arguments or else its environment."""
    given = getattr(getattr(state, "args", None), "api_key", None) or []
    return [key for key in (given or [os.environ.get("VLLM_API_KEY")]) if key]
