"""Random checkpoints, small enough to be made and served on a CPU within seconds.

The tokenizer knows bytes and the special tokens of its family; the weights are random but seeded,
so greedy decoding gives the same tokens every time. Needs torch, tokenizers and transformers.
"""

# pyright: reportMissingImports=false

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PIXELS = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}

#: Beyond the bytes, as the families' chat templates and the released renderer use them.
QWEN_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
KIMI_TOKENS = (
    "[BOS]",
    "[EOS]",
    "[PAD]",
    "<|im_end|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_system|>",
    "<|im_middle|>",
    "<|media_begin|>",
    "<|media_content|>",
    "<|media_end|>",
    "<|media_pad|>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
    "<think>",
    "</think>",
)

QWEN_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type in ('image', 'image_url') -%}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
KIMI_TEMPLATE = (
    "{%- for message in messages -%}<|im_{{ message.role }}|>{{ message.role }}<|im_middle|>"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type in ('image', 'image_url') -%}"
    "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_assistant|>assistant<|im_middle|>{%- endif -%}"
)


def _write(folder: Path, name: str, document: Any) -> None:
    (folder / name).write_text(json.dumps(document, indent=1), encoding="utf-8")


def make_tokenizer(
    folder: Path, special: Sequence[str], template: str, *, end: str, pad: str
) -> dict[str, int]:
    """Writes a tokenizer of bytes and special tokens; returns the ids of the latter."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": pad,
        # The released renderer tells known tokens from unknown ones by this.
        "unk_token": None,
        "model_max_length": 1 << 20,
        "additional_special_tokens": list(special),
    }
    _write(folder, "tokenizer_config.json", config)
    return {token: tokenizer.token_to_id(token) for token in special}


def make_qwen3_vl(folder: Path, *, max_pixels: int = 16777216) -> Path:
    """A random Qwen3-VL of about half a million parameters; returns `folder`."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    ids = make_tokenizer(folder, QWEN_TOKENS, QWEN_TEMPLATE, end="<|im_end|>", pad="<|endoftext|>")
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, **_PIXELS}
    image = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": 65536, "longest_edge": max_pixels},
    }
    _write(folder, "preprocessor_config.json", image | patches)
    video = {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": 4096, "longest_edge": 25165824},
        "fps": 2,
        "min_frames": 4,
        "max_frames": 768,
    }
    _write(folder, "video_preprocessor_config.json", video | patches)
    rope = {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_interleaved": True,
        "mrope_section": [6, 5, 5],
    }
    text = {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 32768,
        "rope_parameters": rope,
        "eos_token_id": ids["<|im_end|>"],
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [0],
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return folder


def make_kimi_k25(folder: Path) -> Path:
    """A random Kimi K2.5 with one dense layer and one of experts; returns `folder`."""
    import torch
    from transformers import Kimi_K25Config, Kimi_K25ForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    ids = make_tokenizer(folder, KIMI_TOKENS, KIMI_TEMPLATE, end="<|im_end|>", pad="[PAD]")
    media = {
        "in_patch_limit": 16384,
        "patch_size": 14,
        "merge_kernel_size": 2,
        "fixed_output_tokens": None,
        "patch_limit_on_one_side": 512,
        "in_patch_limit_each_frame": None,
        "in_patch_limit_video": None,
        "sample_fps": 2,
        "max_num_frames_each_video": None,
        "temporal_merge_kernel_size": 4,
        "timestamp_mode": "hh:mm:ss.fff",
        "config_type": "media_proc.processors.moonvit.MoonViTMediaProcessorConfig",
        **_PIXELS,
    }
    document = {"image_processor_type": "Kimi_K25ImageProcessor", "media_proc_cfg": media}
    _write(folder, "preprocessor_config.json", document)
    text = {
        "model_type": "deepseek_v3",
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "moe_intermediate_size": 32,
        "num_hidden_layers": 2,
        "first_k_dense_replace": 1,
        "topk_method": "noaux_tc",
        "scoring_func": "sigmoid",
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "initializer_range": 0.2,
        "q_lora_rank": 32,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 64,
        "v_head_dim": 32,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 50_000.0},
        "eos_token_id": ids["<|im_end|>"],
        "bos_token_id": ids["[BOS]"],
        "pad_token_id": ids["[PAD]"],
        "tie_word_embeddings": False,
    }
    vision = {
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 2,
        "pos_emb_height": 64,
        "pos_emb_width": 64,
        "pos_emb_time": 4,
    }
    config = Kimi_K25Config(
        text_config=text,
        vision_config=vision,
        projection_hidden_size=64,
        image_token_id=ids["<|media_pad|>"],
        vision_start_token_id=ids["<|media_begin|>"],
        vision_end_token_id=ids["<|media_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Kimi_K25ForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    _rename_weights(folder / "model.safetensors")
    path = folder / "config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    # As published: the name by which vLLM knows its own implementation, and chunks for its chat.
    document["architectures"] = ["KimiK25ForConditionalGeneration"]
    document["use_unified_vision_chunk"] = True
    _write(folder, path.name, document)
    return folder


#: Names that Transformers 5.19 writes otherwise than the published checkpoints.
_RENAMES = {
    "language_model.model.blocks.": "language_model.model.layers.",
    "model.mm_projector.": "mm_projector.",
    "vision_tower.encoder.patch_embed.": "vision_tower.patch_embed.",
}


def _rename_weights(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    renamed = {}
    for name, tensor in load_file(path).items():
        for old, new in _RENAMES.items():
            if name.startswith(old):
                name = new + name.removeprefix(old)
        renamed[name] = tensor
    save_file(renamed, path, metadata={"format": "pt"})
