"""The two ways of one conversation: stock chat with data: URLs, and refs to the generate route."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from server import VllmServer

from mmraw_protocol import build_features, mm_data
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.families import Adapter
from mmraw_protocol.stores import LocalStore

RUN = "exp42"
GENERATE = "/inference/v1/generate"
TOKENS = 16

Messages = list[dict[str, Any]]


def image_part(data: bytes) -> dict[str, Any]:
    """An image of a message."""
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def user(*parts: bytes | str) -> dict[str, Any]:
    """A user's message of images and text."""
    content = [
        image_part(part) if isinstance(part, bytes) else {"type": "text", "text": part}
        for part in parts
    ]
    return {"role": "user", "content": content}


def chat_tokens(server: VllmServer, messages: Messages) -> list[int]:
    """Greedy tokens by stock chat."""
    options = {"max_tokens": TOKENS, "temperature": 0, "return_token_ids": True}
    answer = server.post(
        "/v1/chat/completions",
        {"model": "tiny", "messages": messages, "ignore_eos": True, **options},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["token_ids"]


def render(server: VllmServer, messages: Messages) -> dict[str, Any]:
    """Returns what stock chat would send to the generate route: the oracle."""
    answer = server.post("/v1/chat/completions/render", {"model": "tiny", "messages": messages})
    assert answer.status_code == 200, answer.text
    return answer.json()


class Route:
    """Refs for a server, in one dialect, from a store or inline."""

    def __init__(
        self,
        server: VllmServer,
        adapter: Adapter,
        pad_id: int,
        store: LocalStore,
        storage: Any = "offload",
        dialect: str = "v3",
    ) -> None:
        self.server = server
        self.adapter = adapter
        self.pad_id = pad_id
        self.store = store
        self.storage: Any = storage
        self.dialect = dialect

    def request(self, messages: Messages, token_ids: Sequence[int]) -> dict[str, Any]:
        """The body with refs; offsets are found in the prompt, not taken from the oracle."""
        packed = pack_images(
            messages, self.adapter, storage=self.storage, store=self.store, alpha="drop"
        )
        offsets = self.offsets(token_ids)
        features = build_features(mm_data(packed, offsets), self.dialect, run_id=RUN)
        return generate_body(token_ids, features)

    def offsets(self, token_ids: Sequence[int]) -> list[int]:
        """Returns the begin of each run of pads."""
        return [
            index
            for index, token in enumerate(token_ids)
            if token == self.pad_id and (index == 0 or token_ids[index - 1] != self.pad_id)
        ]

    def tokens(self, messages: Messages, token_ids: Sequence[int]) -> list[int]:
        """Greedy tokens by refs."""
        return generate_tokens(self.server, self.request(messages, token_ids))


def generate_body(token_ids: Sequence[int], features: Mapping[str, Any]) -> dict[str, Any]:
    """A request of the generate route, greedy."""
    sampling = {"temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}
    return {
        "model": "tiny",
        "token_ids": list(token_ids),
        "features": dict(features),
        "sampling_params": sampling,
    }


def generate_tokens(server: VllmServer, body: Mapping[str, Any]) -> list[int]:
    """The tokens that a request gives."""
    answer = server.post(GENERATE, body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["token_ids"]


def rendered_grids(rendered: Mapping[str, Any], modality: str, name: str) -> list[list[int]]:
    """The grids in the tensors that the oracle returns."""
    return [item[name].data.flatten().tolist() for item in rendered_items(rendered, modality)]


def rendered_items(rendered: Mapping[str, Any], modality: str) -> list[Any]:
    """The items that the oracle returns, decoded by vLLM."""
    from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import (  # pyright: ignore
        decode_mm_kwargs_item,
    )

    return [decode_mm_kwargs_item(text) for text in rendered["features"]["kwargs_data"][modality]]
