"""The generate client, against a real HTTP server on the loopback that can fail in every way."""

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from loopback import (
    ANSWER,
    Handler,
    Server,
    answers,
    breaks_off,
    hangs_up,
    never_answers,
    running,
)
from samples import PNG

from mmraw_protocol import MMRawError, MultiModalData, mm_data, parse_features
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.client import Completion, GenerateClient, ServerError, carry
from mmraw_protocol.stores import LocalStore

ADAPTER = get_adapter("qwen_vl")
PAD = 9


def images(offset: int, count: int = 1, store: LocalStore | None = None) -> MultiModalData:
    """`count` images one after another from `offset`."""
    messages = [{"role": "user", "content": [{"type": "image", "image": PNG}] * count}]
    packed = pack_images(messages, ADAPTER, storage="offload" if store else "inline", store=store)
    length = packed[0].description.placeholder_length
    return mm_data(packed, [offset + index * length for index in range(count)])


def prompt(*data: MultiModalData) -> list[int]:
    """Token ids that have pads where the images are."""
    places = [p for d in data for p in d.mm_placeholders["image"]]
    tokens = [1] * (max(p.offset + p.length for p in places) + 1)  # pyright: ignore
    for place in places:
        tokens[place.offset : place.offset + place.length] = [PAD] * place.length  # pyright: ignore
    return tokens


def run(*script: Handler, call: Any = None, **options: Any) -> tuple[Any, Server]:
    """The result of `call(client)` (or of a text prompt), or its MMRawError; and the server."""

    async def main() -> tuple[Any, Server]:
        async with running(*script) as server:
            options.setdefault("backoff", 0)
            async with GenerateClient(server.url, "m", run_id="x", **options) as client:
                try:
                    result = await (call(client) if call else client.generate([1, 2]))
                except MMRawError as error:
                    result = error
            return result, server

    return asyncio.run(main())


def test_a_text_prompt_has_no_features() -> None:
    result, server = run(
        answers(ANSWER),
        call=lambda c: c.generate(
            [1, 2], sampling_params={"max_tokens": 2}, extra_body={"priority": 1}
        ),
        api_key="secret",
    )
    assert isinstance(result, Completion)
    assert (result.token_ids, result.logprobs, result.finish_reason) == (
        [5, 6],
        [-0.5, -1.0],
        "stop",
    )
    assert (result.request_id, result.prompt_ids, result.response) == ("r1", [1, 2], ANSWER)
    assert server.requests == [
        {"model": "m", "token_ids": [1, 2], "sampling_params": {"max_tokens": 2}, "priority": 1}
    ]
    assert "POST /inference/v1/generate HTTP" in server.headers[0]
    assert "Authorization: Bearer secret" in server.headers[0]


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_images_travel_as_refs(dialect: str, tmp_path: Path) -> None:
    data = images(3, count=2, store=LocalStore(tmp_path))
    result, server = run(
        answers(ANSWER),
        call=lambda c: c.generate(prompt(data), multi_modal_data=data),
        dialect=dialect,
    )
    slots = list(parse_features(server.requests[0]["features"]).slots())
    assert [slot.placeholder.offset for slot in slots] == [3, 3 + slots[0].placeholder.length]
    assert {slot.ref.dialect for slot in slots} == {dialect}
    assert result.multi_modal_data is data


def test_every_turn_carries_the_images_of_all_turns() -> None:
    first, second = images(3), images(400)

    async def turns(client: GenerateClient) -> list[Completion]:
        one = await client.generate(prompt(first), multi_modal_data=first)
        both = prompt(first, second)
        two = await client.generate(both, multi_modal_data=second, previous=one.multi_modal_data)
        three = await client.generate([*both, 1, 1], previous=two.multi_modal_data)
        # A renderer's bridge returns all turns at once.
        whole = first.merge(second)
        four = await client.generate(both, multi_modal_data=whole, previous=one.multi_modal_data)
        return [one, two, three, four]

    _, server = run(*[answers(ANSWER)] * 4, call=turns)
    offsets = [
        [slot.placeholder.offset for slot in parse_features(request["features"]).slots()]
        for request in server.requests
    ]
    assert offsets == [[3], [3, 400], [3, 400], [3, 400]]
    assert first.mm_placeholders["image"] == images(3).mm_placeholders["image"], "never mutated"


