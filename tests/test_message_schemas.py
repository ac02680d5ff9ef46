"""The schemas of spec/messages, against the messages that this package sends and takes."""

import asyncio
import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from loopback import ANSWER, answers, running
from referencing import Registry
from samples import PNG
from vllm_package import install
from vllm_stand_in import JPEG, Server, inline, refusals, request_of, stored

from mmraw_protocol import MMRawError, content_parts, format_ref, mm_data
from mmraw_protocol.conformance.answers import AnswerError, read_answer, read_start
from mmraw_protocol.conformance.child import Child
from mmraw_protocol.conformance.harness import PROTOCOL_VERSION, answer, serve
from mmraw_protocol.conformance.runner import Options, run
from mmraw_protocol.conformance.vectors import Vector, read_vectors
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.client import GenerateClient
from mmraw_protocol.integrations.vllm import process
from mmraw_protocol.integrations.vllm.errors import features_error, url_error
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.testing import json_values
from mmraw_protocol.wire._generated.errors import ERRORS, ErrorCode
from mmraw_protocol.wire.schemas import schemas, spec_folder

MESSAGES = spec_folder() / "messages"
NAMES = sorted(path.stem for path in MESSAGES.iterdir())
REGISTRY: Any = Registry().with_contents(schemas().items())


def load(name: str) -> Any:
    return json.loads((MESSAGES / f"{name}.json").read_text(encoding="utf-8"))


VALIDATORS = {name: Draft202012Validator(load(name), registry=REGISTRY) for name in NAMES}


def fits(name: str, message: Any) -> bool:
    return VALIDATORS[name].is_valid(message)


def hold(name: str, message: Any) -> None:
    """Fails, with the place, where the message is not one of the schema."""
    VALIDATORS[name].validate(message)


@pytest.mark.parametrize("name", NAMES)
def test_every_message_has_a_name_with_its_version(name: str) -> None:
    stem, _, version = name.rpartition("-")
    assert load(name)["$id"] == f"urn:mmraw:message:{stem}:{version}"


# Generate requests


@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_the_client_sends_generate_requests(dialect: str, tmp_path: Path) -> None:
    adapter = get_adapter("qwen_vl")
    conversation = [{"role": "user", "content": [{"type": "image", "image": PNG}]}]
    packed = pack_images(conversation, adapter, storage="offload", store=LocalStore(tmp_path))
    data = mm_data(packed, [1])
    prompt = [1, *[9] * packed[0].description.placeholder_length, 1]

    async def requests() -> list[Any]:
        async with (
            running(answers(ANSWER), answers(ANSWER)) as server,
            GenerateClient(server.url, "m", run_id="x", dialect=dialect) as client,
        ):
            await client.generate(prompt, multi_modal_data=data, sampling_params={"n": 1})
            await client.generate([1, 2], extra_body={"priority": 1})
            return server.requests

    with_image, text_alone = asyncio.run(requests())
    assert with_image["features"]["kwargs_data"]["image"]
    hold("generate-request-v1", with_image)
    hold("generate-request-v1", text_alone)


def test_a_request_names_images_by_ref_or_by_url(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, run_id="exp42")
    refs = [stored(store), inline(store)]
    hold("generate-request-v1", request_of(*refs))
    urls = [{"type": "image_url", "image_url": {"url": format_ref(ref)}} for ref in refs]
    parts = content_parts([{"role": "user", "content": urls}])
    assert len(parts) == len(refs)
    hold("generate-request-v1", {"token_ids": [1], "content_parts": parts})
    for empty in (None, {"mm_hashes": {}, "mm_placeholders": {}, "kwargs_data": {}}):
        hold("generate-request-v1", {"token_ids": [1], "features": empty})


