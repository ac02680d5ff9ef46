"""Refs as image URLs of an unmodified vLLM with VLLM_PLUGINS=mmraw, on each of its routes."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Models
from exchange import GENERATE, RUN, Messages, render
from pictures import KINDS, picture, rotated, samples, with_alpha
from PIL import Image
from server import HERE, ROOT
from urls import (
    CHAT,
    ONE,
    RESPONSES,
    THREE,
    TWO,
    Urls,
    broken,
    data_url,
    refusal,
    tokens_of,
    user,
)

from mmraw_protocol import convert_ref, get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.dialects import DIALECTS

SAMPLES = {n: data for n, data in samples().items() if "1500x900" not in n}
REQUESTS = 64


@pytest.fixture
def qwen_urls(urls: Urls) -> Urls:
    """The Qwen3-VL alone."""
    if urls.adapter.family != "qwen_vl":
        pytest.skip("once is enough")
    return urls


def both(urls: Urls, *turns: tuple[bytes | str, ...]) -> tuple[Messages, Messages]:
    """A conversation with data: URLs, and the same with refs."""
    found: list[Messages] = []
    for url_of in (data_url, urls.ref):
        messages: Messages = []
        for turn in turns:
            parts = [url_of(part) if isinstance(part, bytes) else part for part in turn]
            messages += [user(*parts), {"role": "assistant", "content": "yes"}]
        found.append(messages[:-1])
    return found[0], found[1]


def test_chat_gives_the_tokens_of_the_data_urls(urls: Urls) -> None:
    for turns in (
        [(ONE, "what is it?")],
        [(TWO, "and", ONE, "differ how?")],
        [(ONE, ONE, "twice?")],
        [(ONE, "what is it?"), (TWO, THREE, "and these?"), ("no image",), (ONE, "again?")],
    ):
        plain, refs = both(urls, *turns)
        assert urls.chat_tokens(refs) == urls.chat_tokens(plain)


def test_every_kind_of_picture_gives_them(urls: Urls) -> None:
    for name, data in SAMPLES.items():
        plain, refs = both(urls, (data, "what is it?"))
        assert urls.chat_tokens(refs) == urls.chat_tokens(plain), name


def test_another_picture_gives_other_tokens(urls: Urls) -> None:
    found = {
        tuple(urls.chat_tokens([user(urls.ref(KINDS["png"](picture(320, 200, seed))), "what?")]))
        for seed in range(6)
    }
    assert len(found) >= 3


def test_ordinary_requests_stay_as_they_were(urls: Urls) -> None:
    """The same picture by a data: URL keeps vLLM's own identity, whatever refs did before."""
    plain, refs = both(urls, (ONE, "what is it?"))
    modality = urls.adapter.feature_modality
    stock = render(urls.server, plain)["features"]["mm_hashes"][modality]
    urls.chat_tokens(refs)
    assert render(urls.server, plain)["features"]["mm_hashes"][modality] == stock
    assert render(urls.server, refs)["features"]["mm_hashes"][modality] != stock
    assert urls.chat([user("hello")]).status_code == 200
    assert "mmraw" not in refusal(urls.chat([user("data:image/png;base64,AAAA")]))


def test_the_render_route_gives_the_same_prompt(urls: Urls) -> None:
    plain, refs = both(urls, (ONE, "and", TWO, "differ how?"))
    stock, found = render(urls.server, plain), render(urls.server, refs)
    assert found["token_ids"] == stock["token_ids"]
    assert found["features"]["mm_placeholders"] == stock["features"]["mm_placeholders"]
    assert found["features"]["kwargs_data"] == stock["features"]["kwargs_data"]


def test_content_parts_give_the_same_tokens_and_placeholders(urls: Urls) -> None:
    plain, _ = both(urls, (ONE, "and", TWO, "differ how?"))
    prompt = urls.compact(plain)
    stock = urls.generate(prompt, data_url(ONE), data_url(TWO))
    found = urls.generate(prompt, urls.ref(ONE), urls.inline(TWO))
    assert tokens_of(found) == tokens_of(stock) == urls.chat_tokens(plain)
    rendered = render(urls.server, plain)
    for answer in (stock.json(), found.json()):
        assert answer["prompt_token_ids"] == rendered["token_ids"]
        assert answer["mm_placeholders"] == rendered["features"]["mm_placeholders"]
    lengths = [p["length"] for p in found.json()["mm_placeholders"][urls.adapter.feature_modality]]
    payloads = [urls.fields(data).payload for data in (ONE, TWO)]
    assert lengths == [urls.adapter.num_tokens(payload) for payload in payloads]