def test_a_prompt_attribution_brings_its_images() -> None:
    data = images(3)
    attribution = SimpleNamespace(multi_modal_data=data)

    async def both(client: GenerateClient) -> list[Completion]:
        one = await client.generate(prompt(data), prompt_attribution=attribution)
        two = await client.generate(
            prompt(data), multi_modal_data=None, prompt_attribution=attribution
        )
        return [one, two]

    completions, server = run(answers(ANSWER), answers(ANSWER), call=both)
    assert all("features" in request for request in server.requests)
    assert attribution.multi_modal_data is data, "never overwritten with None"
    assert all(c.prompt_attribution is attribution for c in completions)
    assert all(c.multi_modal_data is data for c in completions)


def test_images_that_are_passed_win_over_an_attributions() -> None:
    data = images(3)
    attribution = SimpleNamespace(multi_modal_data=images(4))
    _, server = run(
        answers(ANSWER),
        call=lambda c: c.generate(
            prompt(data), multi_modal_data=data, prompt_attribution=attribution
        ),
    )
    (slot,) = parse_features(server.requests[0]["features"]).slots()
    assert slot.placeholder.offset == 3


def test_processed_tensors_never_leave() -> None:
    data = images(3)
    tensors = SimpleNamespace(
        mm_hashes=data.mm_hashes,
        mm_placeholders=data.mm_placeholders,
        mm_items={"image": [{"pixel_values": [0.0], "image_grid_thw": [[1, 2, 2]]}]},
    )
    result, server = run(call=lambda c: c.generate(prompt(data), multi_modal_data=tensors))
    assert (result.code, server.requests) == ("processed_payload", [])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda tokens: tokens.__setitem__(4, 8), "span_mismatch"),
        (lambda tokens: tokens.__delitem__(slice(6, None)), "placeholder_invalid"),
    ],
)
def test_spans_are_checked_before_anything_is_sent(change: Any, code: str) -> None:
    data = images(3)
    tokens = prompt(data)
    change(tokens)
    result, server = run(call=lambda c: c.generate(tokens, multi_modal_data=data))
    assert (result.code, result.path, server.requests) == (code, "$.mm_placeholders.image[0]", [])


def test_carry_refuses_what_would_lose_or_swap_an_image() -> None:
    earlier = images(3, count=2)
    some = MultiModalData(
        mm_hashes={"image": earlier.mm_hashes["image"][:1]},
        mm_placeholders={"image": earlier.mm_placeholders["image"][:1]},
        mm_items={"image": earlier.mm_items["image"][:1]},
    )
    other = MultiModalData(
        mm_hashes={"image": ["0" * 32] * 2},
        mm_placeholders=earlier.mm_placeholders,
        mm_items=earlier.mm_items,
    )
    for now, code in (
        (some, "missing_slot"),
        (other, "hash_mismatch"),
        (images(1), "placeholder_invalid"),
    ):
        with pytest.raises(MMRawError) as caught:
            carry(earlier, now)
        assert caught.value.code == code
    assert carry(None, None) == MultiModalData()
    assert carry(earlier, None) is earlier
    assert carry(None, earlier) is earlier


def test_the_servers_refusal_of_an_image_is_told_with_code_and_index() -> None:
    body = {
        "error": {
            "message": "hash_mismatch: expected the bytes that mm_hash names, got others (image 1)",
            "type": "invalid_mm_image_ref",
            "param": "features.kwargs_data.image[1]",
            "code": 400,
            "mmraw": {
                "code": "hash_mismatch",
                "modality": "image",
                "index": 1,
                "path": "$.kwargs_data.image[1]",
            },
        }
    }
    error, server = run(answers(body, 400))
    assert isinstance(error, ServerError)
    assert (error.code, error.path) == ("hash_mismatch", "$.kwargs_data.image[1]")
    assert (error.status, error.modality, error.index) == (400, "image", 1)
    assert error.message == "expected the bytes that mm_hash names, got others (image 1)"
    assert len(server.requests) == 1, "a refusal is never tried again"


