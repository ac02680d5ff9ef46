"""A random Gemma 4, small enough to be made and served on a CPU within seconds.

Needs torch, tokenizers and transformers.
"""

# pyright: reportMissingImports=false

import json
from pathlib import Path

from tiny_models import make_tokenizer

_NAMED = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
    "video_token": "<|video|>",
}
#: Beyond the bytes, as the chat template and the released renderer use them.
_TOKENS = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<|turn>",
    "<turn|>",
    "<|channel>",
    "<channel|>",
    "<|think|>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    '<|"|>',
    *_NAMED.values(),
)
_TEMPLATE = (
    "<bos>{%- for message in messages -%}{{ '<|turn>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type in ('image', 'image_url') -%}<|image|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<turn|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|turn>model\n' }}{%- endif -%}"
)
_TEXT = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "global_head_dim": 32,
    "layer_types": ["full_attention", "full_attention"],
    "max_position_embeddings": 32768,
    "vocab_size_per_layer_input": 512,
    "hidden_size_per_layer_input": 0,
    "initializer_range": 0.2,
}
_VISION = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "initializer_range": 0.2,
}


def make_gemma4_model(folder: Path) -> Path:
    """A random Gemma 4 of two layers; returns `folder`."""
    import torch
    import transformers as hf

    folder.mkdir(parents=True, exist_ok=True)
    ids = make_tokenizer(folder, _TOKENS, _TEMPLATE, end="<turn|>", pad="<pad>")
    path = folder / "tokenizer_config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **_NAMED, "extra_special_tokens": _NAMED}))
    config = hf.Gemma4Config(
        text_config={**_TEXT, "eos_token_id": ids["<turn|>"], "bos_token_id": ids["<bos>"]},
        vision_config=_VISION,
        image_token_id=ids["<|image|>"],
        boi_token_id=ids["<|image>"],
        eoi_token_id=ids["<image|>"],
        video_token_id=ids["<|video|>"],
        audio_token_id=ids["<|audio|>"],
    )
    # vLLM counts tokens by this, and not by the image processor.
    config.vision_config.default_output_length = 280
    torch.manual_seed(0)
    model = hf.Gemma4ForConditionalGeneration(config)
    # Ends of the model are tied: with larger embeddings each token would be followed by itself.
    model.get_input_embeddings().weight.data.mul_(0.02)
    model.to(torch.bfloat16).save_pretrained(folder)
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(),
        video_processor=hf.Gemma4VideoProcessor(),
        tokenizer=hf.AutoTokenizer.from_pretrained(folder),
    )
    processor.save_pretrained(folder)
    return folder
