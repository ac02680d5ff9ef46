"""Refs and data: URLs through a whole SGLang server of each model: test-sglang-gpu.

A model is tiny, with weights that SGLang makes up. SGLANG_CHECKPOINTS names a folder of others to
serve instead, each under its name in `MODELS`. A checkpoint that needs its own code is there alone.
"""

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
from engine import BY_IDS, PUBLISHED, RUN, SERVED, Model, data_url
from pictures import encode, picture
from server import write_entry_points

from mmraw_protocol import expand_prompt
from mmraw_protocol.stores import LocalStore

URL = "http://127.0.0.1:31234"
CHECKPOINTS = Path(os.environ.get("SGLANG_CHECKPOINTS", "no folder"))
#: SGLang decodes JPEG on the GPU, and its pixels differ; PNG has the same on every machine.
PICTURES = [encode(picture(96 + 31 * i, 400 - 23 * i, i), "PNG") for i in range(8)]


@pytest.fixture(scope="module", params=SERVED)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that is served."""
    folder, name = tmp_path_factory.mktemp("server"), request.param
    store = LocalStore(folder / "images", run_id=RUN)
    if (CHECKPOINTS / name).exists():
        return Model(name, CHECKPOINTS / name, store)
    if name in PUBLISHED:
        pytest.skip("its processor is in its checkpoints; name them in SGLANG_CHECKPOINTS")
    return Model(name, folder / "model", store)


@pytest.fixture(scope="module", autouse=True)
def server(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server of the model."""
    folder = tmp_path_factory.mktemp("log")
    places = [str(write_entry_points(folder / "installed")), *sys.path]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "SGLANG_PLUGINS": "mmraw",
        "MMRAW_STORE": str(model.store.root),
        "MMRAW_RUN_ID": RUN,
    }
    command = [sys.executable, "-m", "sglang.launch_server", "--model-path", str(model.folder)]
    command += ["--port", URL.rpartition(":")[2], "--trust-remote-code"]
    if not model.folder.is_relative_to(CHECKPOINTS):
        command += ["--load-format", "dummy", "--mem-fraction-static", "0.3"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(process, folder / "log")
            yield
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


def tokenizer(model: Model) -> Any:
    """The one that the server has."""
    from sglang.srt.utils.hf_transformers_utils import get_tokenizer

    return get_tokenizer(str(model.folder), trust_remote_code=True)


def generate(*images: str, **prompt: Any) -> httpx.Response:
    sampling = {"max_new_tokens": 8, "temperature": 0, "ignore_eos": True}
    body = {"image_data": [*images], "sampling_params": sampling, **prompt}
    return httpx.post(f"{URL}/generate", json=body, timeout=120)


def generated(*images: str, **prompt: Any) -> tuple[list[int], int]:
    """Token ids of the answer, and how many the prompt has."""
    answer = generate(*images, **prompt).raise_for_status().json()
    return answer["output_ids"], answer["meta_info"]["prompt_tokens"]


@pytest.mark.parametrize("data", PICTURES)
def test_a_ref_gives_the_tokens_of_its_file(model: Model, data: bytes) -> None:
    prompt = {"text": model.prompt(1)}
    assert generated(model.ref(data), **prompt) == generated(data_url(data), **prompt)


def test_several_images_of_a_prompt(model: Model) -> None:
    refs, urls = [model.ref(data) for data in PICTURES[:3]], [*map(data_url, PICTURES[:3])]
    prompt = {"text": model.prompt(3)}
    expected = generated(*urls, **prompt)
    assert generated(*refs, **prompt) == expected
    assert generated(refs[0], urls[1], refs[2], **prompt) == expected


def test_a_ref_in_chat(model: Model) -> None:
    if not tokenizer(model).chat_template:
        pytest.skip("the checkpoint has no chat template")
    texts = []
    for url in (data_url(PICTURES[0]), model.ref(PICTURES[0])):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        body = {"model": "tiny", "messages": [{"role": "user", "content": content}]}
        options = {"max_tokens": 8, "temperature": 0}
        answer = httpx.post(f"{URL}/v1/chat/completions", json={**body, **options}, timeout=120)
        texts.append(answer.raise_for_status().json()["choices"][0]["message"]["content"])
    assert texts[0] == texts[1]


def test_a_broken_ref_is_400(model: Model) -> None:
    answer = generate(model.ref(PICTURES[0], mm_hash="0" * 32), text=model.prompt(1))
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"]["message"].startswith("hash_mismatch: ")


def test_expanded_ids(model: Model) -> None:
    if model.name not in BY_IDS:
        pytest.skip("SGLang takes no token ids beside this model's pictures")
    known, refs = tokenizer(model), [model.ref(data) for data in PICTURES[:2]]
    compact = known.encode(model.prompt(2))
    options: Any = {"vocabulary": known.get_vocab(), "engine": "sglang"}
    expanded = expand_prompt(compact, refs, model.adapter, **options).token_ids
    output, count = generated(*refs, input_ids=list(expanded))
    assert count == len(expanded)
    assert output == generated(*refs, input_ids=compact)[0]
