"""A stand-in for what `connection` asks of a running vLLM server; nothing of vLLM is imported."""

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mmraw_protocol.families import Adapter
from mmraw_protocol.families.readings import reading_of
from mmraw_protocol.wire._generated.families import FAMILIES

MODULES: dict[str, dict[str, Any]] = {
    "vllm.multimodal.processing": {
        "ProcessorInputs": lambda prompt, items, names, cache: SimpleNamespace(
            prompt=prompt, items=items
        ),
        "TimingContext": lambda enabled: None,
    },
    "vllm.utils.torch_utils": {"set_default_torch_num_threads": nullcontext},
    "vllm.entrypoints.scale_out.token_in_token_out.mm_serde": {"encode_mm_kwargs_item": str},
}


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of vLLM that `connection` looks up."""
    for path, names in MODULES.items():
        parts = path.split(".")
        for end in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(parts[end - 1]))
        module = ModuleType(path)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, path, module)


class ServersProcessor:
    """The server's processor: lays out by `truth`, and says so in the family's names.

    Attributes:
        prompts: The prompts that it was asked to expand.
        without: Names that its items lack.
    """

    def __init__(self, truth: Adapter, info: Any, without: tuple[str, ...] = ()) -> None:
        self.truth = truth
        self.info = info
        self.without = without
        self.prompts: list[list[int]] = []

    def apply(self, inputs: Any, timing: Any) -> dict[str, Any]:
        """What vLLM's own `apply` returns, as far as it is looked at."""
        self.prompts.append(inputs.prompt)
        ((modality, (data,)),) = inputs.items.items()
        picture = data["image"] if isinstance(data, dict) else data
        layout = self.truth.layout(*picture.size)
        names = FAMILIES[self.truth.family].vllm.item
        item = {
            name: SimpleNamespace(data=reading_of(reading, layout))
            for name, reading in names.items()
            if name not in self.without
        }
        span = SimpleNamespace(get_num_embeds=lambda: layout.num_tokens)
        return {"mm_kwargs": {modality: [item]}, "mm_placeholders": {modality: [span]}}


class Info:
    """What the server knows of its model's processor."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def get_hf_processor(self) -> Any:
        """The model's processor."""
        return self.processor

    def parse_mm_data(self, data: Any) -> Any:
        """As it is."""
        return data


class ImageProcessor:
    """An image processor of Transformers: its configuration alone."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def to_dict(self) -> dict[str, Any]:
        """Its configuration."""
        return self.config


def state(
    truth: Adapter,
    processor: Any,
    hf_config: dict[str, Any],
    *,
    overrides: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **model_config: Any,
) -> Any:
    """The state of a server's application; its tokenizer knows the family's tokens."""
    info = FAMILIES[truth.family]
    texts = {
        info.placeholder.token,
        info.vllm.target,
        *info.lines[next(iter(info.lines))].token_ids,
    }
    vocabulary = {text: index for index, text in enumerate(sorted(texts), 100)}
    config = SimpleNamespace(
        is_multimodal_model=True,
        hf_config=SimpleNamespace(**hf_config),
        multimodal_config=SimpleNamespace(mm_processor_kwargs=overrides),
        **model_config,
    )
    own = ServersProcessor(truth, Info(processor), without)
    renderer = SimpleNamespace(
        model_config=config,
        tokenizer=SimpleNamespace(get_vocab=lambda: vocabulary),
        get_mm_processor=lambda: own,
    )
    return SimpleNamespace(online_renderer=SimpleNamespace(renderer=renderer))
