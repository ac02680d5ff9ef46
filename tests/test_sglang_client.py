"""The client of SGLang's /generate, and `mmraw generate --engine sglang`, against a stand-in."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from loopback import answers, running_in_a_thread

from mmraw_protocol import MMRawError, get_adapter, pack_images, parse_ref
from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.conversation.messages import mm_data
from mmraw_protocol.integrations.client import GenerateClient, ServerError
from mmraw_protocol.wire.features import MultiModalData

PICTURES = [vectors_folder() / "images" / name for name in ("rgb_101x67.png", "rgb_320x200.jpg")]
ANSWER: dict[str, Any] = {
    "text": "ab",
    "output_ids": [5, 6],
    "meta_info": {
        "id": "r1",
        "finish_reason": {"type": "stop", "matched": 6},
        "prompt_tokens": 20,
        "output_token_logprobs": [[-0.5, 5, None], [-1, 6, None]],
    },
}
PAD = 151655


def prompt(count: int = 2) -> tuple[list[int], MultiModalData]:
    """A prompt of some images, and these."""
    adapter = get_adapter("qwen_vl")
    parts = [{"type": "image", "image": path.read_bytes()} for path in PICTURES[:count]]
    packed = pack_images([{"role": "user", "content": parts}], adapter, storage="inline")
    token_ids, offsets = [1], list[int]()
    for image in packed:
        offsets.append(len(token_ids))
        token_ids += [*[PAD] * image.description.num_tokens, 2]
    return token_ids, mm_data(packed, offsets)


def asked(answer: Any, status: int = 200, **options: Any) -> tuple[Any, Any]:
    """The client's completion and the server's request."""
    token_ids, images = prompt()
    with running_in_a_thread(answers(answer, status)) as server:
        given = {"multi_modal_data": images, **options}
        found = asyncio.run(generate(server.url, token_ids, **given))
    assert server.headers[0].startswith("POST /generate HTTP")
    return found, server.requests[0]


async def generate(url: str, token_ids: list[int], **options: Any) -> Any:
    """Returns the client's result of an answer."""
    async with GenerateClient(url, "m", engine="sglang", run_id="x") as client:
        return await client.generate(token_ids, **options)


def test_refs_go_out_in_the_order_of_the_prompt() -> None:
    sampling = {"max_new_tokens": 7}
    _, request = asked(ANSWER, sampling_params=sampling, extra_body={"rid": "one"})
    token_ids, images = prompt()
    refs = request.pop("image_data")
    assert request == {
        "input_ids": token_ids,
        "sampling_params": sampling,
        "return_logprob": True,
        "rid": "one",
    }
    assert [parse_ref(ref).mm_hash for ref in refs] == images.mm_hashes["image"]
    assert {parse_ref(ref).run_id for ref in refs} == {"x"}


def test_tokens_and_logprobs_come_back() -> None:
    found, _ = asked(ANSWER)
    assert (found.token_ids, found.logprobs) == ([5, 6], [-0.5, -1.0])
    assert (found.request_id, found.finish_reason) == ("r1", "stop")
    assert found.prompt_ids == prompt()[0]
    assert found.multi_modal_data.mm_hashes == prompt()[1].mm_hashes


def test_a_prompt_without_images_has_no_image_data() -> None:
    with running_in_a_thread(answers(ANSWER)) as server:
        asyncio.run(generate(server.url, [1, 2]))
    assert "image_data" not in server.requests[0]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"output_ids": [5]},
        {**ANSWER, "output_ids": "56"},
        {**ANSWER, "meta_info": {"output_token_logprobs": [[-1, 5, None]]}},
        {**ANSWER, "meta_info": {"output_token_logprobs": [[-1, 5, None], [-1, 7, None]]}},
        {**ANSWER, "meta_info": {"output_token_logprobs": [[], []]}},
    ],
)
def test_another_answer_is_invalid(answer: Any) -> None:
    with pytest.raises(ServerError) as caught:
        asked(answer)
    assert caught.value.code == "answer_invalid"


def test_the_servers_refusal() -> None:
    refusal = {"error": {"message": "hash_mismatch: mm_hash is another (image 1)"}}
    with pytest.raises(ServerError) as caught:
        asked(refusal, 400)
    assert (caught.value.code, caught.value.status) == ("hash_mismatch", 400)
    assert caught.value.index == 1


def test_an_unknown_engine() -> None:
    with pytest.raises(MMRawError, match="vllm or sglang") as caught:
        GenerateClient("http://localhost", "m", engine="other")
    assert caught.value.code == "unsupported_option"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token_ids, images = prompt(1)
    parts = [{"type": "image", "path": str(PICTURES[0])}]
    (tmp_path / "m.json").write_text(json.dumps([{"role": "user", "content": parts}]))
    (tmp_path / "ids.json").write_text(json.dumps(token_ids))
    command = ["generate", str(tmp_path / "m.json"), "--engine", "sglang", "--model", "m"]
    command += ["--token-ids", str(tmp_path / "ids.json"), "--offsets", "1"]
    command += ["--storage", "inline", "--run-id", "x", "--max-tokens", "7"]
    with running_in_a_thread(answers(ANSWER)) as server:
        assert main([*command, "--server", server.url]) == 0
    assert json.loads(capsys.readouterr().out)["token_ids"] == [5, 6]
    (request,) = server.requests
    assert request["sampling_params"] == {"max_new_tokens": 7, "temperature": 0.0}
    assert [parse_ref(ref).mm_hash for ref in request["image_data"]] == images.mm_hashes["image"]
