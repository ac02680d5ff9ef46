"""The one place that asks a running vLLM about its model; written against vLLM 0.32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...conversation.expansion import expand_prompt
from ...families import Adapter
from ...families.readings import differs
from ...families.served import (
    family_of,
    item_names,
    refusal_of,
    server_adapter,
    target_of,
    trials,
)
from ...wire.errors import MMRawError
from ...wire.ref import RawMMRef
from .process import Served
from .ref_images import RefImages
from .settings import Settings


async def served_model(renderer: Any, settings: Settings, naming: Any) -> Served:
    """What a server can serve.

    Args:
        renderer: The server's renderer.
        settings: The server's.
        naming: How pictures are named.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option, what opening the store
            raises, and what the server's processor gets wrong on trial pictures.
    """
    if not renderer.model_config.is_multimodal_model:
        raise MMRawError("unknown_family", "the server's model takes no images")
    adapter = adapter_of(renderer, settings)
    vocabulary = None if renderer.tokenizer is None else renderer.tokenizer.get_vocab()
    images = RefImages(adapter, settings, naming)
    refused = refusal_of(adapter.family, _forms(renderer.model_config))
    if refused is not None:
        return Served(images, no_features=f"features take no refs of this model: {refused}")
    target = target_of(adapter)
    target_id = _token_id(renderer.model_config, vocabulary, target)
    trial = Trial(renderer, adapter, target_id, vocabulary)
    failures = [await trial.run(*size) for size in trials(adapter)]
    no_features = next(filter(None, failures), None)
    return Served(images, vocabulary, (target, target_id), no_features)


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


def _forms(config: Any) -> list[str]:
    """Names under which a family's folder may refuse the prompts of a model."""
    architectures: list[str] | None = getattr(config.hf_config, "architectures", None)
    return [*(architectures or []), str(getattr(config, "tokenizer_mode", ""))]


def _token_id(config: Any, vocabulary: Mapping[str, int] | None, token: str) -> int:
    if vocabulary is None:
        return int(config.hf_config.image_token_id)
    if token not in vocabulary:
        message = "the server's tokenizer does not know the tokens of the model's family"
        raise MMRawError("invalid_config", message)
    return int(vocabulary[token])


class Trial:
    """Holds the adapter against the server, so that a misfit is known before any request."""

    def __init__(
        self, renderer: Any, adapter: Adapter, target_id: int, vocabulary: Mapping[str, int] | None
    ) -> None:
        self._renderer = renderer
        self._adapter = adapter
        self._target_id = target_id
        self._vocabulary = vocabulary

    async def run(self, width: int, height: int) -> str | None:
        """Why the prompts of this model's images cannot be foretold; None where they can be.

        Raises:
            MMRawError: grid_mismatch, placeholder_mismatch.
        """
        modality = self._adapter.feature_modality
        layout = self._adapter.layout(width, height)
        found = await self._expanded(modality, width, height)
        names = item_names(self._adapter.family)
        item = found["mm_kwargs"][modality][0]
        said = {name: element.data for name, element in item.items() if name in names}
        tokens = found["mm_placeholders"][modality][0].get_num_embeds()
        if differs(said, names, layout):
            raise _misfit("grid_mismatch", "another grid than the family's layout", width, height)
        if tokens != layout.num_tokens:
            raise _misfit("placeholder_mismatch", "another count of tokens", width, height)
        return self._compare(found["prompt_token_ids"], layout.payload)

    async def _expanded(self, modality: str, width: int, height: int) -> Any:
        from PIL import Image

        data: Any = Image.new("RGB", (width, height))
        if modality != "image":
            data = {"type": "image", "image": data, "uuid": None}
        prompt = {"prompt_token_ids": [self._target_id], "multi_modal_data": {modality: [data]}}
        # Kept apart from the caches that the engine relies on.
        return (await self._renderer.render_cmpl_async([prompt], skip_mm_cache=True))[0]

    def _compare(self, token_ids: list[int], payload: Any) -> str | None:
        family, modality = self._adapter.family, self._adapter.feature_modality
        fields: Any = {"fingerprint": self._adapter.fingerprint(), "modality": modality}
        fields |= {"family": family, "mm_hash": "0" * 32, "raw_image_id": "trial.png"}
        ref = RawMMRef(run_id="trial", payload=payload, **fields)
        try:
            own = expand_prompt(
                [self._target_id], [ref], self._adapter, vocabulary=self._vocabulary
            )
        except MMRawError as error:
            return f"features take no refs of this model: {error.message}"
        if own.token_ids != token_ids:
            return "features take no refs of this model: its prompts are not those of its family"
        return None


def _misfit(code: Any, what: str, width: int, height: int) -> MMRawError:
    # What the server counts by is then not in its image processor's configuration.
    message = f"on a trial image of {width}x{height} pixels, the server's processor gives {what}"
    rest = "the layout parameters that were found are not all it counts by"
    return MMRawError(code, f"{message}; {rest}")