def test_the_responses_route_gives_the_same_text(urls: Urls) -> None:
    def ask(url: str) -> Any:
        image = {"type": "input_image", "image_url": url, "detail": "auto"}
        content = [image, {"type": "input_text", "text": "what is it?"}]
        body = {"model": "tiny", "input": [{"role": "user", "content": content}], "temperature": 0}
        return urls.server.post(RESPONSES, body | {"max_output_tokens": 16})

    stock, found = ask(data_url(TWO)), ask(urls.ref(TWO))
    assert found.status_code == 200, found.text
    assert found.json()["output"][0]["content"] == stock.json()["output"][0]["content"]
    assert refusal(ask(urls.ref(TWO, fingerprint="0" * 32))).startswith("fingerprint_mismatch: ")


def test_every_dialect_is_read(qwen_urls: Urls, models: Models) -> None:
    plain, _ = both(qwen_urls, (ONE, "what is it?"))
    expected = qwen_urls.chat_tokens(plain)
    config = {"run_id": RUN, "config": models.get("qwen"), "store": qwen_urls.store}
    found: dict[str, list[int]] = {}
    for dialect, wire in DIALECTS.items():
        carries = "raw_image_data" in wire.attributes
        ref = qwen_urls.inline(ONE) if carries else qwen_urls.ref(ONE)
        converted = convert_ref(ref, dialect, **config)
        found[dialect] = qwen_urls.chat_tokens([user(converted, "what is it?")])
    assert found == dict.fromkeys(DIALECTS, expected)


@pytest.mark.parametrize("make", [rotated, with_alpha])
@pytest.mark.parametrize("refs_first", [False, True])
def test_one_file_sent_both_ways_gives_each_way_its_own_pixels(
    urls: Urls, make: Any, refs_first: bool
) -> None:
    """Stock loading turns by EXIF and puts alpha on white; what one way cached serves no other."""
    # Behind the picture, a file may hold anything: each case has bytes that no cache has seen.
    data = make(seed=10 + refs_first)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "PNG")
    question = "what is it?"
    by_ref, by_url = [user(urls.ref(data), question)], [user(data_url(data), question)]
    if refs_first:
        found, stock = urls.chat_tokens(by_ref), urls.chat_tokens(by_url)
    else:
        stock, found = urls.chat_tokens(by_url), urls.chat_tokens(by_ref)
    assert found == urls.chat_tokens([user(data_url(buffer.getvalue()), question)])
    modality = urls.adapter.feature_modality
    tensors = [
        render(urls.server, m)["features"]["kwargs_data"][modality] for m in (by_ref, by_url)
    ]
    assert tensors[0] != tensors[1]
    assert urls.chat_tokens(by_ref) == found
    assert urls.chat_tokens(by_url) == stock


def test_every_class_of_bad_ref_is_400_with_its_code(urls: Urls) -> None:
    plain, refs = both(urls, (ONE, "and", TWO, "differ how?"))
    before = urls.chat_tokens(refs)
    prompt = urls.compact(plain)
    for code, bad in broken(urls).items():
        answers = [
            urls.chat([user(urls.ref(ONE), "and", bad, "differ how?")]),
            urls.chat([user(urls.ref(ONE), "and", bad, "differ how?")], f"{CHAT}/render"),
            urls.generate(prompt, urls.ref(ONE), bad),
        ]
        for answer in answers:
            message = refusal(answer)
            assert (message.partition(":")[0], message[-9:]) == (code, "(image 1)")
        assert urls.server.metric("mmraw_refused_requests_total", code=code) >= len(answers)
        assert urls.server.is_healthy()
    assert urls.chat_tokens(refs) == before


def test_what_changes_the_meaning_of_a_ref_is_refused(urls: Urls) -> None:
    ref = urls.ref(ONE)
    named = {"type": "image_url", "image_url": {"url": ref}, "uuid": "u"}
    refused = [
        urls.chat([{"role": "user", "content": [named]}]),
        urls.chat([user(ref)], mm_processor_kwargs={"max_pixels": 65536}),
        urls.chat([user(ref)], media_io_kwargs={"image": {"image_mode": None}}),
        urls.generate([1, 2], ref),
        urls.generate([urls.target, urls.target], ref),
        urls.chat([user(ref, urls.adapter.pad_token)]),
    ]
    codes = [refusal(answer).partition(":")[0] for answer in refused]
    assert codes == ["hash_mismatch"] + ["unsupported_option"] * 2 + ["lengths_differ"] * 3


