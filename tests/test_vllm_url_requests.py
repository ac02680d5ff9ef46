"""The plugin's checks of a request before vLLM sees it, with a stand-in for the server."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from samples import RGBA
from vllm_stand_in import PAD, QWEN, Server, inline, stored

from mmraw_protocol import Limits, MMRawError, format_ref
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.content_parts import check_uuid

DATA = "data:image/png;base64,AAAA"


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Nothing is served after a test."""
    yield
    process.serve(None)


class Urls(Server):
    """A server that is asked on any route."""

    def refusal(self, body: Any) -> str:
        """The message of a refusal in vLLM's own shape; vLLM does not see the request."""
        before = len(self.bodies)
        answer = self.post(body, path="/any")
        assert (answer.status, len(self.bodies)) == (400, before)
        error = answer.error
        assert error == {
            "message": error["message"],
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        }
        return error["message"]

    def indices(self, body: Any) -> Any:
        """The paths of the refs that are announced of a request that passes."""
        assert self.post(body, path="/any").status == 200
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert self.bodies[-1] == data
        found = self.requests[-1]
        if found is None:
            return {}
        assert all(path.startswith("$.images[") for path in found.paths.values())
        return {text: int(path[9:-1]) for text, path in found.paths.items()}


def chat(*parts: Any, **fields: Any) -> dict[str, Any]:
    """A chat request; strings are image URLs."""
    content = [
        {"type": "image_url", "image_url": {"url": part}} if isinstance(part, str) else part
        for part in parts
    ]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": "what?"}]}]
    return {"model": "tiny", "messages": messages, **fields}


def generate(token_ids: list[int], *parts: Any) -> dict[str, Any]:
    """A generate request; strings are image URLs."""
    entries = [{"type": "image_url", "url": p} if isinstance(p, str) else p for p in parts]
    return {"token_ids": token_ids, "content_parts": entries, "sampling_params": {}}


def test_each_form_of_an_image_url_is_announced_with_its_place(store: LocalStore) -> None:
    server = Urls(store)
    one, two = format_ref(stored(store)), format_ref(inline(store, RGBA), "v3")
    assert server.indices(chat(DATA, one, two, one)) == {one: 1, two: 2}
    # Without a type, as a bare string, and as /v1/responses and /v1/messages have it.
    assert server.indices(chat({"image_url": one}, {"image_url": {"url": two}})) == {one: 0, two: 1}
    responses = {"type": "input_image", "image_url": one}
    assert server.indices({"input": [{"role": "user", "content": [responses]}]}) == {one: 0}
    source = {"type": "image", "source": {"type": "url", "url": one}}
    assert server.indices({"messages": [{"role": "user", "content": [source]}]}) == {one: 0}
    assert server.indices(generate([1, PAD, 2, PAD], DATA, one)) == {one: 1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 5000,
        '{"text": "mmraw:v3:e30", "\ud800": NaN}'.encode("utf-16", "surrogatepass"),
        b'{"a": NaN, "text": "mmraw:v3:e30"}',
        b'["mmraw:v3:e30"]',
    ],
)
def test_what_is_no_request_with_refs_reaches_vllm_as_it_came(
    store: LocalStore, body: bytes
) -> None:
    assert not Urls(store).indices(body)


def test_a_ref_is_found_wherever_vllms_reader_finds_it(store: LocalStore) -> None:
    text = json.dumps(chat("mmraw:v9:x", temperature=float("nan")))
    for body in (text.encode("utf-16"), text.encode("utf-8-sig"), text.encode()):
        assert Urls(store).refusal(body).startswith("unsupported_dialect: ")


def test_text_is_no_ref(store: LocalStore) -> None:
    text = {"type": "text", "text": "mmraw:v3:e30"}
    fields = {"messages": [{"role": "user", "content": "mmraw:v3:e30"}], "url": "mmraw:v3:e30"}
    for body in (chat(text), fields, {"video_url": {"url": "mmraw:v3:e30"}}):
        assert Urls(store).indices(body) == {}


