"""ASGI requests: bodies read within a limit and handed on as if nobody had read them; answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from ..wire.errors import MMRawError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The header of an answer 503: the same request may pass in a second.
RETRY = (b"retry-after", b"1")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None where the client has left.

    Raises:
        MMRawError: limit_exceeded, before anything is read where the header tells, else as soon as
            more than `limit` bytes have come.
    """
    too_long = MMRawError(
        "limit_exceeded", f"expected at most {limit} bytes in a request, got more", ""
    )
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise too_long
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_long
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` at once and then what `receive` gives (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def with_length(scope: Scope, length: int) -> Scope:
    """The scope for a body of another length."""
    dropped = (b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    return {**scope, "headers": [*headers, (b"content-length", b"%d" % length)]}


def header(scope: Scope, name: bytes) -> bytes:
    """The first value of a header, by its name in lower case; empty where it is absent."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends a whole answer of JSON; one of 503 says that the client may come again."""
    data = msgspec.json.encode(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    headers += [RETRY] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
