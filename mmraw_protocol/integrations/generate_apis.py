"""Requests and answers of servers that generate from token ids and refs, or from chat.

vLLM: POST /inference/v1/generate, the images in `features`. SGLang: POST /generate, the images in
`image_data`, in the order of the prompt. Both: POST /v1/chat/completions, the images as URLs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..wire._generated.errors import ErrorCode
from ..wire.errors import MMRawError

Document = dict[str, Any]
_Struct = TypeVar("_Struct")


class ServerError(MMRawError):
    """The server refused a request, or did not answer.

    Attributes:
        status: The HTTP status; None where there was no answer.
        modality, index: Which image is meant: its feature modality, and its place in the features'
            lists; None where the whole request is.
        detail: The server's own words, at most 2,000 characters; not for logs that others read.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        path: str = "$",
        *,
        status: int | None = None,
        modality: str | None = None,
        index: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(code, message, path)
        self.status = status
        self.modality = modality
        self.index = index
        self.detail = detail


class Generated(NamedTuple):
    """The content of an answer.

    Attributes:
        request_id: The server's name of the request.
        token_ids: What the model generated.
        logprobs: One for each of them, where the server gave them, else None.
        finish_reason: `stop`, `length`, …
    """

    request_id: str
    token_ids: list[int]
    logprobs: list[float] | None
    finish_reason: str | None


class ChatAnswer(NamedTuple):
    """The content of the answer to a chat.

    Attributes:
        request_id: The server's name of the request.
        text: What the model generated; None where it is no text, as of a call of tools alone.
        prompt_ids: The tokens that the server made of the chat, where it gave them, else None.
        token_ids: The tokens that the model generated, where the server gave them, else None.
        logprobs: One for each generated token, where the server gave them, else None.
        finish_reason: `stop`, `length`, `tool_calls`, …
    """

    request_id: str
    text: str | None
    prompt_ids: list[int] | None
    token_ids: list[int] | None
    logprobs: list[float] | None
    finish_reason: str | None


class Api(NamedTuple):
    """The generate API of one kind of server.

    Attributes:
        endpoint: The path of its route.
        body: The request: from the model's name, the prompt, its features and sampling parameters.
        read: What an answer says; raises ServerError (answer_invalid).
    """

    endpoint: str
    body: Callable[[str, list[int], Document, Mapping[str, Any]], Document]
    read: Callable[[Document], Generated]


class _Logprob(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Logprob] | None = None


class _Choice(msgspec.Struct):
    token_ids: list[int]
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _ChatChoice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    #: SGLang gives both kinds of ids here; vLLM these, and the prompt's beside the choices.
    prompt_token_ids: list[int] | None = None
    response_token_ids: list[int] | None = None
    token_ids: list[int] | None = None


class _Chat(msgspec.Struct):
    choices: list[_ChatChoice]
    id: str = ""
    prompt_token_ids: list[int] | None = None


class _VllmAnswer(msgspec.Struct):
    choices: list[_Choice]
    request_id: str = ""


class _Finished(msgspec.Struct):
    type: str


class _Meta(msgspec.Struct):
    id: str = ""
    finish_reason: _Finished | None = None
    output_token_logprobs: list[list[Any]] | None = None


class _SglangAnswer(msgspec.Struct):
    output_ids: list[int]
    meta_info: _Meta


def _vllm_body(
    model: str, prompt: list[int], features: Document, sampling: Mapping[str, Any]
) -> Document:
    body: Document = {"model": model, "token_ids": prompt, "sampling_params": dict(sampling)}
    return {**body, "features": features} if features["kwargs_data"] else body


def _sglang_body(
    _: str, prompt: list[int], features: Document, sampling: Mapping[str, Any]
) -> Document:
    body: Document = {"input_ids": prompt, "sampling_params": dict(sampling)}
    body["return_logprob"] = True
    # A model has one feature modality, and its spans are in the order of the prompt.
    images = [ref for refs in features["kwargs_data"].values() for ref in refs]
    return {**body, "image_data": images} if images else body


def _read_vllm(response: Document) -> Generated:
    answer = _converted(response, _VllmAnswer)
    if answer is None or not answer.choices:
        raise _invalid("the server's answer has no choices with token_ids", "$.choices")
    choice = answer.choices[0]
    rows = None if choice.logprobs is None else choice.logprobs.content
    if rows is not None and len(rows) != len(choice.token_ids):
        raise _invalid("the server's answer has not one logprob for each token", "$.choices")
    logprobs = None if rows is None else [row.logprob for row in rows]
    return Generated(answer.request_id, choice.token_ids, logprobs, choice.finish_reason)


def _read_sglang(response: Document) -> Generated:
    answer = _converted(response, _SglangAnswer)
    if answer is None:
        raise _invalid("the server's answer has no output_ids with meta_info", "$.output_ids")
    token_ids, meta = answer.output_ids, answer.meta_info
    rows = meta.output_token_logprobs
    # A row is the log probability, the token's id, and its text.
    if rows is not None and [row[1] if len(row) > 1 else None for row in rows] != token_ids:
        path = "$.meta_info.output_token_logprobs"
        raise _invalid("the server's answer has not one logprob for each token", path)
    logprobs = None if rows is None else [float(row[0]) for row in rows]
    reason = None if meta.finish_reason is None else meta.finish_reason.type
    return Generated(meta.id, token_ids, logprobs, reason)


def chat_body(model: str, messages: Sequence[Any], sampling: Mapping[str, Any]) -> Document:
    """The request to /v1/chat/completions; both servers give token ids where they are asked."""
    body: Document = {"model": model, "messages": list(messages)}
    return {**body, "logprobs": True, "return_token_ids": True, **sampling}


def read_chat(response: Document) -> ChatAnswer:
    """Read the answer to a chat.

    Raises:
        ServerError: answer_invalid.
    """
    answer = _converted(response, _Chat)
    if answer is None or not answer.choices:
        raise _invalid("the server's answer has no choices with a message", "$.choices")
    choice = answer.choices[0]
    prompt_ids = choice.prompt_token_ids or answer.prompt_token_ids
    token_ids = choice.response_token_ids or choice.token_ids
    rows = None if choice.logprobs is None else choice.logprobs.content
    if rows is not None and token_ids is not None and len(rows) != len(token_ids):
        raise _invalid("the server's answer has not one logprob for each token", "$.choices")
    logprobs = None if rows is None else [row.logprob for row in rows]
    text, reason = choice.message.content, choice.finish_reason
    return ChatAnswer(answer.id, text, prompt_ids, token_ids, logprobs, reason)


def _converted(response: Document, kind: type[_Struct]) -> _Struct | None:
    try:
        return msgspec.convert(response, kind)
    except msgspec.ValidationError:
        return None


def _invalid(message: str, path: str) -> ServerError:
    return ServerError("answer_invalid", message, path, status=200)


CHAT_ENDPOINT = "/v1/chat/completions"
#: By the name of the server.
APIS = {
    "vllm": Api("/inference/v1/generate", _vllm_body, _read_vllm),
    "sglang": Api("/generate", _sglang_body, _read_sglang),
}
