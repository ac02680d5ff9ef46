"""Checkpoints without weights that SGLang alone reads, or reads otherwise than vLLM."""

# pyright: reportMissingImports=false

import json
from pathlib import Path
from typing import Any

from tiny_models import make_kimi_k25, make_qwen3_vl, make_tokenizer
from tiny_processors import _TEXT, _VISION, _glm_tokens, _save

#: Four layers are one of each kind that these models have; a server makes weights for them.
_SMALL = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
}


def make_qwen3_5(folder: Path) -> Path:
    """Qwen3.5: Qwen3-VL's processor under another configuration."""
    from transformers import Qwen3_5Config

    make_qwen3_vl(folder)
    given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokens = {name: value for name, value in given.items() if name.endswith("_token_id")}
    config = Qwen3_5Config(text_config=_SMALL, **tokens)
    config.architectures = ["Qwen3_5ForConditionalGeneration"]
    config.save_pretrained(folder)
    return folder


def make_kimi(folder: Path) -> Path:
    """Kimi K2.5 with the name of its placeholder's id that published configurations have."""
    path = make_kimi_k25(folder) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["media_placeholder_token_id"] = config["image_token_id"]
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def make_internvl_chat(folder: Path) -> Path:
    """InternVL as its own checkpoints are, which have no processor."""
    llm = {**_TEXT, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    llm["max_position_embeddings"] = 32768
    vision = {**_VISION, "image_size": 448, "patch_size": 14, "model_type": "intern_vit_6b"}
    config: dict[str, Any] = {
        "model_type": "internvl_chat",
        "architectures": ["InternVLChatModel"],
        "llm_config": llm,
        "vision_config": {**vision, "architectures": ["InternVisionModel"]},
        "downsample_ratio": 0.5,
        "force_image_size": 448,
    }
    return _with_tokens(folder, config, "<IMG_CONTEXT>", "<img>", "</img>")


def make_nemotron(folder: Path) -> Path:
    """Nemotron-H Omni."""
    patches = {"min_num_patches": 64, "max_num_patches": 1024}
    vision = {"model_type": "radio", "patch_size": 16, "video_temporal_patch_size": 2, **patches}
    config: dict[str, Any] = {
        "model_type": "nemotron_h_omni",
        "architectures": ["NemotronH_Omni_Reasoning_V3"],
        "llm_config": {"model_type": "nemotron_h", **_TEXT},
        "vision_config": {**vision, "args": {"model": "vit_huge_patch16_224", **patches}},
        "video_temporal_patch_size": 2,
        "force_image_size": 512,
        "patch_size": 16,
        "downsample_ratio": 0.5,
        "norm_mean": [0.5, 0.5, 0.5],
        "norm_std": [0.5, 0.5, 0.5],
    }
    return _with_tokens(folder, config, "<unk>", "<image>", "<img>", "</img>", "<video>")


def make_glm5_next(folder: Path) -> Path:
    """GLM-5 Next."""
    import transformers as hf

    tokenizer, tokens = _glm_tokens(folder)
    text = {**_SMALL, "moe_intermediate_size": 128, "n_routed_experts": 8, "pad_token_id": 0}
    config = hf.Glm5NextConfig(text_config=text, **tokens)
    processor = hf.Glm5NextProcessor(
        image_processor=hf.Glm5NextImageProcessor(),
        video_processor=hf.Glm5NextVideoProcessor(),
        tokenizer=tokenizer,
    )
    return _save(folder, config, "Glm5NextForConditionalGeneration", processor)


def _with_tokens(folder: Path, config: dict[str, Any], *tokens: str) -> Path:
    folder.mkdir(parents=True)
    make_tokenizer(folder, ("<pad>", "</s>", *tokens), "", end="</s>", pad="<pad>")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if "<unk>" in tokens:
        path = folder / "tokenizer_config.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**document, "unk_token": "<unk>"}), encoding="utf-8")
    return folder
