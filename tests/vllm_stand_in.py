"""A server behind the plugin without vLLM: stand-ins for its parts, and requests."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from described_refs import ref_of
from prometheus_client import REGISTRY
from samples import JPEG, data_url
from samples import RGBA as PNG
from vllm_package import GracefulHTTPError, ImageMediaIO, MediaConnector, VLLMValidationError
from vllm_server_stand_in import Renderer

from mmraw_protocol import RawMMRef, format_ref
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.serving.identity import Naming
from mmraw_protocol.integrations.serving.ref_images import RefImages
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.integrations.vllm.connector import connector_class
from mmraw_protocol.integrations.vllm.process import Announced, Served, announced
from mmraw_protocol.integrations.vllm.requests import RefRequests
from mmraw_protocol.stores import AssetStore, LocalStore

GENERATE = "/inference/v1/generate"
JSON = (b"content-type", b"application/json; charset=utf-8")
ANIMATION = (vectors_folder() / "images" / "apng_96x80.png").read_bytes()
CUT_OFF = (vectors_folder() / "images" / "truncated_320x200.jpg").read_bytes()
QWEN = get_adapter("qwen_vl")
PAD = 151655
NAMING = Naming(b"a secret of this test", "")


class Answer(msgspec.Struct):
    """A client's answer."""

    status: int
    body: bytes
    pieces: int
    headers: list[tuple[bytes, bytes]] = []

    @property
    def error(self) -> dict[str, Any]:
        """The error of a refused request."""
        return json.loads(self.body)["error"]

    @property
    def code(self) -> tuple[int, str, int | None]:
        """Status, code and index of a refusal of features."""
        return self.status, self.error["mmraw"]["code"], self.error["mmraw"]["index"]


class Server:
    """The checks, connector and renderer of a Qwen3-VL, before an engine that keeps what it gets.

    Attributes:
        bodies: The bodies that vLLM saw.
        requests: What was announced of each.
        prompts: What the engine got of each.
    """

    def __init__(self, store: LocalStore | str | None, **settings: Any) -> None:
        place = str(store.root) if isinstance(store, LocalStore) else store
        self.settings = Settings(store=place, run_id=store and "exp42", **settings)
        self.images = RefImages(QWEN, self.settings, NAMING)
        self.renderer = Renderer(QWEN, {QWEN.pad_token: PAD})
        self.bodies: list[bytes] = []
        self.scopes: list[Any] = []
        self.requests: list[Announced | None] = []
        self.prompts: list[Any] = []
        self.serve()

    def serve(self, **changes: Any) -> None:
        """Opens it, as the endpoint plugin does."""
        model: dict[str, Any] = {"target": (QWEN.pad_token, PAD), **changes}
        process.serve(Served(self.images, **model))

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The rest of the server."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.scopes.append(scope)
        self.bodies.append(body)
        self.requests.append(announced.get())
        try:
            if scope["path"] == GENERATE:
                await self._generate(json.loads(body))
            status, text = 200, b"o"
        except VLLMValidationError as error:
            status, text = 400, str(error).encode()
        except GracefulHTTPError as error:
            status, text = error.http_status, str(error).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})

    async def _generate(self, document: Any) -> None:
        connector = connector_class(MediaConnector, ImageMediaIO)()
        urls = [part["url"] for part in document.get("content_parts") or []]
        loads = [connector.load_from_url_async(url, ImageMediaIO()) for url in urls]
        found = await asyncio.gather(*loads, return_exceptions=True)
        for failed in reversed(found):
            if isinstance(failed, BaseException):
                raise failed
        prompt = {"prompt_token_ids": document["token_ids"], "multi_modal_data": {"image": found}}
        if found:
            self.prompts.append(await self.renderer.process_for_engine_async(prompt, 0.0))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each picture that the renderer was asked for."""
        data = [prompt["multi_modal_data"]["image"] for prompt in self.renderer.asked]
        return [picture.size for pictures in data for picture in pictures]

    async def send(
        self,
        body: Any,
        path: str = GENERATE,
        headers: Sequence[tuple[bytes, bytes]] = (JSON,),
        chunk: int = 1 << 30,
    ) -> Answer:
        """Posts a body in chunks."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)] or [b""]
        waiting = [
            {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)}
            for i, piece in enumerate(pieces)
        ]
        return await self.exchange(path, headers, waiting)

    async def exchange(
        self, path: str, headers: Sequence[tuple[bytes, bytes]], waiting: list[dict[str, Any]]
    ) -> Answer:
        """One request, message by message; what is left of `waiting` was never read."""
        sent: list[Any] = []

        async def receive() -> Any:
            if not waiting:
                # The client stays and says no more.
                await asyncio.get_running_loop().create_future()
            return waiting.pop(0)

        async def keep(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
        await RefRequests(self.app)(scope, receive, keep)
        if not sent:
            return Answer(0, b"", 0)
        body = b"".join(message["body"] for message in sent[1:])
        return Answer(sent[0]["status"], body, len(sent) - 1, list(sent[0]["headers"]))

    def post(self, body: Any, **options: Any) -> Answer:
        """Posts a body and waits for the answer."""
        return asyncio.run(self.send(body, **options))


def metric(name: str, **labels: str) -> float:
    """The value of a counter of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def stored(store: AssetStore, data: bytes = JPEG, **changes: Any) -> RawMMRef:
    """A ref of an image that was put into the store."""
    return ref_of(QWEN, data, **({"raw_image_id": store.put(data)} | changes))


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
