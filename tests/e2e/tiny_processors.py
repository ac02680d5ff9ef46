"""Checkpoints without weights: what vLLM needs to process prompts of a family.

Needs tokenizers and transformers.
"""

# pyright: reportMissingImports=false

import json
from pathlib import Path
from typing import Any

from tiny_models import make_tokenizer

_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 512,
    "max_position_embeddings": 8192,
}
_VISION = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_ENDS = ("<pad>", "</s>")


def _tokenizer(folder: Path, special: tuple[str, ...], **named: str) -> tuple[Any, dict[str, int]]:
    """A tokenizer of bytes and special tokens, some under names of their own."""
    from transformers import AutoTokenizer

    folder.mkdir(parents=True)
    ids = make_tokenizer(folder, (*_ENDS, *special), "", end="</s>", pad="<pad>")
    if named:
        path = folder / "tokenizer_config.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        del document["additional_special_tokens"]
        path.write_text(json.dumps({**document, **named, "extra_special_tokens": named}))
    return AutoTokenizer.from_pretrained(folder), ids


def _save(folder: Path, config: Any, architecture: str, processor: Any) -> Path:
    config.architectures = [architecture]
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _glm_tokens(folder: Path) -> tuple[Any, dict[str, int]]:
    """A tokenizer with GLM's tokens around pictures, and their ids by name of configuration."""
    kinds = ("image", "video")
    names = tuple(f"<|{p}{kind}|>" for kind in kinds for p in ("begin_of_", "", "end_of_"))
    tokenizer, ids = _tokenizer(folder, names)
    tokens: dict[str, int] = {}
    for kind in kinds:
        tokens[f"{kind}_token_id"] = ids[f"<|{kind}|>"]
        tokens[f"{kind}_start_token_id"] = ids[f"<|begin_of_{kind}|>"]
        tokens[f"{kind}_end_token_id"] = ids[f"<|end_of_{kind}|>"]
    return tokenizer, tokens


def make_glm4v(folder: Path) -> Path:
    """GLM-4.1V."""
    import transformers as hf

    tokenizer, tokens = _glm_tokens(folder)
    vision = {"depth": 1, "hidden_size": 64, "num_heads": 2, "out_hidden_size": 64}
    config = hf.Glm4vConfig(text_config=_TEXT, vision_config=vision, **tokens)
    processor = hf.Glm4vProcessor(
        image_processor=hf.Glm4vImageProcessor(),
        video_processor=hf.Glm4vVideoProcessor(),
        tokenizer=tokenizer,
    )
    return _save(folder, config, "Glm4vForConditionalGeneration", processor)


def make_gemma4(folder: Path) -> Path:
    """Gemma 4."""
    import transformers as hf

    tokenizer, ids = _tokenizer(
        folder,
        ("<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>", "<|video|>"),
        image_token="<|image|>",
        boi_token="<|image>",
        eoi_token="<image|>",
        audio_token="<|audio|>",
        boa_token="<|audio>",
        eoa_token="<audio|>",
        video_token="<|video|>",
    )
    config = hf.Gemma4Config(
        text_config=_TEXT,
        vision_config=_VISION,
        image_token_id=ids["<|image|>"],
        boi_token_id=ids["<|image>"],
        eoi_token_id=ids["<image|>"],
        video_token_id=ids["<|video|>"],
    )
    # vLLM counts tokens by this, and not by the image processor.
    config.vision_config.default_output_length = 280
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(),
        video_processor=hf.Gemma4VideoProcessor(),
        tokenizer=tokenizer,
    )
    return _save(folder, config, "Gemma4ForConditionalGeneration", processor)


def make_internvl(folder: Path) -> Path:
    """InternVL in its Transformers form."""
    import transformers as hf

    tokenizer, ids = _tokenizer(
        folder,
        ("<IMG_CONTEXT>", "<img>", "</img>", "<video>"),
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = hf.InternVLConfig(
        text_config={"model_type": "qwen2", **_TEXT},
        vision_config=_VISION,
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=256,
    )
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size={"height": 448, "width": 448}),
        video_processor=hf.InternVLVideoProcessor(),
        tokenizer=tokenizer,
        image_seq_length=256,
    )
    return _save(folder, config, "InternVLForConditionalGeneration", processor)


def make_mistral3(folder: Path) -> Path:
    """Mistral 3 with Pixtral's pictures."""
    import transformers as hf

    tokenizer, ids = _tokenizer(folder, ("[IMG]", "[IMG_BREAK]", "[IMG_END]"))
    config = hf.Mistral3Config(
        text_config={"model_type": "mistral", **_TEXT},
        vision_config={"model_type": "pixtral", "image_size": 1540, "patch_size": 14, **_VISION},
        image_token_index=ids["[IMG]"],
        spatial_merge_size=2,
    )
    processor = hf.PixtralProcessor(
        image_processor=hf.PixtralImageProcessor(size={"longest_edge": 1540}, patch_size=14),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
    )
    return _save(folder, config, "Mistral3ForConditionalGeneration", processor)
