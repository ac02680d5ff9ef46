"""Transformers' whole processors (text and images in, ids and tensors out), toy tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import processors
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import CONFIG_MAPPING as CONFIGS
from transformers import PreTrainedTokenizerFast
from transformers.models.auto.image_processing_auto import (
    IMAGE_PROCESSOR_MAPPING_NAMES as IMAGE_PROCESSORS,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES as PROCESSORS

from mmraw_protocol.families import Adapter, get_adapter
from mmraw_protocol.wire._generated.families import FAMILIES, Line

__all__ = [
    "CONFIGS",
    "IMAGE_PROCESSORS",
    "PROCESSORS",
    "WHOLE",
    "adapter_of_line",
    "whole_processor",
]


@dataclass(frozen=True)
class Whole:
    """The recipe of a whole processor besides its image processor and tokenizer.

    Attributes:
        parts: Classes of its other parts, by the names of its arguments.
        tokens: Names that its tokenizer has for tokens; of an image's by the role in a prompt.
        arguments: Its own settings, from our layout parameters.
        writes_around: Whether it writes the tokens around the span, which else the text has.
    """

    parts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    arguments: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda _: {})
    writes_around: bool = False


_OMNI = Whole(
    {"video_processor": "Qwen2VLVideoProcessor", "feature_extractor": "WhisperFeatureExtractor"},
    {
        "image_token": "token",
        "vision_bos_token": "before",
        "vision_eos_token": "after",
        "audio_token": "<|audio|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
        "video_token": "<|video|>",
    },
)
#: One row for each class of processors that a line of checkpoints has.
WHOLE: dict[str, Whole] = {
    "Gemma4Processor": Whole(
        {
            "video_processor": "Gemma4VideoProcessor",
            "feature_extractor": "Gemma4AudioFeatureExtractor",
        },
        {
            "image_token": "token",
            "boi_token": "before",
            "eoi_token": "after",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        writes_around=True,
    ),
    "Glm46VProcessor": Whole({"video_processor": "Glm46VVideoProcessor"}),
    "Glm4vProcessor": Whole({"video_processor": "Glm4vVideoProcessor"}),
    "Glm5NextProcessor": Whole({"video_processor": "Glm5NextVideoProcessor"}),
    "InklingProcessor": Whole({"feature_extractor": "InklingFeatureExtractor"}),
    "InternVLProcessor": Whole(
        {"video_processor": "InternVLVideoProcessor"},
        {
            "context_image_token": "token",
            "start_image_token": "before",
            "end_image_token": "after",
            "video_token": "<video>",
        },
        lambda p: {"image_seq_length": p["image_seq_length"]},
        writes_around=True,
    ),
    "Kimi_K25Processor": Whole({"video_processor": "Kimi_K25VideoProcessor"}),
    "NemotronH_Omni_Reasoning_V3Processor": Whole(
        {
            "video_processor": "NemotronH_Omni_Reasoning_V3VideoProcessor",
            "feature_extractor": "ParakeetFeatureExtractor",
        },
        writes_around=True,
    ),
    "PixtralProcessor": Whole(
        arguments=lambda p: {name: p[name] for name in ("patch_size", "spatial_merge_size")}
    ),
    "Qwen2VLProcessor": Whole({"video_processor": "Qwen2VLVideoProcessor"}),
    "Qwen2_5OmniProcessor": _OMNI,
    "Qwen2_5_VLProcessor": Whole({"video_processor": "Qwen2VLVideoProcessor"}),
    "Qwen3OmniMoeProcessor": _OMNI,
    "Qwen3VLProcessor": Whole({"video_processor": "Qwen3VLVideoProcessor"}),
}


def adapter_of_line(family: str, name: str) -> Adapter:
    """The adapter of a line's published parameters, whose span is as long as the image's tokens."""
    info = FAMILIES[family]
    config: Any = get_adapter(family, name)
    module = import_module(f"mmraw_protocol.families.{family}")
    return module.ADAPTER(config.config, [None, *info.conventions][-1], name)


def tokenizer_for(line: Line, whole: Whole) -> Any:
    """Bytes as tokens, and the tokens of the line as tokens of their own."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(bytes_)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    # A text around an image may be several tokens; which ones is not looked at here.
    texts = [text for text in (*line.placeholder, *line.token_ids) if text]
    named = {name: getattr(line.placeholder, role, role) for name, role in whole.tokens.items()}
    added = dict.fromkeys([*texts, *named.values(), "<pad>"])
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in added])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", extra_special_tokens=named
    )


def whole_processor(family: str, adapter: Adapter, line: Line, name: str) -> Any:
    """The processor of class `name`, by the layout parameters of a line."""
    whole, parameters = WHOLE[name], processors.parameters_of(adapter)
    parts = {part: getattr(transformers, kind)() for part, kind in whole.parts.items()}
    return getattr(transformers, name)(
        image_processor=processors.real(family, parameters),
        tokenizer=tokenizer_for(line, whole),
        **parts,
        **whole.arguments(parameters),
    )
