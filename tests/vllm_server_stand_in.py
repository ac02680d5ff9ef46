"""A stand-in for the renderer of a running vLLM server; nothing of vLLM is imported."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mmraw_protocol import RawMMRef, expand_prompt
from mmraw_protocol.families import Adapter
from mmraw_protocol.families.readings import reading_of
from mmraw_protocol.integrations.vllm.renderers import renderer_class
from mmraw_protocol.wire._generated.families import FAMILIES


class Cache:
    """The content of the engine, as vLLM believes."""

    def __init__(self) -> None:
        self.invalidated: list[str] = []

    def invalidate(self, name: str) -> None:
        """The engine has it not."""
        self.invalidated.append(name)


class StockRenderer:
    """vLLM's renderer of a model: expands by `truth`, and says so in the family's names.

    Attributes:
        asked: The prompts that it was asked to expand.
        without: Names that its items lack.
        between: A token that it writes before every prompt.
    """

    def __init__(self, truth: Adapter, vocabulary: Mapping[str, int], **attributes: Any) -> None:
        self.truth = truth
        self.vocabulary = vocabulary
        self.tokenizer = SimpleNamespace(get_vocab=lambda: vocabulary)
        self.asked: list[Any] = []
        self.without: tuple[str, ...] = ()
        self.first: list[int] = []
        self.mm_processor_cache = Cache()
        self.__dict__.update(attributes)

    def process_for_engine(
        self, prompt: Any, arrival_time: float, *, skip_mm_cache: bool = False
    ) -> Any:
        """Returns what vLLM's own method returns, as far as anything reads it."""
        self.asked.append(prompt)
        ((modality, items),) = prompt["multi_modal_data"].items()
        layouts = [self.truth.layout(*_picture(item).size) for item in items]
        refs = [_ref_of(self.truth, modality, layout.payload) for layout in layouts]
        given = prompt["prompt_token_ids"]
        found = expand_prompt(given, refs, self.truth, vocabulary=self.vocabulary).token_ids
        counts = [layout.num_tokens for layout in layouts]
        uuids = prompt.get("multi_modal_uuids", {}).get(modality) or ["pixels"] * len(items)
        return {
            "prompt_token_ids": [*self.first, *found],
            "mm_kwargs": {modality: [self._item(layout) for layout in layouts]},
            "mm_hashes": {modality: uuids},
            "mm_placeholders": {modality: [_span(count) for count in counts]},
        }

    async def process_for_engine_async(
        self, prompt: Any, arrival_time: float, **options: Any
    ) -> Any:
        """The same."""
        return StockRenderer.process_for_engine(self, prompt, arrival_time, **options)

    async def render_cmpl_async(self, prompts: Sequence[Any], *, skip_mm_cache: bool) -> Any:
        """Renders tokenized prompts."""
        assert skip_mm_cache
        return [await self.process_for_engine_async(prompt, 0.0) for prompt in prompts]

    def _item(self, layout: Any) -> Any:
        names = FAMILIES[self.truth.family].vllm.item
        return {
            name: SimpleNamespace(data=reading_of(reading, layout))
            for name, reading in names.items()
            if name not in self.without
        }


#: As the plugin puts it into vLLM's registry.
Renderer = renderer_class(StockRenderer)


def _picture(item: Any) -> Any:
    return item["image"] if isinstance(item, dict) else item


def _span(count: int) -> Any:
    return SimpleNamespace(get_num_embeds=lambda: count)


def _ref_of(adapter: Adapter, modality: str, payload: Any) -> RawMMRef:
    return RawMMRef(
        family=adapter.family,
        fingerprint=adapter.fingerprint(),
        mm_hash="0" * 32,
        modality=modality,
        payload=payload,
        raw_image_id="a.png",
        run_id="exp42",
    )


def vocabulary_of(family: str) -> dict[str, int]:
    """Ids of a family's tokens."""
    info = FAMILIES[family]
    texts = {*info.placeholder, info.vllm.target, info.vllm.before, info.vllm.after}
    texts |= {*info.lines[next(iter(info.lines))].token_ids}
    return {text: index for index, text in enumerate(sorted(texts - {""}), 100)}


class ImageProcessor:
    """An image processor of Transformers: its configuration alone."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def to_dict(self) -> dict[str, Any]:
        """Its configuration."""
        return self.config


def renderer_of(
    truth: Adapter,
    processor: Any,
    hf_config: dict[str, Any],
    *,
    overrides: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **model_config: Any,
) -> Any:
    """A server's renderer; its tokenizer knows the family's tokens."""
    config = SimpleNamespace(
        is_multimodal_model=True,
        hf_config=SimpleNamespace(**hf_config),
        multimodal_config=SimpleNamespace(mm_processor_kwargs=overrides),
        **{"max_model_len": 1 << 20, **model_config},
    )
    limits = {truth.feature_modality: 999}
    info = SimpleNamespace(get_hf_processor=lambda: processor, allowed_mm_limits=limits)
    own = SimpleNamespace(info=info)
    vocabulary = vocabulary_of(truth.family)
    attributes = {"model_config": config, "get_mm_processor": lambda: own, "without": without}
    return Renderer(truth, vocabulary, **attributes)
