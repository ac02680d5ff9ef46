"""A toy tokenizer: special tokens from 256 on; every other byte of UTF-8 is a token."""

import re

SPECIAL = {"<|im_start|>": 256, "<|im_end|>": 257, "<|vision_start|>": 258, "<|vision_end|>": 259}
PAD = 260
VOCABULARY = {**SPECIAL, "<|image_pad|>": PAD}

_PARTS = re.compile("(" + "|".join(map(re.escape, VOCABULARY)) + ")")


def encode(text: str) -> list[int]:
    """Token ids of a prompt."""
    ids: list[int] = []
    for part in _PARTS.split(text):
        ids += [VOCABULARY[part]] if part in VOCABULARY else part.encode()
    return ids


def decode(ids: list[int]) -> str:
    """The text of an answer."""
    return bytes(ids).decode()
