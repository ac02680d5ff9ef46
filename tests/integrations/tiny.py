"""A tokenizer of 300-odd tokens that has every special token the released renderers ask for."""

from __future__ import annotations

import functools
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

QWEN = (
    "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
)  # fmt: skip
KIMI = (
    "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|media_begin|>",
    "<|media_content|>", "<|media_pad|>", "<|media_end|>", "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
)  # fmt: skip
GEMMA = (
    "<bos>", "<eos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|tool>",
    "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|image>",
    "<|image|>", "<image|>", '<|"|>',
)  # fmt: skip
NEMOTRON = ("<img>", "<image>", "</img>")
INKLING = (
    "<|message_user|>", "<|message_model|>", "<|message_system|>", "<|message_tool|>",
    "<|content_text|>", "<|content_thinking|>", "<|content_image|>", "<|content_audio_input|>",
    "<|content_xml|>", "<|content_invoke_tool_json|>", "<|content_invoke_tool_text|>",
    "<|content_model_end_sampling|>", "<|end_message|>", "<|audio_end|>", "<|unused_200054|>",
    "<|unused_200053|>",
)  # fmt: skip
SPECIAL = QWEN + KIMI + GEMMA + NEMOTRON + INKLING
WORDS = "a picture of the red green blue square what is in this image hello user assistant tool"


@functools.cache
def tokenizer() -> Any:
    """Byte-level BPE trained on a dozen words; offline, made in milliseconds."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([WORDS] * 4, trainer)
    inner.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<|endoftext|>")
    # The renderers compare ids with that of the unknown token.
    fast.unk_token = None
    fast.name_or_path = "tiny"
    return fast
