"""An async client of vLLM and SGLang: token ids and refs go out, tokens come back.

Usable with any renderer that yields token ids and raw items (see
`mmraw_protocol.integrations.renderers`). The extra `client` brings httpx.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, cast

import httpx
import msgspec

from ..conversation.family_tokens import DEFAULT_ENGINE
from ..conversation.placeholders import check_placeholder_tokens, span_texts
from ..system.shown import Shown
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.errors import ErrorCode
from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.errors import ERRORS, MMRawError
from ..wire.features import MultiModalData, build_features
from ..wire.item import RawMMItem
from ..wire.json import parse_json
from .generate_apis import (
    APIS,
    CHAT_ENDPOINT,
    ChatAnswer,
    ServerError,
    chat_body,
    read_chat,
)

__all__ = ["ChatAnswer", "Completion", "GenerateClient", "ServerError", "carry"]

#: The request never reached the server, or the connection broke before the whole answer was there.
CONNECTION_FAULTS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.RemoteProtocolError,
)

#: Seconds that a pause between two tries never exceeds.
LONGEST_PAUSE = 8.0

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,200}")
#: Of an error that is a sentence: SGLang's has no other place for it.
_IMAGE = re.compile(r" \(image (\d{1,9})\)$")
_PATH = re.compile(r"\$[\x20-\x7e]{0,199}")


class Completion(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """The model's answer.

    Attributes:
        request_id: The server's name of the request.
        prompt_ids: The prompt that was posted.
        token_ids: What the model generated.
        logprobs: One for each of them, where the server gave them, else None.
        finish_reason: `stop`, `length`, …
        multi_modal_data: The images of the prompt, those of earlier turns among them; the next
            turn's `previous`.
        prompt_attribution: What was passed as such.
        response: The server's whole answer.
    """

    request_id: str
    prompt_ids: list[int]
    token_ids: list[int]
    logprobs: list[float] | None
    finish_reason: str | None
    multi_modal_data: MultiModalData
    prompt_attribution: Any
    response: dict[str, Any]


class GenerateClient:
    """Posts prompts to one server.

    Args:
        base_url: The server, for example `http://localhost:8000`; a trailing `/v1` is removed.
        model: The model's name there.
        run_id: The label of the run that refs carry; needed as soon as a prompt has an image.
        dialect: Of the refs, `v3` or `v2`.
        retries: How often a request is sent again after a connection fault. A slow answer and an
            HTTP error are never tried again: the server may be at work, or has decided.
        backoff: Seconds before the first retry; doubled each time, at most 8, a random part less.
        timeout: Seconds to wait for the connection, for each part that is sent, and for the answer.
        api_key: Sent as `Authorization: Bearer …`.
        http: An `httpx.AsyncClient` to use instead of one of its own; it is not closed.
        engine: The server, `vllm` or `sglang`.

    Raises:
        MMRawError: unsupported_option.

    Use it as an async context manager, or call `aclose`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        run_id: str | None = None,
        dialect: str = DEFAULT_DIALECT,
        retries: int = 3,
        backoff: float = 0.25,
        timeout: float = 600.0,
        api_key: str | None = None,
        http: httpx.AsyncClient | None = None,
        engine: str = DEFAULT_ENGINE,
    ) -> None:
        self.model = model
        self.run_id = run_id
        self.dialect = dialect
        self.retries = retries
        self.backoff = backoff
        if engine not in APIS:
            message = f"expected engine {' or '.join(APIS)}, got another value"
            raise MMRawError("unsupported_option", message)
        self._api = APIS[engine]
        self._url = base_url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._owned = http is None
        self._http = http or httpx.AsyncClient(timeout=timeout)

    async def __aenter__(self) -> GenerateClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections, unless the caller brought them."""
        if self._owned:
            await self._http.aclose()

    async def generate(
        self,
        token_ids: Sequence[int],
        *,
        multi_modal_data: MultiModalData | Mapping[str, Any] | None = None,
        prompt_attribution: Any = None,
        previous: MultiModalData | None = None,
        sampling_params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Post a prompt and return the model's answer.

        Args:
            token_ids: The whole prompt.
            multi_modal_data: Its images: all of them, or, with `previous`, the newest turn's.
            prompt_attribution: What a renderer returned for the prompt; its multi_modal_data is
                used where none is passed, and is never replaced.
            previous: The images of earlier turns (`Completion.multi_modal_data`).
            sampling_params: Passed on as they are, under the server's names.
            extra_body: Further fields of the request, for example cache_salt or priority.

        Raises:
            ServerError: the code that the server names (with the image's index);
                server_refused, server_unavailable, answer_invalid.
            MMRawError: before anything is sent: modality_unsupported, placeholder_invalid,
                span_mismatch, missing_slot, hash_mismatch (from `carry`), and what `build_features`
                raises.
        """
        data = multi_modal_data
        if data is None:
            data = getattr(prompt_attribution, "multi_modal_data", None)
        images = carry(previous, _typed(data))
        images.check_modalities()
        prompt = list(token_ids)
        features = build_features(images, self.dialect, run_id=self.run_id)
        places = {name: _ranges(rows) for name, rows in images.mm_placeholders.items()}
        spans = {name: [_span(item) for item in items] for name, items in images.mm_items.items()}
        check_placeholder_tokens(prompt, places, spans=spans)
        body = self._api.body(self.model, prompt, features, sampling_params or {})
        response = await self._post(self._api.endpoint, {**body, **(extra_body or {})})
        answer = self._api.read(response)
        return Completion(
            **answer._asdict(),
            prompt_ids=prompt,
            multi_modal_data=images,
            prompt_attribution=prompt_attribution,
            response=response,
        )

    async def chat(
        self,
        messages: Sequence[Any],
        *,
        sampling_params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> ChatAnswer:
        """Post a chat to /v1/chat/completions and return the model's answer.

        Args:
            messages: As the route takes them; refs are the URLs of images, as
                `mmraw_protocol.ref_messages` writes them.
            sampling_params: Passed on as they are, under the route's names (max_tokens, …).
            extra_body: Further fields of the request; these win.

        Raises:
            ServerError: as `generate` raises it.
        """
        body = chat_body(self.model, messages, sampling_params or {})
        return read_chat(await self._post(CHAT_ENDPOINT, {**body, **(extra_body or {})}))

    async def _post(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        content = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json", **self._headers}
        for attempt in range(self.retries + 1):
            answer, fault = await self._try(self._url + endpoint, content, headers)
            if answer is not None:
                return _read_answer(answer)
            if fault is not None:
                raise fault
            if attempt < self.retries:
                pause = min(LONGEST_PAUSE, self.backoff * 2**attempt)
                await asyncio.sleep(pause * random.uniform(0.5, 1))
        message = f"no connection to the server in {self.retries + 1} tries"
        raise ServerError("server_unavailable", message)

    async def _try(
        self, url: str, content: bytes, headers: dict[str, str]
    ) -> tuple[httpx.Response | None, ServerError | None]:
        """An answer, an error, or neither after a connection fault."""
        try:
            return await self._http.post(url, content=content, headers=headers), None
        except CONNECTION_FAULTS:
            return None, None
        except httpx.TimeoutException:
            return None, ServerError("server_unavailable", "the server did not answer in time")
        except (httpx.HTTPError, httpx.InvalidURL):
            message = "the request cannot be sent; is the URL a server's http:// or https:// URL?"
            return None, ServerError("server_unavailable", message)


def _typed(data: MultiModalData | Mapping[str, Any] | Any) -> MultiModalData | None:
    """Images as this package's type; a renderer's own object has the same three fields."""
    if data is None or isinstance(data, MultiModalData):
        return data
    if isinstance(data, Mapping):
        return MultiModalData.from_dict(cast("Mapping[str, Any]", data))
    names = ("mm_hashes", "mm_placeholders", "mm_items")
    return MultiModalData.from_dict({name: getattr(data, name, None) for name in names})


def _ranges(places: Sequence[Any]) -> list[PlaceholderRange]:
    """Placeholders as this package's type."""
    return [
        place if isinstance(place, PlaceholderRange) else PlaceholderRange(**place)
        for place in places
    ]


def _span(item: RawMMItem | Mapping[str, Any]) -> list[str] | None:
    """The tokens of an image's placeholder, where they are not all alike."""
    if isinstance(item, RawMMItem):
        return span_texts(item.family, item.payload)
    return span_texts(item["family"], item["payload"])


def carry(previous: MultiModalData | None, now: MultiModalData | None) -> MultiModalData:
    """The images of a prompt, of all its turns; neither argument is changed.

    Args:
        previous: The images of the turns before.
        now: Those of the newest turn alone, or of all turns (as a bridge returns them); None where
            the turn has no images of its own.

    Raises:
        MMRawError: missing_slot (`now` has some of the earlier images and not the others),
            hash_mismatch (another image in an earlier one's place), placeholder_invalid (images of
            the newest turn before earlier ones).
    """
    if previous is None or now is None:
        return previous or now or MultiModalData()
    repeated = False
    for modality, places in previous.mm_placeholders.items():
        path = f"$.mm_placeholders{key_in_path(modality)}"
        earlier = _by_offset(places, previous.mm_hashes[modality])
        later = _by_offset(now.mm_placeholders.get(modality, ()), now.mm_hashes.get(modality, ()))
        common = earlier.keys() & later.keys()
        if any(earlier[offset] != later[offset] for offset in common):
            message = "expected the image of the earlier turn at its place, got another"
            raise MMRawError("hash_mismatch", message, path)
        if common and common != earlier.keys():
            message = (
                "expected all images or those of the newest turn, got a part of the earlier ones"
            )
            raise MMRawError("missing_slot", message, path)
        if not common and earlier and later and min(later) < max(earlier):
            message = (
                "expected the images of earlier turns first, got one of the newest turn before them"
            )
            raise MMRawError("placeholder_invalid", message, path)
        repeated = repeated or bool(common)
    return now if repeated else previous.merge(now)


def _by_offset(places: Sequence[Any], hashes: Sequence[str]) -> dict[int, str]:
    return {place.offset: mm_hash for place, mm_hash in zip(_ranges(places), hashes, strict=False)}


def _read_answer(answer: httpx.Response) -> dict[str, Any]:
    """The decoded answer, or the error that it tells."""
    document: Any = None
    try:
        document = parse_json(answer.content)
    except MMRawError:
        document = None
    if answer.status_code != 200:
        raise _refusal(answer, document)
    if not isinstance(document, dict):
        message = (
            f"expected a JSON object as answer, got {len(answer.content)} bytes of something else"
        )
        raise ServerError("answer_invalid", message, status=answer.status_code)
    return cast("dict[str, Any]", document)


def _refusal(answer: httpx.Response, document: Any) -> ServerError:
    """The error of an answer that is no success; the plugin's messages begin with the code."""
    status = answer.status_code
    # SGLang's chat has these fields at the top.
    error = _object(_object(document).get("error")) or _object(document)
    told = _object(error.get("mmraw"))
    text = error.get("message") if isinstance(error.get("message"), str) else answer.text
    detail = str(text)[:2000]
    code = told.get("code", detail.partition(":")[0])
    path, index = told.get("path"), told.get("index")
    if index is None and (named := _IMAGE.search(detail)):
        index = int(named[1])
    if not isinstance(code, str) or code not in ERRORS:
        message = f"the server answered with HTTP status {status}"
        return ServerError("server_refused", message, status=status, detail=detail)
    modality = told.get("modality")
    return ServerError(
        cast("ErrorCode", code),
        _message(detail, code),
        path if isinstance(path, str) and _PATH.fullmatch(path) else "$",
        status=status,
        modality=modality if isinstance(modality, str) else None,
        index=index if type(index) is int else None,
        detail=detail,
    )


def _message(text: str, code: str) -> str:
    """Our server's own words, where they are fit for a log; else what the code means."""
    words = text.removeprefix(f"{code}: ")
    return words if _PRINTABLE.fullmatch(words) else ERRORS[code].meaning


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
