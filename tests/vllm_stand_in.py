"""A server behind the middleware without vLLM: a stand-in for engine and items, and requests."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from samples import JPEG, data_url
from samples import RGBA as PNG

from mmraw_protocol import RawMMRef, format_ref
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.vllm import MMRawMiddleware, Resolver, Settings
from mmraw_protocol.integrations.vllm.handover import DirectHandover
from mmraw_protocol.integrations.vllm.metrics import Metrics
from mmraw_protocol.materialize import MaterializedImage, Materializer
from mmraw_protocol.stores import AssetStore

GENERATE = "/inference/v1/generate"
ANIMATION = (vectors_folder() / "images" / "apng_96x80.png").read_bytes()
CUT_OFF = (vectors_folder() / "images" / "truncated_320x200.jpg").read_bytes()
QWEN = get_adapter("qwen_vl")
PAD = 151655


class Items:
    """Makes items that are their pictures' sizes; a stand-in for the model's processor."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []
        self.handover = DirectHandover(lambda text: text)
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def make(self, image: MaterializedImage) -> list[int]:
        """The item: [width, height]."""
        self.started.set()
        assert self.gate.wait(30)
        self.made.append((image.width, image.height))
        return [image.width, image.height]

    def size(self, item: list[int]) -> int:
        """One byte a pixel, say."""
        return item[0] * item[1]

    def text(self, item: list[int]) -> str:
        """A key for the item."""
        return self.handover.text(item)

    def discard(self, texts: Sequence[str]) -> None:
        """Forgets."""
        self.handover.discard(texts)


class Engine:
    """The application behind the middleware: keeps what it gets, answers in two pieces."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.bodies: list[bytes] = []
        self.scopes: list[Any] = []
        self.images: list[Any] = []
        self.chunks = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Reads the whole body, chunk by chunk."""
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            self.chunks += 1
        self.scopes.append(scope)
        self.bodies.append(body)
        self.images += [self.items.handover.take(t) for t in self.texts(body)]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})

    @staticmethod
    def texts(body: bytes) -> list[str]:
        """The strings of kwargs_data."""
        try:
            features = json.loads(body).get("features") or {}
        except ValueError:
            return []
        return [text for rows in (features.get("kwargs_data") or {}).values() for text in rows]


class Answer(msgspec.Struct):
    """What a client gets."""

    status: int
    body: bytes
    pieces: int

    @property
    def error(self) -> dict[str, Any]:
        """The error of a refused request."""
        return json.loads(self.body)["error"]

    @property
    def code(self) -> tuple[int, str, int | None]:
        """Status, code and index of a refusal."""
        return self.status, self.error["mmraw"]["code"], self.error["mmraw"]["index"]


