"""Refs in the place of image URLs, and the same conversation with data: URLs, on one server."""

import copy
from typing import Any

import httpx
from exchange import GENERATE, RUN, TOKENS, Messages, image_part, render
from pictures import KINDS, picture
from server import VllmServer

from mmraw_protocol import RawMMRef, format_ref
from mmraw_protocol.families import Adapter
from mmraw_protocol.stores import LocalStore
from tests.described_refs import ref_of

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
ONE = KINDS["jpeg"](picture(320, 200, 1))
TWO = KINDS["png"](picture(640, 480, 2))
THREE = KINDS["webp"](picture(64, 64, 3))
GREEDY = {"temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}


class Urls:
    """A client of a server that takes refs as URLs.

    Args:
        server: With the plugin.
        adapter: The model's layout.
        target: The token of a prompt that vLLM expands for an image.
        store: The server's.
    """

    def __init__(
        self, server: VllmServer, adapter: Adapter, target: int, store: LocalStore
    ) -> None:
        self.server = server
        self.adapter = adapter
        self.target = target
        self.store = store

    def fields(self, data: bytes, **changes: Any) -> RawMMRef:
        """A stored ref, with some fields changed."""
        source = {"raw_image_id": self.store.put(data)}
        return ref_of(self.adapter, data, **({"run_id": RUN} | source | changes))

    def ref(self, data: bytes, **changes: Any) -> str:
        """Its text."""
        return format_ref(self.fields(data, **changes))

    def inline(self, data: bytes) -> str:
        """A ref that carries its image."""
        url = image_part(data)["image_url"]["url"]
        kind = self.adapter.describe(data).format
        url = url.replace("image/png", f"image/{kind}")
        return self.ref(data, raw_image_id=None, raw_uri=url)

    def chat(self, messages: Messages, path: str = CHAT, **fields: Any) -> httpx.Response:
        """The answer of stock chat to messages of either kind."""
        options = {**GREEDY, "return_token_ids": True, **fields}
        return self.server.post(path, {"model": "tiny", "messages": messages, **options})

    def chat_tokens(self, messages: Messages) -> list[int]:
        """Greedy tokens of stock chat."""
        return tokens_of(self.chat(messages))

    def generate(self, token_ids: list[int], *urls: str, **fields: Any) -> httpx.Response:
        """The answer of the generate route to content parts."""
        body = {
            "model": "tiny",
            "token_ids": token_ids,
            "content_parts": [{"type": "image_url", "url": url} for url in urls],
            "sampling_params": GREEDY,
            "return_token_ids": True,
        }
        return self.server.post(GENERATE, body | fields)

    def compact(self, messages: Messages) -> list[int]:
        """The prompt before vLLM expands it: one token for an image."""
        ids = render(self.server, messages)["token_ids"]
        return [
            token
            for index, token in enumerate(ids)
            if token != self.target or index == 0 or ids[index - 1] != self.target
        ]


def user(*parts: str) -> dict[str, Any]:
    """A user's message; what begins with a scheme is an image's URL, all else is text."""
    content = [
        {"type": "image_url", "image_url": {"url": part}}
        if part.startswith(("mmraw:", "data:"))
        else {"type": "text", "text": part}
        for part in parts
    ]
    return {"role": "user", "content": content}


def data_url(data: bytes) -> str:
    """The data: URL of an image."""
    return image_part(data)["image_url"]["url"]


def tokens_of(answer: httpx.Response) -> list[int]:
    """The tokens of an answer that must be one."""
    assert answer.status_code == 200, answer.text
    return copy.copy(answer.json()["choices"][0]["token_ids"])


def refusal(answer: httpx.Response, status: int = 400) -> str:
    """The message of a refusal in vLLM's own shape."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["message"]


def broken(urls: Urls) -> dict[str, str]:
    """A ref of each kind that is refused, by its code."""
    other = "vision_chunk" if urls.adapter.feature_modality == "image" else "image"
    name = urls.store.put(KINDS["webp"](picture(64, 64, 9)))
    (urls.store.root / name).write_bytes(ONE)
    cut_off = TWO[: len(TWO) // 2]
    cut_name = urls.store.put(cut_off)
    return {
        "unsupported_dialect": "mmraw:v9:x",
        "invalid_base64": "mmraw:v3:e31",
        "modality_mismatch": urls.ref(TWO, modality=other),
        "run_mismatch": urls.ref(TWO, run_id="exp43"),
        "unknown_family": urls.ref(TWO, family="other"),
        "fingerprint_mismatch": urls.ref(TWO, fingerprint="0" * 32),
        "hash_mismatch": urls.ref(TWO, mm_hash="0" * 32),
        "source_unavailable": urls.ref(TWO, raw_image_id="0" * 64 + ".png"),
        "object_corrupt": urls.ref(TWO, raw_image_id=name, mm_hash=name[:32]),
        "image_undecodable": urls.ref(TWO, raw_image_id=cut_name, mm_hash=cut_name[:32]),
        "grid_mismatch": urls.ref(TWO, payload=urls.adapter.layout(320, 640).payload),
    }
