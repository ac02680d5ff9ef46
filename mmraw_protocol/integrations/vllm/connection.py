"""The one place that knows vLLM's insides: from a running server to a `Resolver`.

Written against vLLM 0.32. vLLM is looked up when the server starts and not when this is imported.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from ...families import GRID_KEY, Adapter, grid_key
from ...materialize import MaterializedImage, Materializer
from ...wire.errors import MMRawError
from .families import family_of, server_adapter
from .handover import EncodedHandover, Handover, direct_handover
from .metrics import Metrics
from .resolver import Resolver
from .settings import Settings

#: What vLLM's own chat endpoint may be asked for, tried once when the server starts: an image that
#: grows, one that keeps its size, and one beside the raster.
_PROBES = ((64, 48), (640, 480), (333, 517))


class VllmItems:
    """Makes vLLM's items by the processor of the model that it serves.

    Args:
        renderer: The server's renderer.
        adapter: The model's layout.
        handover: How vLLM gets the items.
    """

    def __init__(self, renderer: Any, adapter: Adapter, pad_id: int, handover: Handover) -> None:
        self._processor = renderer.get_mm_processor()
        # vLLM runs this processor on one thread of its own, since its parts are not safe to share;
        # so does this.
        own = getattr(renderer, "_mm_executor", None)
        self._executor = own if isinstance(own, Executor) else ThreadPoolExecutor(1)
        self._adapter = adapter
        self._pad_id = pad_id
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
        item, length = found
        self._compare(item, length, pixels.size, placeholder_length)
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
        inputs = ProcessorInputs([self._pad_id], items, names, cache=None)
        with set_default_torch_num_threads():
            result = self._processor.apply(inputs, TimingContext(enabled=False))
        ranges = result["mm_placeholders"][modality]
        return result["mm_kwargs"][modality][0], ranges[0].length

    def _compare(self, item: Any, length: int, size: tuple[int, int], expected: int) -> None:
        """The last check before the engine: a wrong grid or count would end it."""
        layout = self._adapter.layout(*size)
        key = grid_key(self._adapter.family)
        name = key if key in item else GRID_KEY
        if tuple(int(side) for side in item[name].data.flatten()) != tuple(layout.grid_thw):
            message = "the server's processor gives another grid than the family's layout"
            raise MMRawError("grid_mismatch", message)
        if length != expected:
            message = "the server's processor gives another count of placeholder tokens"
            raise MMRawError("placeholder_mismatch", message)

    def size(self, item: Any) -> int:
        """Bytes of its tensors."""
        return sum(element.data.nbytes for element in item.values())

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
    if not renderer.model_config.is_multimodal_model:
        raise MMRawError("unknown_family", "the server's model takes no images")
    adapter = adapter_of(renderer, settings)
    pad_id = _pad_id(renderer, adapter)
    items = VllmItems(renderer, adapter, pad_id, _handover(settings))
    _try_out(items, adapter)
    allowed = settings.families is None or adapter.family in settings.families
    materializer = Materializer(
        settings.open_store(),
        limits=settings.limits,
        cache_bytes=0,
        adapters={adapter.family: adapter},
        families=[adapter.family] if allowed else [],
        frames=settings.frames,
        isolation=settings.decoder(),
    )
    return Resolver(
        materializer,
        items,
        pad_ids={adapter.family: pad_id},
        cache_bytes=settings.cache_size,
        workers=settings.workers,
        metrics=metrics,
    )


def adapter_of(renderer: Any, settings: Settings) -> Adapter:
    """The adapter under the layout parameters of the server's own image processor."""
    config = renderer.model_config
    info = renderer.get_mm_processor().info
    family = settings.family or family_of(config.hf_config.model_type)
    processor = getattr(info, "image_processor", None)
    if processor is None:
        processor = info.get_image_processor()
    media = getattr(processor, "media_proc_cfg", None)
    document = None if media is None else {"media_proc_cfg": media}
    overrides: Any = getattr(config.multimodal_config, "mm_processor_kwargs", None) or {}
    return server_adapter(family, document or processor.to_dict(), overrides)


def _pad_id(renderer: Any, adapter: Adapter) -> int:
    tokenizer = renderer.tokenizer
    config = renderer.model_config.hf_config
    if tokenizer is None:
        return int(config.image_token_id)
    found = tokenizer.get_vocab().get(adapter.pad_token)
    if found is None:
        message = "the server's tokenizer does not know the pad token of the model's family"
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

    for size in _PROBES:
        items.process(Image.new("RGB", size), adapter.layout(*size).placeholder_length)


def api_keys(state: Any) -> list[str]:
    """The keys that the server asks for, by its arguments or else its environment."""
    given = getattr(getattr(state, "args", None), "api_key", None) or []
    return [key for key in (given or [os.environ.get("VLLM_API_KEY")]) if key]