class Server:
    """A middleware in front of an engine, and a client for them."""

    def __init__(self, store: AssetStore, **settings: Any) -> None:
        self.items = Items()
        self.engine = Engine(self.items)
        self.registry = CollectorRegistry()
        self.settings = Settings(**settings)
        metrics = Metrics(self.registry)
        limits = self.settings.limits
        materializer = Materializer(
            store, limits=limits, cache_bytes=0, adapters={"qwen_vl": QWEN}, families=["qwen_vl"]
        )
        self.resolver = Resolver(
            materializer,
            self.items,
            pad_ids={"qwen_vl": PAD},
            cache_bytes=self.settings.cache_size,
            workers=2,
            metrics=metrics,
        )
        self.keys: list[str] = []
        self.front: Callable[[Any, Any, Any], Awaitable[None]] = self.engine
        self.metrics = metrics

    @property
    def app(self) -> MMRawMiddleware:
        """The whole server."""
        return MMRawMiddleware(self.front, self.settings, self.resolver, self.keys, self.metrics)

    async def send(
        self,
        body: Any,
        path: str = GENERATE,
        headers: Sequence[tuple[bytes, bytes]] = (),
        chunk: int = 1 << 30,
        root_path: str = "",
    ) -> Answer:
        """Posts a body in chunks."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)] or [b""]
        waiting = [
            {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)}
            for i, piece in enumerate(pieces)
        ]
        return await self.exchange(path, headers, waiting, root_path)

    async def exchange(
        self,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        waiting: list[dict[str, Any]],
        root_path: str = "",
    ) -> Answer:
        """One request, message by message; what is left of `waiting` was never read."""
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0)

        async def keep(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "root_path": root_path,
            "headers": list(headers),
        }
        await self.app(scope, receive, keep)
        if not sent:
            return Answer(0, b"", 0)
        return Answer(sent[0]["status"], b"".join(m["body"] for m in sent[1:]), len(sent) - 1)

    def post(self, body: Any, **options: Any) -> Answer:
        """Posts a body and waits for the answer."""
        return asyncio.run(self.send(body, **options))

    def metric(self, name: str, **labels: str) -> float:
        """The value of a counter."""
        return self.registry.get_sample_value(name, labels) or 0.0


def stored(store: AssetStore, data: bytes = JPEG, **changes: Any) -> RawMMRef:
    """A ref of an image that was put into the store."""
    found = QWEN.describe(data)
    fields: dict[str, Any] = {
        "family": "qwen_vl",
        "fingerprint": QWEN.fingerprint(),
        "mm_hash": found.mm_hash,
        "modality": "image",
        "payload": found.payload,
        "raw_image_id": store.put(data),
        "run_id": "exp42",
    }
    return RawMMRef(**(fields | changes))


def inline(store: AssetStore, data: bytes = JPEG) -> RawMMRef:
    """A ref that carries its image."""
    kind = QWEN.describe(data).format
    uri = data_url(data, kind)
    return stored(store, data, raw_image_id=None, raw_uri=uri)


def request_of(
    *refs: RawMMRef | str, dialect: str = "v3", hashes: Mapping[int, str] = {}, **fields: Any
) -> dict[str, Any]:
    """A generate request with one image after the other in its prompt."""
    token_ids = [1]
    ranges: list[dict[str, int]] = []
    texts: list[str] = []
    mm_hashes: list[str] = []
    for ref in refs:
        known = isinstance(ref, RawMMRef)
        length = QWEN.placeholder_length(ref.payload) if known and ref.family == "qwen_vl" else 2
        ranges.append({"offset": len(token_ids) + 1, "length": length})
        token_ids += [2, *[PAD] * length, 3]
        texts.append(format_ref(ref, dialect) if known else ref)
        mm_hashes.append(ref.mm_hash if known else "0" * 32)
    features = {
        "mm_hashes": {"image": [hashes.get(i, h) for i, h in enumerate(mm_hashes)]},
        "mm_placeholders": {"image": ranges},
        "kwargs_data": {"image": texts},
    }
    return {"token_ids": token_ids, "features": features, "sampling_params": {"n": 1}} | fields


def refusals(store: AssetStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """A request for each check, and the code that refuses it; the second image is the bad one."""
    good, other = stored(store), stored(store, PNG)

    def second(ref: RawMMRef | str, **options: Any) -> dict[str, Any]:
        return request_of(good, ref, **options)

    def changed(**changes: Any) -> RawMMRef:
        return msgspec.structs.replace(other, **changes)

    grid = QWEN.layout(90, 150).payload
    yield "not_a_ref", second("QUJD")
    yield "unsupported_dialect", second("mmraw:v9:x")
    yield "invalid_json", second("mmraw:v3:YQ")
    yield "modality_mismatch", second(changed(modality="vision_chunk"))
    yield "hash_mismatch", second(other, hashes={1: "0" * 32})
    yield "run_mismatch", second(changed(run_id="exp43"))
    yield "source_unavailable", second(changed(raw_image_id="0" * 64 + ".png", mm_hash="0" * 32))
    yield "hash_mismatch", second(changed(mm_hash="0" * 32))
    yield "image_undecodable", second(stored(store, CUT_OFF))
    yield "unknown_family", second(changed(family="unheard_of", payload={"a": 1}))
    yield "fingerprint_mismatch", second(changed(fingerprint="0" * 32))
    yield "grid_mismatch", second(changed(payload=grid))
    shorter = request_of(good, other)
    shorter["features"]["mm_placeholders"]["image"][1]["length"] -= 1
    yield "placeholder_mismatch", shorter
    beyond = request_of(good, other)
    beyond["token_ids"] = beyond["token_ids"][:-2]
    yield "placeholder_invalid", beyond
    moved = request_of(good, other)
    moved["features"]["mm_placeholders"]["image"][1]["offset"] += 1
    yield "span_mismatch", moved
    empty = request_of(good, other)
    empty["features"]["kwargs_data"]["image"][1] = None
    yield "missing_slot", empty