def test_refs_are_checked_without_their_bytes(store: LocalStore) -> None:
    server = Urls(store)
    good = stored(store)

    def with_bad(**changes: Any) -> Any:
        return chat(format_ref(good), format_ref(msgspec.structs.replace(good, **changes)))

    for other in ("mmraw:v9:x", "mmfile:v1:x"):
        assert server.refusal(chat(DATA, other)).startswith("unsupported_dialect: ")
    bad: dict[str, dict[str, Any]] = {
        "modality_mismatch": {"modality": "vision_chunk"},
        "run_mismatch": {"run_id": "exp43"},
        "unknown_family": {"family": "other", "payload": {}},
        "fingerprint_mismatch": {"fingerprint": "0" * 32},
    }
    for code, changes in bad.items():
        message = server.refusal(with_bad(**changes))
        assert (message.partition(":")[0], message[-9:]) == (code, "(image 1)")


def test_nothing_stands_beside_refs_that_changes_what_they_mean(store: LocalStore) -> None:
    server = Urls(store)
    ref = format_ref(stored(store))
    part = {"type": "image_url", "image_url": {"url": ref}}
    with pytest.raises(MMRawError) as wrong_uuid:
        check_uuid("u", stored(store).mm_hash, "$")
    for named in (
        chat({**part, "uuid": "u"}),
        chat({"type": "image_url", "image_url": {"url": ref, "uuid": ""}}),
        generate([PAD], {"type": "image_url", "url": ref, "uuid": stored(store).mm_hash[:31]}),
    ):
        # The sentence of every reader of content parts.
        assert server.refusal(named) == f"hash_mismatch: {wrong_uuid.value.message} (image 0)"
    assert server.indices(chat({**part, "uuid": stored(store).mm_hash})) == {ref: 0}
    for options in (
        {"mm_processor_kwargs": {"max_pixels": 65536}},
        {"media_io_kwargs": {"image": {"image_mode": None}}},
    ):
        assert "expected no mm_processor_kwargs" in server.refusal(chat(ref, **options))
        # Without refs they are vLLM's affair.
        assert server.indices(chat(DATA, **options)) == {}
    empty = {"mm_processor_kwargs": {}, "media_io_kwargs": {"video": {"num_frames": 2}}}
    assert server.indices(chat(ref, {**part, "uuid": None}, **empty)) == {ref: 0}


def test_the_prompt_has_a_place_for_each_image(store: LocalStore) -> None:
    server = Urls(store)
    ref = format_ref(stored(store))
    for token_ids in ([], [1, 2], [PAD, PAD, 1]):
        assert server.refusal(generate(token_ids, ref)).startswith("lengths_differ: ")
    assert server.indices(generate([1, PAD], ref)) == {ref: 0}
    # A video may stand for such a token, too, and vLLM refuses what is malformed.
    assert server.indices(generate([PAD, PAD], ref, {"type": "video_url", "url": "x"})) == {ref: 0}
    assert server.indices(generate([PAD], ref, 5)) == {ref: 0}
    text = {"type": "text", "text": f"look: {QWEN.pad_token}"}
    assert server.refusal(chat(ref, text)).startswith("lengths_differ: ")
    assert server.indices(chat(ref, chat_template=QWEN.pad_token)) == {ref: 0}


def test_a_ref_that_vllm_would_skip_in_silence_is_refused(store: LocalStore) -> None:
    ref = format_ref(stored(store))
    skipped = generate([PAD], ref, {"type": "image", "url": ref})
    assert Urls(store).refusal(skipped).startswith("invalid_value: ")


def test_more_images_than_the_limit_are_refused(store: LocalStore) -> None:
    server = Urls(store, limits=Limits(features_images=2))
    ref = format_ref(stored(store))
    assert server.indices(chat(ref, ref)) == {ref: 0}
    assert server.refusal(chat(DATA, DATA, ref)).startswith("limit_exceeded: ")


def test_a_body_past_the_limit_is_refused(store: LocalStore) -> None:
    server = Urls(store, max_body_bytes=1000)
    answer = server.post(b" " * 1001, path="/any")
    assert (answer.status, answer.error["code"], server.bodies) == (413, 413, [])
    assert answer.error["message"].startswith("limit_exceeded: ")
    assert server.indices(b" " * 1000) == {}


def test_a_large_body_is_read_in_a_thread_and_announced_all_the_same(store: LocalStore) -> None:
    ref = format_ref(stored(store))
    assert Urls(store).indices(chat(ref, note="x" * 100_000)) == {ref: 0}
