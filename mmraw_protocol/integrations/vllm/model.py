"""The one place that asks a running vLLM about its model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from ...conversation.expansion import expand_prompt
from ...families import Adapter
from ...families.served import (
    family_of,
    processor_document,
    refusal_of,
    server_adapter,
    target_of,
    trials,
)
from ...wire.errors import MMRawError
from ...wire.ref import RawMMRef
from ..serving.ref_images import RefImages
from ..serving.settings import Settings
from .process import Served

#: Width and height.
Size = tuple[int, int]


async def served_model(renderer: Any, settings: Settings, naming: Any) -> Served:
    """Finds out what a server can serve.

    Args:
        renderer: The server's renderer.
        settings: The server's.
        naming: How pictures are named.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option, what opening the store
            raises, and what the server's processor gets wrong on trial pictures.
    """
    if not renderer.model_config.is_multimodal_model:
        message = "expected a model that takes images, got one that does not"
        raise MMRawError("unknown_family", message)
    adapter = adapter_of(renderer, settings)
    vocabulary = None if renderer.tokenizer is None else renderer.tokenizer.get_vocab()
    images = RefImages(adapter, _with_vllms_limit(settings), naming)
    allowed = renderer.get_mm_processor().info.allowed_mm_limits
    most: Any = {"most_images": allowed.get(adapter.feature_modality, 0)}
    most["most_tokens"] = renderer.model_config.max_model_len
    refused = refusal_of(adapter.family, _forms(renderer.model_config))
    if refused is not None:
        why = f"features take no refs of this model: {refused}"
        return Served(images, no_features=why, **most)
    target = target_of(adapter)
    target_id = _token_id(renderer.model_config, vocabulary, target)
    reasons = [
        await _trial(renderer, images, target_id, vocabulary, size) for size in trials(adapter)
    ]
    no_features = next(filter(None, reasons), None)
    return Served(images, vocabulary, (target, target_id), no_features, **most)


def _with_vllms_limit(settings: Settings) -> Settings:
    """The settings, with images no larger than vLLM itself would load."""
    pixels = settings.limits.image_pixels
    pixels = min(pixels, int(os.environ.get("VLLM_MAX_IMAGE_PIXELS") or pixels))
    limits = msgspec.structs.replace(settings.limits, image_pixels=pixels)
    return msgspec.structs.replace(settings, limits=limits)


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
    return processor_document(processor)


def _forms(config: Any) -> list[str]:
    """Names under which a family's folder may refuse the prompts of a model."""
    architectures: list[str] | None = getattr(config.hf_config, "architectures", None)
    return [*(architectures or []), str(getattr(config, "tokenizer_mode", ""))]


def _token_id(config: Any, vocabulary: Mapping[str, int] | None, token: str) -> int:
    if vocabulary is None:
        return int(config.hf_config.image_token_id)
    if token not in vocabulary:
        message = "expected the tokens of the model's family in the server's tokenizer, got others"
        raise MMRawError("invalid_config", message)
    return int(vocabulary[token])


async def _trial(
    renderer: Any,
    images: RefImages,
    target: int,
    vocabulary: Mapping[str, int] | None,
    size: Size,
) -> str | None:
    """Why the prompts of this model's images cannot be foretold; None where they can be.

    Holds the adapter against the server, so that a misfit is known before any request.

    Raises:
        MMRawError: grid_mismatch, placeholder_mismatch.
    """
    adapter = images.adapter
    modality, layout = adapter.feature_modality, adapter.layout(*size)
    found = await _expanded(renderer, modality, target, size)
    said = {name: element.data for name, element in found["mm_kwargs"][modality][0].items()}
    taken = sum(getattr(data, "nbytes", 0) for data in said.values())
    # vLLM's own span may hold tokens around the image's.
    tokens = found["mm_placeholders"][modality][0].get_num_embeds()
    images.check_trial(size, said, tokens, taken)
    fields: dict[str, Any] = {"family": adapter.family, "fingerprint": adapter.fingerprint()}
    fields |= {"modality": modality, "mm_hash": "0" * 32, "raw_image_id": "trial.png"}
    ref = RawMMRef(run_id="trial", payload=layout.payload, **fields)
    try:
        own = expand_prompt([target], [ref], adapter, vocabulary=vocabulary).token_ids
        why = None if own == found["prompt_token_ids"] else "its prompts are not its family's"
    except MMRawError as error:
        why = error.message
    return why and f"features take no refs of this model: {why}"


async def _expanded(renderer: Any, modality: str, target: int, size: Size) -> Any:
    from PIL import Image

    data: Any = Image.new("RGB", size)
    if modality != "image":
        data = {"type": "image", "image": data, "uuid": None}
    prompt = {"prompt_token_ids": [target], "multi_modal_data": {modality: [data]}}
    # Kept apart from the caches that the engine relies on.
    (found,) = await renderer.render_cmpl_async([prompt], skip_mm_cache=True)
    return found
