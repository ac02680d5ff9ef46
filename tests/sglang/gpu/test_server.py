"""Refs and data: URLs through a whole SGLang server, where there is a GPU: test-sglang-gpu."""

# pyright: reportMissingImports=false

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from described import fields_of
from engine import RUN, data_url
from pictures import encode, picture
from server import write_entry_points
from tiny_models import QWEN_TOKENS, make_qwen3_vl

from mmraw_protocol import RawMMRef, format_ref, get_adapter
from mmraw_protocol.stores import LocalStore

URL = "http://127.0.0.1:31234"
PROMPT = "a<|vision_start|><|image_pad|><|vision_end|>b"
#: SGLang decodes JPEG on the GPU, and its pixels differ; PNG has the same on every machine.
PICTURES = [encode(picture(96 + 31 * i, 400 - 23 * i, i), "PNG") for i in range(8)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    """The store of a server of a tiny Qwen3-VL."""
    folder = tmp_path_factory.mktemp("server")
    store = LocalStore(folder / "images", run_id=RUN)
    model = make_qwen3_vl(folder / "model")
    places = [str(write_entry_points(folder / "installed")), *sys.path]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "SGLANG_PLUGINS": "mmraw",
        "MMRAW_STORE": str(store.root),
        "MMRAW_RUN_ID": RUN,
    }
    command = [sys.executable, "-m", "sglang.launch_server", "--model-path", str(model)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--port", URL.rpartition(":")[2], "--mem-fraction-static", "0.3"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(process, folder / "log")
            yield store
        finally:
            process.terminate()
            process.wait(60)


def _wait(process: Any, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if httpx.get(f"{URL}/health").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    pytest.fail("the server did not start in ten minutes")


def ref(store: LocalStore, data: bytes, **changes: Any) -> str:
    source = {"raw_image_id": store.put(data)}
    fields = fields_of(get_adapter("qwen_vl"), data, RUN) | source | changes
    return format_ref(RawMMRef(**fields))


def generate(image: str, **prompt: Any) -> httpx.Response:
    sampling = {"max_new_tokens": 8, "temperature": 0, "ignore_eos": True}
    body = {"image_data": [image], "sampling_params": sampling, **(prompt or {"text": PROMPT})}
    return httpx.post(f"{URL}/generate", json=body, timeout=120)


@pytest.mark.parametrize("data", PICTURES)
def test_a_ref_gives_the_tokens_of_its_file(server: LocalStore, data: bytes) -> None:
    answers = [
        generate(url).raise_for_status().json() for url in (data_url(data), ref(server, data))
    ]
    assert answers[0]["output_ids"] == answers[1]["output_ids"]
    assert answers[0]["meta_info"]["prompt_tokens"] == answers[1]["meta_info"]["prompt_tokens"]


def test_a_ref_in_chat(server: LocalStore) -> None:
    texts = []
    for url in (data_url(PICTURES[0]), ref(server, PICTURES[0])):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        body = {"model": "tiny", "messages": [{"role": "user", "content": content}]}
        options = {"max_tokens": 8, "temperature": 0}
        answer = httpx.post(f"{URL}/v1/chat/completions", json={**body, **options}, timeout=120)
        texts.append(answer.raise_for_status().json()["choices"][0]["message"]["content"])
    assert texts[0] == texts[1]


def test_a_broken_ref_is_400(server: LocalStore) -> None:
    answer = generate(ref(server, PICTURES[0], mm_hash="0" * 32))
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"]["message"].startswith("hash_mismatch: ")


def test_expanded_ids(server: LocalStore) -> None:
    adapter = get_adapter("qwen_vl")
    ids = {token: 256 + index for index, token in enumerate(QWEN_TOKENS)}
    count = adapter.describe(PICTURES[0]).num_tokens
    around = ids["<|vision_start|>"], ids["<|vision_end|>"]
    prompt = [1, around[0], *[ids["<|image_pad|>"]] * count, around[1], 2]
    answer = generate(ref(server, PICTURES[0]), input_ids=prompt).raise_for_status().json()
    assert answer["meta_info"]["prompt_tokens"] == len(prompt)
