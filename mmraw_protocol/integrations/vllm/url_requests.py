"""The plugin's checks of each request, as an ASGI layer inside vLLM's own."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from ...wire.errors import MMRawError
from . import process
from .announce import IMAGES, Document, check_beside_refs, check_features, refs_in
from .body import App, Receive, Scope, Send, read_body, replay
from .errors import answer, url_error_body
from .metrics import default_metrics
from .process import Announced, Served, announced

#: Bytes of a body that is read without a thread.
_SHORT = 32_768
_MARKS = (b"mmraw:", b"mmfile:")
_ID_CHARS = 128


class UrlRequests:
    """Announces the refs of a request to the connector, or refuses the request.

    A request without refs reaches vLLM as it came, whatever it is.

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
        failed: MMRawError | None = None
        body: bytes | None = None
        indices: dict[str, int] = {}
        try:
            body = await read_body(scope, receive, served.images.settings.body_limit)
            if body is None:
                return
            # Parsing, too, is done in threads: a body may hold megabytes of inline images.
            long = len(body) > _SHORT
            indices = await asyncio.to_thread(_read, body, served) if long else _read(body, served)
        except MMRawError as error:
            failed = error
        if failed is not None or body is None:
            await _refuse(failed, send)
            return
        token = announced.set(Announced(indices, _request_id(scope)))
        try:
            await self._app(scope, replay(body, receive), send)
        finally:
            announced.reset(token)


def _read(body: bytes, served: Served) -> dict[str, int]:
    """The refs of a body, checked as far as it goes without their bytes.

    Raises:
        MMRawError: what the functions of `announce` and `RefImages.check` raise.
    """
    settings = served.images.settings
    refs_only = bool(settings.refs_only)
    # A ref that is spelt with escapes is not found, and not announced, and so never loaded.
    if not refs_only and not any(mark in body for mark in _MARKS):
        return {}
    document: Any = None
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if refs_only:
            raise MMRawError("invalid_json", "the body is no JSON object")
        return {}
    request = cast("Document", document)
    check_features(request, refs_only=refs_only)
    indices = refs_in(request, settings.limits)
    if indices:
        check_beside_refs(request, served.target, served.target_id)
    for text, index in indices.items():
        _check(text, index, served)
    return indices


def _check(text: str, index: int, served: Served) -> None:
    failed: MMRawError | None = None
    try:
        served.images.check(text)
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.at(f"{IMAGES}[{index}]")


async def _refuse(error: MMRawError | None, send: Send) -> None:
    if error is not None:
        default_metrics().refused(error.code)
        body = url_error_body(error)
        await answer(send, body["error"]["code"], body)


def _may_hold_refs(scope: Scope) -> bool:
    """Whether a connection is a request of the only kind in which vLLM reads JSON."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    kind = _header(scope, b"content-type").partition(b";")[0]
    return kind.strip().lower() == b"application/json"


def _request_id(scope: Scope) -> str | None:
    return _header(scope, b"x-request-id")[:_ID_CHARS].decode("ascii", "replace") or None


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
