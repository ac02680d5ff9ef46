"""Tiny random models of Transformers, one for each line of checkpoints that it has a class for.

Sizes come from the layout parameters of the line, so that the model takes the processor's tensors;
ids of tokens are those of the whole processor's toy tokenizer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING
from whole_processors import adapter_of_line, whole_processor

from mmraw_protocol.families import Adapter
from mmraw_protocol.wire._generated.families import FAMILIES, Line

#: The configuration of every tiny language model.
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
VISION: dict[str, Any] = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_heads": 2,
    "out_hidden_size": 32,
}


def _rope(**more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000, **more}


def _patches(p: dict[str, Any]) -> dict[str, Any]:
    return {
        "patch_size": p["patch_size"],
        "spatial_merge_size": p["merge_size"],
        "temporal_patch_size": p["temporal_patch_size"],
    }


def _qwen2(p: dict[str, Any]) -> dict[str, Any]:
    vision = {**VISION, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 1, **_patches(p)}
    text = {**TEXT, "rope_parameters": _rope(mrope_section=[2, 3, 3])}
    return {"text_config": text, "vision_config": vision}


def _qwen2_5(p: dict[str, Any]) -> dict[str, Any]:
    vision = {**VISION, **_patches(p), "window_size": 112, "fullatt_block_indexes": [1]}
    return {**_qwen2(p), "vision_config": vision}


def _qwen3(p: dict[str, Any]) -> dict[str, Any]:
    vision = {
        **VISION,
        **_patches(p),
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    rope = _rope(mrope_section=[4, 2, 2], mrope_interleaved=True)
    return {"text_config": {**TEXT, "rope_parameters": rope}, "vision_config": vision}


def _qwen3_5(p: dict[str, Any]) -> dict[str, Any]:
    config = _qwen3(p)
    config["text_config"] |= {
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
    }
    return config


def _gemma4(p: dict[str, Any]) -> dict[str, Any]:
    text = {
        **TEXT,
        "layer_types": ["sliding_attention", "full_attention"],
        "hidden_size_per_layer_input": 8,
        "use_bidirectional_attention": "vision",
    }
    vision = {
        **TEXT,
        "num_key_value_heads": 2,
        "patch_size": p["patch_size"],
        "pooling_kernel_size": p["pooling_kernel_size"],
        "position_embedding_size": 256,
    }
    return {"text_config": text, "vision_config": vision, "audio_config": None}


def _glm4v(p: dict[str, Any]) -> dict[str, Any]:
    rope = _rope(mrope_section=[1, 1, 2], partial_rotary_factor=0.5)
    vision = {**VISION, **_patches(p), "image_size": 112}
    return {"text_config": {**TEXT, "rope_parameters": rope}, "vision_config": vision}


def _glm5_next(p: dict[str, Any]) -> dict[str, Any]:
    text = {
        **TEXT,
        "num_key_value_heads": 2,
        "head_dim": 0,
        "moe_intermediate_size": 16,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_nope_head_dim": 16,
        "v_head_dim": 16,
        "layer_types": ["linear_attention", "indexed_attention"],
        "mlp_layer_types": ["dense", "sparse"],
        "index_topk": 64,
        "index_head_dim": 8,
        "index_n_heads": 2,
        "linear_head_dim": 8,
        "linear_num_heads": 2,
        "hc_mult": 2,
    }
    vision = {**VISION, **_patches(p), "image_size": 112, "projection_intermediate_size": 32}
    return {"text_config": text, "vision_config": vision}


def _inkling(p: dict[str, Any]) -> dict[str, Any]:
    text = {
        **TEXT,
        "swa_num_attention_heads": 2,
        "swa_num_key_value_heads": 1,
        "swa_head_dim": 16,
        "d_rel": 4,
        "moe_intermediate_size": 16,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
    }
    vision = {
        "hidden_size": 32,
        "text_hidden_size": 32,
        # As many as it has scales: with fewer Transformers asks for scipy, with more for gigabytes.
        "num_hidden_layers": 6,
        "num_attention_heads": 2,
        "patch_size": p["patch"],
    }
    audio = {"text_hidden_size": 32, "n_mel_bins": 4, "mel_vocab_size": 8}
    return {"text_config": text, "vision_config": vision, "audio_config": audio}


def _internvl(p: dict[str, Any]) -> dict[str, Any]:
    vision = {
        **{k: v for k, v in TEXT.items() if k not in ("head_dim", "num_key_value_heads")},
        "image_size": [p["tile"], p["tile"]],
        "patch_size": [14, 14],
    }
    tokens = {"image_seq_length": p["image_seq_length"], "downsample_ratio": 0.5}
    return {"text_config": {**TEXT, "model_type": "qwen2"}, "vision_config": vision, **tokens}


def _kimi(p: dict[str, Any]) -> dict[str, Any]:
    text = {
        **TEXT,
        "model_type": "deepseek_v3",
        "head_dim": 8,
        "num_key_value_heads": 2,
        "moe_intermediate_size": 16,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "first_k_dense_replace": 1,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": p["patch_size"],
        "merge_kernel_size": [p["merge_kernel_size"]] * 2,
    }
    return {"text_config": text, "vision_config": vision, "projection_hidden_size": 32}


def _nemotron(p: dict[str, Any]) -> dict[str, Any]:
    text = {
        **TEXT,
        "model_type": "nemotron_h",
        "layers_block_type": ["mamba", "attention"],
        "ssm_state_size": 8,
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "n_groups": 1,
    }
    vision = {
        "model_type": "radio",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": p["patch_size"],
        "video_temporal_patch_size": 2,
    }
    more = {"projector_hidden_size": 32, "vision_hidden_size": 32}
    return {"text_config": text, "vision_config": vision, "audio_config": None, **more}


def _pixtral(p: dict[str, Any]) -> dict[str, Any]:
    vision = {
        **{k: v for k, v in TEXT.items() if k not in ("num_key_value_heads",)},
        "model_type": "pixtral",
        "image_size": p["longest_edge"],
        "patch_size": p["patch_size"],
    }
    return {"text_config": {**TEXT, "model_type": "mistral"}, "vision_config": vision}


def _mistral3(p: dict[str, Any]) -> dict[str, Any]:
    return {**_pixtral(p), "spatial_merge_size": p["spatial_merge_size"]}


def _llava(p: dict[str, Any]) -> dict[str, Any]:
    return {**_pixtral(p), "vision_feature_layer": -1, "vision_feature_select_strategy": "full"}


@dataclass(frozen=True)
class Tiny:
    """The recipe of a line's model.

    Attributes:
        model: Its class in Transformers.
        settings: Of its configuration, from the layout parameters of the line.
        ids: The configuration's names of tokens, by the role of the token or its text.
    """

    model: str
    settings: Callable[[dict[str, Any]], dict[str, Any]]
    ids: dict[str, str]


_VISION_IDS = {
    "image_token_id": "token",
    "vision_start_token_id": "before",
    "vision_end_token_id": "after",
}
_IMAGE_IDS = {
    "image_token_id": "token",
    "image_start_token_id": "before",
    "image_end_token_id": "after",
}
#: By line of checkpoints.
TINY: dict[str, Tiny] = {
    "qwen2_vl": Tiny("Qwen2VLForConditionalGeneration", _qwen2, _VISION_IDS),
    "qwen2_5_vl": Tiny("Qwen2_5_VLForConditionalGeneration", _qwen2_5, _VISION_IDS),
    "qwen3_vl": Tiny("Qwen3VLForConditionalGeneration", _qwen3, _VISION_IDS),
    "gemma4": Tiny("Gemma4ForConditionalGeneration", _gemma4, {"image_token_id": "token"}),
    "glm4v": Tiny("Glm4vForConditionalGeneration", _glm4v, _IMAGE_IDS),
    "glm5_next": Tiny("Glm5NextForConditionalGeneration", _glm5_next, _IMAGE_IDS),
    "inkling": Tiny("InklingForConditionalGeneration", _inkling, {"image_token_id": "token"}),
    "internvl": Tiny("InternVLForConditionalGeneration", _internvl, {"image_token_id": "token"}),
    "kimi_k25": Tiny("Kimi_K25ForConditionalGeneration", _kimi, {"image_token_id": "token"}),
    "nemotron_h_omni": Tiny("NemotronH_Omni_Reasoning_V3", _nemotron, {"image_token_id": "token"}),
    "pixtral": Tiny("LlavaForConditionalGeneration", _llava, {"image_token_index": "token"}),
    "mistral3": Tiny("Mistral3ForConditionalGeneration", _mistral3, {"image_token_index": "token"}),
    "qwen3_5": Tiny("Qwen3_5ForConditionalGeneration", _qwen3_5, _VISION_IDS),
}


@dataclass(frozen=True)
class Trained:
    """A line's whole processor, our adapter of the same parameters, and a model for both."""

    family: str
    name: str
    line: Line
    adapter: Adapter
    processor: Any
    model: Any

    def text(self, images: int) -> str:
        """A prompt with so many images, as the whole processor takes it."""
        return "".join(f"{i}: {self.image_text} what is it? " for i in range(images)) + "red"

    @property
    def image_text(self) -> str:
        """The text that stands for one image."""
        tokens = self.line.placeholder
        return f"{tokens.before}{tokens.token}{tokens.after}"


def family_of(line: str) -> str:
    (family,) = [name for name, info in FAMILIES.items() if line in info.lines]
    return family


@functools.cache
def trained(name: str) -> Trained:
    """The model of a line in training, the same in each run."""
    tiny, family = TINY[name], family_of(name)
    line = FAMILIES[family].lines[name]
    adapter = adapter_of_line(family, name)
    parameters = {**_parameters(adapter)}
    processor = whole_processor(family, adapter, line, line.processor_classes[0])
    vocabulary = processor.tokenizer.get_vocab()
    roles = line.placeholder._asdict()
    ids = {key: vocabulary[roles.get(text, text)] for key, text in tiny.ids.items()}
    settings = tiny.settings(parameters)
    settings["text_config"] |= {"vocab_size": len(vocabulary) + 8, "pad_token_id": 0}
    config = CONFIG_MAPPING[_model_type(tiny.model)](**settings, **ids)
    torch.manual_seed(17)
    model = getattr(transformers, tiny.model)(config).train()
    return Trained(family, name, line, adapter, processor, model)


def _parameters(adapter: Any) -> dict[str, Any]:
    from processors import parameters_of

    return parameters_of(adapter)


def _model_type(model: str) -> str:
    return getattr(transformers, model).config_class.model_type