def test_the_plugins_refusal_in_vllms_own_shape_is_told_with_its_code() -> None:
    words = "expected the payload that the image's size gives, got another (image 1)"
    body = {"error": {"message": f"grid_mismatch: {words}", "type": "BadRequestError"}}
    error, _ = run(answers(body, 400))
    assert isinstance(error, ServerError)
    assert (error.code, error.message, error.status) == ("grid_mismatch", words, 400)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"message": "no such model", "type": "NotFoundError", "code": 404}}),
        (500, b"<html>\xff oops"),
        (400, {"error": {"message": "x", "mmraw": {"code": "of a later version"}}}),
        (302, b""),
        (503, []),
    ],
)
def test_other_refusals_keep_their_status_and_are_not_repeated(status: int, body: Any) -> None:
    error, server = run(answers(body, status))
    assert (error.code, error.status, error.index) == ("server_refused", status, None)
    assert len(server.requests) == 1
    assert "model" not in str(error)
    if status == 404:
        assert error.detail == "no such model"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"token_ids": ["x"]}]}',
        b'{"choices": [{"token_ids": [1], "logprobs": {"content": []}}]}',
        b'{"choices": [{}], "choices": [{"token_ids": [1]}]}',
    ],
)
def test_an_answer_that_is_none_is_one_error(body: bytes) -> None:
    error, _ = run(answers(body))
    assert (error.code, error.status) == ("answer_invalid", 200)


def test_connection_faults_are_retried_and_the_same_request_is_sent() -> None:
    result, server = run(hangs_up, breaks_off, answers(ANSWER))
    assert result.token_ids == [5, 6]
    assert len(server.requests) == 3
    assert server.requests[0] == server.requests[2]


def test_retries_are_bounded() -> None:
    error, server = run(*[hangs_up] * 9, retries=2)
    assert (error.code, error.status) == ("server_unavailable", None)
    assert len(server.requests) == 3


def test_nobody_listening_is_one_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    async def main() -> None:
        async with GenerateClient(url, "m", retries=2, backoff=0) as client:
            await client.generate([1])

    with pytest.raises(ServerError) as caught:
        asyncio.run(main())
    assert caught.value.code == "server_unavailable"
    assert caught.value.__context__ is None


def test_a_slow_answer_is_not_asked_for_twice() -> None:
    error, server = run(never_answers, answers(ANSWER), timeout=0.2)
    assert error.code == "server_unavailable"
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://[", ""])
def test_what_is_no_url_is_one_error(url: str) -> None:
    async def main() -> None:
        async with GenerateClient(url, "m", backoff=0) as client:
            await client.generate([1])

    with pytest.raises(ServerError) as caught:
        asyncio.run(main())
    assert caught.value.code == "server_unavailable"


def test_a_client_of_ones_own_is_not_closed() -> None:
    async def main() -> bool:
        async with running(answers(ANSWER)) as server, httpx.AsyncClient() as http:
            async with GenerateClient(server.url, "m", http=http) as client:
                await client.generate([1])
            return http.is_closed

    assert asyncio.run(main()) is False


def test_many_requests_at_once_share_the_client() -> None:
    async def call(client: GenerateClient) -> list[Completion]:
        return await asyncio.gather(*[client.generate([n]) for n in range(20)])

    completions, server = run(*[answers(ANSWER)] * 20, call=call)
    assert [c.prompt_ids for c in completions] == [[n] for n in range(20)]
    assert sorted(r["token_ids"][0] for r in server.requests) == list(range(20))
