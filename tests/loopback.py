"""An HTTP server on the loopback for POST /inference/v1/generate that can fail in every way."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

ANSWER: dict[str, Any] = {
    "request_id": "r1",
    "choices": [
        {
            "index": 0,
            "token_ids": [5, 6],
            "finish_reason": "stop",
            "logprobs": {
                "content": [{"token": "5", "logprob": -0.5}, {"token": "6", "logprob": -1}]
            },
        }
    ],
    "prompt_logprobs": None,
}

Handler = Callable[["Server", dict[str, Any]], Awaitable["tuple[int, bytes] | None"]]


@dataclass
class Server:
    """Reads whole requests and answers as the script says, one entry for each request."""

    script: list[Handler]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode()
                length = next(
                    int(line.split(":")[1])
                    for line in text.split("\r\n")
                    if line.lower().startswith("content-length")
                )
                self.headers.append(text)
                self.requests.append(json.loads(await reader.readexactly(length)))
                answer = await self.script[len(self.requests) - 1](self, self.requests[-1])
                if answer is None:
                    break
                status, body = answer
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                broken = self.script[len(self.requests) - 1] is breaks_off
                writer.write(body[: len(body) // 2] if broken else body)
                await writer.drain()
                if broken:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(*script: Handler) -> AsyncGenerator[Server, None]:
    server = Server(list(script))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server


def answers(document: Any, status: int = 200) -> Handler:
    async def handler(server: Server, request: dict[str, Any]) -> tuple[int, bytes]:
        return status, document if isinstance(document, bytes) else json.dumps(document).encode()

    return handler


async def hangs_up(server: Server, request: dict[str, Any]) -> None:
    """Closes the connection after the request, without a word."""


async def breaks_off(server: Server, request: dict[str, Any]) -> tuple[int, bytes]:
    """Closes the connection in the middle of the body."""
    return 200, json.dumps(ANSWER).encode()


async def never_answers(server: Server, request: dict[str, Any]) -> None:
    await asyncio.Event().wait()


@contextmanager
def running_in_a_thread(*script: Handler) -> Generator[Server, None, None]:
    """For callers that run an event loop of their own."""
    loop = asyncio.new_event_loop()
    started: list[Server] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with running(*script) as server:
            started.append(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