@pytest.mark.parametrize(
    "change",
    [
        {"token_ids": ["1"]},
        {"token_ids": [-1]},
        {"features": {"mm_hashes": {}}},
        {"content_parts": [{"type": "text", "text": "x"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_generate_request_is_seen(change: dict[str, Any], tmp_path: Path) -> None:
    request = request_of(stored(LocalStore(tmp_path, run_id="exp42")))
    assert fits("generate-request-v1", request)
    assert not fits("generate-request-v1", request | change)
    del request["token_ids"]
    assert not fits("generate-request-v1", request)


# Refusals


def test_every_code_makes_a_body_of_the_schema() -> None:
    for code in cast("list[ErrorCode]", list(ERRORS)):
        for path in ("$", "", "$.kwargs_data.image[1].payload", "$.kwargs_data[...][0]"):
            _, body = features_error(MMRawError(code, "expected something", path))
            hold("error-body-v1", body)
        _, body = url_error(MMRawError(code, "expected something", "$.images[3]"))
        hold("error-body-v1", body)


def test_the_server_answers_with_bodies_of_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    store = LocalStore(tmp_path, run_id="exp42")
    server = Server(store)
    statuses = Counter[int]()
    for _, request in refusals(store):
        reply = server.post(request)
        hold("error-body-v1", json.loads(reply.body))
        statuses[reply.status] += 1
    assert statuses[400] > 10
    assert server.post(request_of(stored(store, JPEG))).status == 200
    process.serve(None)


@pytest.mark.parametrize(
    "change",
    [{"code": "400"}, {"message": "no code before it"}, {"param": 1}, {"mmraw": {"code": "x"}}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_refusal_is_seen(change: dict[str, Any]) -> None:
    _, body = features_error(MMRawError("not_a_ref", "expected a ref", "$.kwargs_data.image[0]"))
    assert not fits("error-body-v1", {"error": body["error"] | change})
    assert not fits("error-body-v1", body["error"])


# Conformance


def few(per_operation: int) -> list[Vector]:
    """So many vectors of each operation that are accepted, and so many that are rejected."""
    seen = Counter[tuple[str, bool]]()
    found: list[Vector] = []
    for vector in read_vectors():
        kind = (vector.op, vector.error is None)
        seen[kind] += 1
        if seen[kind] <= per_operation:
            found.append(vector)
    return found


def run_request(vector: Vector, seq: int | str) -> dict[str, Any]:
    return {"cmd": "run", "seq": seq, "op": vector.op, "input": vector.input}


def test_the_answering_side_writes_answers_of_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some vectors write
    requests: list[Any] = [
        {"cmd": "start", "version": PROTOCOL_VERSION},
        *(run_request(vector, n) for n, vector in enumerate(few(3))),
        {"cmd": "run", "seq": "s", "op": "unheard_of", "input": {}},
    ]
    for request in requests:
        hold("conformance-request-v1", request)
    lines = [*(json.dumps(request) for request in requests), "no request", '{"cmd":"stop"}']
    output = io.BytesIO()
    assert serve(io.BytesIO("\n".join(lines).encode()), output) == 0
    replies = [json.loads(line) for line in output.getvalue().splitlines()]
    assert len(replies) == len(requests) + 1
    for reply in replies:
        hold("conformance-answer-v1", reply)
    assert {True, False} <= {reply.get("ok") for reply in replies}


def test_the_runner_sends_requests_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    honest = Child.send

    def spy(self: Child, line: bytes) -> None:
        sent.append(json.loads(line))
        honest(self, line)

    monkeypatch.setattr(Child, "send", spy)
    vectors = [vector for vector in few(2) if vector.op in ("check_raw_image_id", "parse_data_uri")]
    run(serving(), vectors, Options())
    assert {request["cmd"] for request in sent} == {"start", "run", "stop"}
    for request in sent:
        hold("conformance-request-v1", request)


def serving() -> list[str]:
    return [sys.executable, "-m", "mmraw_protocol.cli", "conformance", "serve"]


#: Answers of every form; the seq is 1.
REPLIES: list[dict[str, Any]] = [
    {"seq": 1, "ok": True, "result": {"a": 1}},
    {"seq": 1, "ok": False, "error": {"code": "not_a_ref", "path": "$", "message": "no ref"}},
    {"seq": 1, "skipped": True, "message": "not here"},
]


@given(st.sampled_from(REPLIES), st.data())
def test_the_runner_takes_exactly_the_answers_of_the_schema(
    reply: dict[str, Any], data: st.DataObject
) -> None:
    changed = json.loads(json.dumps(reply))
    place = data.draw(st.sampled_from([changed, changed.get("error", changed)]))
    key = data.draw(st.sampled_from([*place, "extra"]))
    if data.draw(st.booleans()):
        place[key] = data.draw(json_values() | st.booleans() | st.just(""))
    else:
        place.pop(key, None)
    changed["seq"] = 1
    try:
        read_answer(json.dumps(changed).encode(), 1)
        taken = True
    except AnswerError:
        taken = False
    assert fits("conformance-answer-v1", changed) is taken


def test_the_runner_takes_exactly_the_starts_of_the_schema() -> None:
    start = answer({"cmd": "start", "version": PROTOCOL_VERSION})
    assert start is not None
    about = start["implementation"]
    changes = [
        {},
        {"version": 2},
        {"extra": 1},
        *({"implementation": {**about, name: 1}} for name in [*about, "extra"]),
        *({"implementation": {n: v for n, v in about.items() if n != name}} for name in about),
    ]
    for change in changes:
        changed = {**start, **change}
        try:
            read_start(json.dumps(changed).encode(), PROTOCOL_VERSION)
            taken = True
        except AnswerError:
            taken = False
        assert fits("conformance-answer-v1", changed) is taken, change
