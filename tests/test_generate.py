"""`mmraw generate` with a prompt of one's own, where the renderers package is not installed."""

import json
from pathlib import Path
from typing import Any

import pytest
from loopback import ANSWER, answers, running_in_a_thread

from mmraw_protocol import parse_features
from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter

PICTURE = vectors_folder() / "images" / "rgb_101x67.png"
REFUSED = {
    "error": {
        "message": "grid_mismatch: the payload's grid is not the image's (image 0)",
        "mmraw": {
            "code": "grid_mismatch",
            "modality": "image",
            "index": 0,
            "path": "$.kwargs_data.image[0]",
        },
    }
}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A conversation of one image and its tokens."""
    messages = [{"role": "user", "content": [{"type": "image", "path": str(PICTURE)}]}]
    (tmp_path / "messages.json").write_text(json.dumps(messages))
    length = get_adapter("qwen_vl").layout(101, 67).placeholder_length
    (tmp_path / "ids.json").write_text(json.dumps([1, 1] + [9] * length + [1]))
    return [
        *("generate", str(tmp_path / "messages.json"), "--model", "m", "--storage", "inline"),
        *("--token-ids", str(tmp_path / "ids.json"), "--offsets", "2", "--run-id", "x"),
    ]


def test_the_answer_is_printed(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with running_in_a_thread(answers(ANSWER)) as server:
        assert main([*options, "--server", server.url, "--max-tokens", "7"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (report["token_ids"], report["images"], report["finish_reason"]) == ([5, 6], 1, "stop")
    (request,) = server.requests
    assert request["sampling_params"] == {"max_tokens": 7, "temperature": 0.0}
    (slot,) = parse_features(request["features"]).slots()
    assert (slot.placeholder.offset, slot.ref.run_id) == (2, "x")


def test_the_servers_refusal_ends_the_command(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with running_in_a_thread(answers(REFUSED, 400), answers(REFUSED, 400)) as server:
        assert main([*options, "--server", server.url]) == 1
        told = capsys.readouterr().err
        assert main([*options, "--server", server.url, "--json"]) == 1
    assert "grid_mismatch at $.kwargs_data.image[0]" in told
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "grid_mismatch"


def test_offsets_are_held_against_the_prompt(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with running_in_a_thread() as server:
        wrong = [*options, "--server", server.url, "--offsets", "1"]
        assert main(wrong) == 1
    assert "span_mismatch" in capsys.readouterr().err
    assert server.requests == []


def test_without_the_renderers_package_the_message_says_what_to_install(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "renderers", None)
    without = options[: options.index("--token-ids")]
    assert main([*without, "--server", "http://127.0.0.1:9"]) == 1
    assert "mmraw-protocol[renderers]" in capsys.readouterr().err
