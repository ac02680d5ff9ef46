"""ASGI middleware that checks each request before vLLM, inside vLLM's own middleware."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import msgspec

from ...conversation.request_urls import Document
from ...wire.errors import MMRawError
from .. import asgi
from ..asgi import App, Message, Receive, Scope, Send
from ..serving.metrics import default_metrics
from . import process
from .engine import VLLM
from .errors import features_error, url_error
from .features import Fields, translate
from .process import Announced, Served, announced
from .urls import check_urls

#: Bytes of a body that is read without a thread.
_SHORT = 32_768
#: Words of bodies that may concern us, spelled with escapes or in another encoding too.
_MARKS = (b"mmraw:", b"mmfile:", b"mm_hashes", b"\\u", b"\0")
_ID_CHARS = 128


class Reading(NamedTuple):
    """The result of reading a body.

    Attributes:
        body: For vLLM.
        request: What is announced; None where nothing is.
        refused: Why vLLM must not see the request, with status and body of the answer.
    """

    body: bytes
    request: Announced | None = None
    refused: tuple[MMRawError, tuple[int, dict[str, Any]]] | None = None


class RefRequests:
    """Announces the refs of a request to connector and renderer, or refuses the request.

    A request without refs and features reaches vLLM as it came, whatever it is.

    Args:
        app: The rest of the server.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        served = process.served()
        if served is None or not _may_hold_refs(scope):
            await self._app(scope, receive, send)
            return
        found = await _received(scope, receive, served)
        if found is None:
            return
        if found.refused is not None:
            failed, answer = found.refused
            VLLM.report(failed, _request_id(scope))
            await asgi.answer(send, *answer)
            return
        await self._serve(found, scope, receive, send)

    async def _serve(self, found: Reading, scope: Scope, receive: Receive, send: Send) -> None:
        request = found.request
        if request is None:
            await self._app(scope, asgi.replay(found.body, receive), send)
            return
        token = announced.set(request)
        # Behind the body, the only message to come is that the client has left, or has its answer.
        gone = asyncio.ensure_future(receive())
        answers = Answers(request, send)

        def left(ended: asyncio.Future[Message]) -> None:
            request.loads.end(asyncio.CancelledError())
            is_told = not ended.cancelled() and ended.exception() is None
            if is_told and not answers.are_sent:
                default_metrics().disconnected()

        gone.add_done_callback(left)
        try:
            replayed = asgi.replay(found.body, lambda: asyncio.shield(gone))
            inner = asgi.with_length(scope, len(found.body))
            await self._app(inner, replayed, answers.send)
        except asyncio.CancelledError:
            # The loads were cancelled, on a route where vLLM does not look for a disconnect itself.
            if not gone.done():
                raise
        finally:
            announced.reset(token)
            gone.cancel()
            request.loads.close()
            failed = request.first()
            if failed is not None:
                VLLM.report(failed, _request_id(scope))


async def _received(scope: Scope, receive: Receive, served: Served) -> Reading | None:
    """The reading of the whole body; None where the client has left."""
    try:
        body = await asgi.read_body(scope, receive, served.images.settings.body_limit)
    except MMRawError as error:
        return Reading(b"", None, (error, url_error(error, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)))
    if body is None:
        default_metrics().disconnected()
        return None
    # Parsing, too, is done in threads: a body may hold megabytes of inline images.
    if len(body) > _SHORT:
        return await asyncio.to_thread(_read, body, served)
    return _read(body, served)


def _read(body: bytes, served: Served) -> Reading:
    """The refs of a body, checked as far as it goes without their bytes."""
    if not any(mark in body for mark in _MARKS):
        return Reading(body)
    document, is_strict = _document(body)
    in_features = bool(document.get("features"))
    try:
        if in_features and not is_strict:
            message = "expected a strict JSON object as a request with features, got other text"
            raise MMRawError("invalid_json", message, "")
        if in_features:
            found = translate(msgspec.json.decode(body, type=Fields), served)
            if found is not None:
                return Reading(msgspec.json.encode(found[0]), found[1])
        paths = check_urls(document, served)
        return Reading(body, Announced(paths) if paths else None)
    except MMRawError as error:
        answer = features_error if in_features else url_error
        return Reading(body, None, (error, answer(error)))


def _document(body: bytes) -> tuple[Document, bool]:
    """The object that vLLM reads, and whether it is strict JSON; empty where vLLM reads none."""
    for read in (msgspec.json.decode, json.loads):
        try:
            document: Any = read(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
        found = cast("Document", document) if isinstance(document, dict) else {}
        return found, read is msgspec.json.decode
    return {}, False


class Answers:
    """Answers a refused request with features as such, and says when to come again.

    vLLM has other errors, and none with a Retry-After.

    Args:
        request: The request.
        send: Of the server.

    Attributes:
        are_sent: Whether the client has all of it.
    """

    def __init__(self, request: Announced, send: Send) -> None:
        self._request, self._send = request, send
        self._is_ours = self.are_sent = False

    async def send(self, message: Message) -> None:
        """Sends what vLLM answers, or ours in its place."""
        failed = self._request.first()
        starts = message["type"] == "http.response.start"
        is_body = message["type"] == "http.response.body"
        self.are_sent |= is_body and not message.get("more_body", False)
        if self._request.expanded is not None and failed is not None and starts:
            self._is_ours = self.are_sent = True
            await asgi.answer(self._send, *features_error(failed))
        elif not self._is_ours:
            if (
                starts
                and failed is not None
                and message["status"] == HTTPStatus.SERVICE_UNAVAILABLE
            ):
                message["headers"] = [*message.get("headers", []), asgi.RETRY]
            await self._send(message)


def _may_hold_refs(scope: Scope) -> bool:
    """True if a connection is a POST request with JSON, the only kind that vLLM reads as JSON."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    kind = asgi.header(scope, b"content-type").partition(b";")[0]
    return kind.strip().lower() == b"application/json"


def _request_id(scope: Scope) -> str | None:
    return asgi.header(scope, b"x-request-id")[:_ID_CHARS].decode("ascii", "replace") or None
