"""The one place that asks SGLang about the model that it serves."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...families.served import family_of, processor_document, server_adapter, trials
from ..serving.identity import naming_of
from ..serving.ref_images import RefImages
from ..serving.settings import Settings
from .plugin import SGLANG


def served_images(processor: Any, config: Any) -> RefImages:
    """The pictures of refs, the model's layout compared with what its processor makes.

    Args:
        processor: SGLang's, that was just made.
        config: The model's.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option, what `Settings.load` and
            opening the store raise, and what the processor gets wrong on trial pictures.
    """
    images = images_of(config, processor._processor, processor.image_config, processor)
    # An engine may be created inside a running event loop.
    with ThreadPoolExecutor(1) as thread:
        for size in trials(images.adapter):
            made = _processed(processor, images.adapter.pad_token, size)
            (item,) = thread.submit(asyncio.run, made).result().mm_items
            taken = getattr(item.feature, "nbytes", 0)
            images.check_trial(size, item.model_specific_data, tokens_of(item), taken)
    text = config.get_text_config()
    images.check_room(getattr(text, "max_position_embeddings", sys.maxsize))
    processor.clear_preprocess_cache()
    return images


def images_of(config: Any, processor: Any, changes: Any, served: Any = None) -> RefImages:
    """The pictures of refs under the layout parameters of the processor and configuration.

    Args:
        config: The model's.
        processor: Transformers' processor, or an image processor.
        changes: What the server was started with (`--mm-process-config`).
        served: SGLang's own processor, where there is one.

    Raises:
        MMRawError: as `served_images`.
    """
    settings = Settings.load()
    family = settings.family or family_of(config.model_type, SGLANG.package)
    parts = (getattr(processor, name, None) for name in ("media_processor", "image_processor"))
    document = processor_document(next(filter(None, parts), processor))
    places = {"model_config": {"hf_config": config}, "processor": processor, "served": served}
    adapter = server_adapter(family, document, changes or {}, places, SGLANG.package)
    naming = naming_of(settings, api_servers=1, prefixes_clients=False)
    return RefImages(adapter, settings, naming, SGLANG.package)


def tokens_of(item: Any) -> int:
    """Returns how many tokens an item of one image has in its prompt."""
    return sum(end - start + 1 for start, end in item.offsets)


async def _processed(processor: Any, token: str, size: tuple[int, int]) -> Any:
    """Processes a trial picture with SGLang, which finds most families' own tokens in a text."""
    from PIL import Image
    from sglang.srt.managers.io_struct import GenerateReqInput

    # SGLang finds no image in a prompt that is nothing but an image's tokens.
    tokens, images = getattr(processor, "mm_tokens", None), [Image.new("RGB", size)]
    text = f"a{tokens.image_token if tokens else token}b"
    request = GenerateReqInput(text=text, image_data=images)
    given: Any = {"image_data": images, "audio_data": None, "input_text": text}
    return await processor.process_mm_data_async(**given, request_obj=request)
