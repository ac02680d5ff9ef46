"""Chat with refs: GenerateClient.chat and `mmraw generate --chat`, against a stand-in server."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from loopback import answers, running_in_a_thread

from mmraw_protocol import get_adapter, parse_ref, ref_messages
from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.integrations.client import ChatAnswer, GenerateClient, ServerError

PICTURE = vectors_folder() / "images" / "rgb_101x67.png"
DATA_URL = f"data:image/png;base64,{base64.b64encode(PICTURE.read_bytes()).decode()}"
MESSAGES = [{"role": "user", "content": [{"type": "image", "path": str(PICTURE)}]}]
URLS = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL}}]}]
CHOICE: dict[str, Any] = {
    "index": 0,
    "message": {"role": "assistant", "content": "a cat"},
    "finish_reason": "stop",
    "logprobs": {"content": [{"token": "a", "logprob": -0.5}, {"token": " cat", "logprob": -1}]},
}
IDS: dict[str, Any] = {"prompt_token_ids": [1, 2, 3], "response_token_ids": [5, 6]}
SGLANG: dict[str, Any] = {"id": "c1", "choices": [{**CHOICE, **IDS}]}
VLLM: dict[str, Any] = {
    "id": "c1",
    "prompt_token_ids": [1, 2, 3],
    "choices": [{**CHOICE, "token_ids": [5, 6]}],
}


async def chat(url: str, messages: list[Any], engine: str, **options: Any) -> ChatAnswer:
    async with GenerateClient(url, "m", engine=engine, retries=0) as client:
        return await client.chat(messages, **options)


def asked(answer: Any, engine: str = "sglang", status: int = 200, **options: Any) -> Any:
    """The client's answer, the server's request and its first line."""
    messages = ref_messages(URLS, get_adapter("qwen_vl"), storage="inline", run_id="x")
    with running_in_a_thread(answers(answer, status)) as server:
        found = asyncio.run(chat(f"{server.url}/v1", messages, engine, **options))
    return found, server.requests[0], server.headers[0]


@pytest.mark.parametrize(("engine", "answer"), [("sglang", SGLANG), ("vllm", VLLM)])
def test_a_chat_brings_text_tokens_and_logprobs(engine: str, answer: Any) -> None:
    found, request, line = asked(answer, engine, sampling_params={"max_tokens": 7})
    assert line.startswith("POST /v1/chat/completions HTTP")
    assert found == ChatAnswer("c1", "a cat", [1, 2, 3], [5, 6], [-0.5, -1.0], "stop")
    assert (request["model"], request["max_tokens"]) == ("m", 7)
    assert request["logprobs"]
    assert request["return_token_ids"]
    (part,) = request["messages"][0]["content"]
    assert parse_ref(part["image_url"]["url"]).run_id == "x"


def test_a_server_may_give_neither_tokens_nor_logprobs() -> None:
    choice = {"message": {"content": None}, "finish_reason": "tool_calls"}
    found, request, _ = asked({"choices": [choice]}, extra_body={"logprobs": False})
    assert found == ChatAnswer("", None, None, None, None, "tool_calls")
    assert request["logprobs"] is False


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{**CHOICE, "response_token_ids": [5]}]},
    ],
)
def test_another_answer_is_invalid(answer: Any) -> None:
    with pytest.raises(ServerError) as caught:
        asked(answer)
    assert caught.value.code == "answer_invalid"


def test_the_servers_refusal() -> None:
    """SGLang's chat has the message at the top of its answer."""
    message = "hash_mismatch: mm_hash is another (image 0)"
    for refusal in ({"error": {"message": message}}, {"object": "error", "message": message}):
        with pytest.raises(ServerError) as caught:
            asked(refusal, status=400)
        assert (caught.value.code, caught.value.status) == ("hash_mismatch", 400)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.json").write_text(json.dumps(MESSAGES))
    command = ["generate", str(tmp_path / "m.json"), "--engine", "sglang", "--model", "m"]
    command += ["--chat", "--storage", "inline", "--run-id", "x", "--max-tokens", "7"]
    with running_in_a_thread(answers(SGLANG), answers(SGLANG)) as server:
        assert main([*command, "--server", server.url]) == 0
        assert capsys.readouterr().out == "a cat\n"
        assert main([*command, "--server", server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["token_ids"] == [5, 6]
    (part,) = server.requests[0]["messages"][0]["content"]
    assert parse_ref(part["image_url"]["url"]).mm_hash
    assert (server.requests[0]["max_tokens"], server.requests[0]["temperature"]) == (7, 0.0)