def test_refusals_come_from_inside_vllms_own_layers(urls: Urls) -> None:
    body = {"model": "tiny", "messages": [user("mmraw:v9:x")]}
    headers = {"Origin": "https://example.org", "X-Request-Id": "a-request"}
    features = {"features": {"kwargs_data": {"image": ["mmraw:v9:x"]}}, "token_ids": [1]}
    for path, fields in ((CHAT, body), (GENERATE, features)):
        answer = urls.server.http.post(path, json=fields, headers=headers)
        assert (answer.status_code, answer.headers["x-request-id"]) == (400, "a-request")
        assert answer.headers["access-control-allow-origin"] == "*"
    answer = urls.server.http.post(CHAT, json=body, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_repeated_pictures_come_from_vllms_own_cache(urls: Urls) -> None:
    data = KINDS["png"](picture(400, 300, 77))
    message = [user(urls.ref(data), "what is it?")]
    names = ("vllm:mm_cache_queries_total", "vllm:mm_cache_hits_total")
    before = [urls.server.metric(name) for name in names]
    first = urls.chat_tokens(message)
    assert [urls.chat_tokens(message) for _ in range(4)] == [first] * 4
    asked, hits = (urls.server.metric(n) - b for n, b in zip(names, before, strict=True))
    assert (asked, hits) == (5, 4)
    # Another ref of the same picture is the same picture.
    assert urls.chat_tokens([user(urls.inline(data), "what is it?")]) == first
    assert urls.server.metric(names[1]) - before[1] == 5


def test_64_requests_at_once_good_and_bad(urls: Urls) -> None:
    pictures = [KINDS["jpeg"](picture(300 + 20 * i, 200, 50 + i)) for i in range(8)]
    bad = list(broken(urls).values())

    def prompt(url: str) -> Any:
        # Greedy tokens may hang on what else is in the engine's batch; prompts and pixels do not.
        rendered = render(urls.server, [user(url, "what is it?")])
        del rendered["features"]["mm_hashes"]
        return rendered["token_ids"], rendered["features"]

    expected = [prompt(data_url(data)) for data in pictures]

    def send(index: int) -> Any:
        if index % 4 == 3:
            ref = bad[index // 4 % len(bad)]
            return urls.chat([user(urls.ref(ONE), ref, "what is it?")]).status_code
        ref = urls.ref(pictures[index % 8])
        if index % 4 == 2:
            return prompt(ref) == expected[index % 8]
        return urls.chat([user(ref, "what is it?")]).status_code

    with ThreadPoolExecutor(REQUESTS) as pool:
        found = list(pool.map(send, range(REQUESTS)))
    assert found == [200, 200, True, 400] * (REQUESTS // 4)
    assert urls.server.is_healthy()


OFFLINE = """
import os, sys
from vllm import LLM, SamplingParams

model, plain, ref = sys.argv[1:]

def ask(llm, url):
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]
    sampling = SamplingParams(temperature=0, max_tokens=16, ignore_eos=True)
    answer = llm.chat([{"role": "user", "content": content}], sampling, use_tqdm=False)
    return list(answer[0].outputs[0].token_ids)

def main():
    llm = LLM(model, dtype="float32", enforce_eager=True, max_model_len=4096)
    try:
        ask(llm, ref)
    except Exception as error:
        print("refused:", error)
    os.environ["MMRAW_MODEL"] = model
    print("tokens:", ask(llm, plain) == ask(llm, ref))
    try:
        ask(llm, "mmraw:v9:x")
    except Exception as error:
        print("refused:", error)

if __name__ == "__main__":
    main()
"""


def test_a_script_with_llm_takes_refs_where_mmraw_model_names_the_model(
    models: Models, store: LocalStore, entry_points: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(OFFLINE)
    model = models.get("qwen")
    urls = Urls(None, get_adapter("qwen_vl", model), 0, store)  # pyright: ignore
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (HERE / "shim", ROOT, entry_points))),
        "VLLM_PLUGINS": "mmraw",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "MMRAW_STORE": str(store.root),
        "MMRAW_RUN_ID": RUN,
    }
    command = [sys.executable, str(script), str(model), data_url(ONE), urls.ref(ONE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    lines = [ln for ln in done.stdout.splitlines() if ln.startswith(("refused:", "tokens:"))]
    assert len(lines) == 3, done.stderr[-3000:]
    assert lines[0].startswith("refused: unsupported_option: MMRAW_MODEL names")
    assert lines[1] == "tokens: True"
    assert lines[2].startswith("refused: unsupported_dialect: ")
