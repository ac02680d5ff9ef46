"""The ASGI middleware that `vllm serve --middleware` loads."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Sequence
from typing import Protocol

from ...wire.errors import MMRawError
from ...wire.features import Slot
from .body import App, Receive, Scope, Send, read_body, replay, with_length
from .errors import answer, error_body
from .metrics import Metrics, default_metrics
from .request import read_generate_request
from .settings import Settings

PATH = "/inference/v1/generate"

logger = logging.getLogger("mmraw_protocol.vllm")


class ImageResolver(Protocol):
    """What the middleware asks of a `Resolver`."""

    async def resolve(self, slots: Sequence[Slot], token_ids: Sequence[int]) -> list[str]:
        """The texts for vLLM, one for each slot."""
        ...

    def discard(self, texts: Sequence[str]) -> None:
        """The request of these texts is over."""
        ...


class MMRawMiddleware:
    """Resolves the refs of POST /inference/v1/generate before vLLM reads the request.

    Every other request, and one without images, reaches vLLM as it came. A request that is refused
    never does: it is answered with HTTP 400 and type `invalid_mm_image_ref`.

    Args:
        app: The server.
        settings: None takes them from the environment (`Settings.load`).
        resolver: None connects to the vLLM server that `app` is, when it starts.
        api_keys: A request without one of them is left to vLLM, which rejects it; its images stay
            untouched. None takes the server's.
        metrics: None counts beside vLLM's own.
    """

    def __init__(
        self,
        app: App,
        settings: Settings | None = None,
        resolver: ImageResolver | None = None,
        api_keys: Sequence[str] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._resolver = resolver
        self._api_keys = None if api_keys is None else tuple(api_keys)
        self._metrics = default_metrics() if metrics is None else metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan":
            await self._start(scope, receive, send)
        elif _is_generate(scope) and self._is_allowed(scope):
            await self._generate(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Connects before the server takes requests; a server that cannot serve does not start."""
        failed: str | None = None
        try:
            self._connect(scope)
        except MMRawError as error:
            failed = str(error)
        if failed is None:
            await self._app(scope, receive, send)
            return
        await receive()
        logger.error("mmraw cannot start: %s", failed)
        await send({"type": "lifespan.startup.failed", "message": f"mmraw cannot start: {failed}"})

    def _connect(self, scope: Scope) -> tuple[ImageResolver, Settings]:
        settings = self._settings
        if settings is None:
            settings = self._settings = Settings.load()
        if self._resolver is None:
            from .connection import api_keys, connect

            state = scope["app"].state
            self._resolver = connect(state, settings, self._metrics)
            if self._api_keys is None:
                self._api_keys = api_keys(state)
        return self._resolver, settings

    def _is_allowed(self, scope: Scope) -> bool:
        """Whether the request brings a key, where the server asks for one.

        vLLM's own check comes behind this middleware, and nobody may make it decode images unasked.
        """
        if not self._api_keys:
            return True
        given = b"".join(value for name, value in scope["headers"] if name == b"authorization")
        scheme, _, token = given.partition(b" ")
        # All are compared: the time must not tell which key came close.
        fits = sum(hmac.compare_digest(token, key.encode()) for key in self._api_keys)
        return scheme.lower() == b"bearer" and fits > 0

    async def _generate(self, scope: Scope, receive: Receive, send: Send) -> None:
        resolver, settings = self._connect(scope)
        prepared = await _prepare(scope, receive, resolver, settings)
        if isinstance(prepared, MMRawError):
            self._metrics.refused(prepared.code)
            await answer(send, prepared.http_status, error_body(prepared))
        elif prepared is not None:
            body, texts = prepared
            try:
                await self._app(with_length(scope, len(body)), replay(body, receive), send)
            finally:
                resolver.discard(texts)


def _is_generate(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return scope["path"].removeprefix(scope.get("root_path", "")) == PATH


async def _prepare(
    scope: Scope, receive: Receive, resolver: ImageResolver, settings: Settings
) -> tuple[bytes, list[str]] | MMRawError | None:
    """The body for vLLM and the texts in it; why there is none; None where the client has left."""
    try:
        body = await read_body(scope, receive, settings.body_limit)
        if body is None:
            return None
        # Parsing, too, is done in threads: a body may hold megabytes of inline images.
        refs_only = settings.refs_only is not False
        request = await asyncio.to_thread(
            read_generate_request, body, refs_only=refs_only, limits=settings.limits
        )
        if request is None:
            return body, []
        texts = await resolver.resolve(request.slots, request.token_ids)
    except MMRawError as error:
        return error
    try:
        return await asyncio.to_thread(request.with_texts, texts), texts
    except BaseException:
        resolver.discard(texts)
        raise
