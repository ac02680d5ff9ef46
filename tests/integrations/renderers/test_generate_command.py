"""`mmraw generate`: messages become a prompt by the released renderers, and the answer is read."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from loopback import ANSWER, answers, running_in_a_thread

from mmraw_protocol import parse_features
from mmraw_protocol.cli import main

#: --family, --renderer, what the model says, and the token that ends it.
CASES = [
    ("qwen_vl", "qwen3-vl", "the red square", "<|im_end|>"),
    ("qwen_vl", "qwen3.5", "</think>the red square", "<|im_end|>"),
    ("kimi_k25", "kimi-k2.5", "</think>the red square", "<|im_end|>"),
    ("gemma4", "gemma4", "the red square", "<turn|>"),
    ("nemotron_h_omni", "nemotron-3.5", "</think>the red square", "<|im_end|>"),
    ("inkling", "inkling", "<|content_text|>the red square", "<|content_model_end_sampling|>"),
]


@pytest.mark.parametrize(("family", "renderer", "said", "end"), CASES)
def test_one_conversation(
    family: str,
    renderer: str,
    said: str,
    end: str,
    pictures: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    parts = [{"type": "image", "path": str(p.path)} for p in pictures[:3]]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "what is this"}]}]
    (tmp_path / "messages.json").write_text(json.dumps({"messages": messages}))
    tools = [{"name": "screenshot", "description": "x", "parameters": {"type": "object"}}]
    (tmp_path / "tools.json").write_text(json.dumps(tools))
    tokens = tiny.tokenizer().encode(said + end, add_special_tokens=False)
    choice = {**ANSWER["choices"][0], "token_ids": tokens, "logprobs": None}
    store = tmp_path / "run_x" / "assets" / "images"
    with running_in_a_thread(answers({**ANSWER, "choices": [choice]})) as server:
        code = main(
            [
                *("generate", str(tmp_path / "messages.json"), "--server", server.url),
                *("--model", "tiny", "--tokenizer", str(tmp_path / "model")),
                *("--family", family, "--renderer", renderer, "--store", str(store)),
                *("--tools", str(tmp_path / "tools.json")),
            ]
        )
    assert (code, capsys.readouterr().out) == (0, "the red square\n")
    (request,) = server.requests
    slots = list(parse_features(request["features"]).slots())
    assert [slot.mm_hash for slot in slots] == [p.mm_hash for p in pictures[:3]]
    assert {slot.ref.run_id for slot in slots} == {"x"}
    assert len(list(store.iterdir())) == 3
    stop = tiny.tokenizer().convert_tokens_to_ids(end)
    assert stop in request["sampling_params"]["stop_token_ids"]
    assert "screenshot" in tiny.tokenizer().decode(request["token_ids"])


def test_a_folder_without_tokenizer_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--server", "http://127.0.0.1:9", "--model", str(tmp_path), "--storage", "inline"]
    assert main(["generate", "[]", *arguments]) == 1
    assert "--tokenizer" in capsys.readouterr().err
