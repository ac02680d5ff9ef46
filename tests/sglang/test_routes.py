"""Refs through SGLang's own HTTP application: its routes, request types and chat templates."""

# pyright: reportMissingImports=false

import json
from typing import Any

import msgspec
import pytest
from application import CHAT, Application
from engine import data_url, images_of
from pictures import encode, picture
from scheduler import WORD
from test_processors import same

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore

ONE = encode(picture(300, 200), "PNG")
TWO = encode(picture(64, 200), "JPEG")


def test_a_ref_in_a_chat_is_its_file(served: Application) -> None:
    for data in (ONE, TWO):
        expected = served.sent_by_chat([data_url(data), "What is this?"])
        for inline in (False, True):
            ref = served.engine.ref(data, inline=inline)
            assert same(served.sent_by_chat([ref, "What is this?"]), expected)


def test_several_images_of_a_chat(served: Application) -> None:
    refs = [served.engine.ref(data) for data in (ONE, TWO)]
    urls = [data_url(data) for data in (ONE, TWO)]
    turns = [[urls[0], "one", urls[1]], ["again", urls[0]]]
    expected = served.sent_by_chat(*turns)
    assert len(expected.mm_inputs.mm_items) == 3
    assert same(served.sent_by_chat([refs[0], "one", refs[1]], ["again", refs[0]]), expected)
    assert same(served.sent_by_chat([refs[0], "one", urls[1]], ["again", refs[0]]), expected)


def test_a_data_url_in_a_chat_stays_as_it_is(served: Application) -> None:
    found = served.sent_by_chat([data_url(ONE)])
    prompt = served.engine.manager.tokenizer.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}]}],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert same(found, served.engine.processed(data_url(ONE), prompt=prompt))


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_ref_in_a_chat(served: Application, stream: bool) -> None:
    bad = served.engine.ref(TWO, mm_hash="0" * 32)
    answer = served.chat([served.engine.ref(ONE), "and", bad], stream=stream)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("hash_mismatch: ")
    assert answer.json()["message"].endswith(" (image 1)")
    assert not repeats(answer.text, bad)
    assert served.sent == []


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        ({"detail": "high"}, "unsupported_option"),
        ({"max_dynamic_patch": 2}, "unsupported_option"),
        ({"max_long_side_pixel": 64}, "unsupported_option"),
        ({"content_hash": f"sha256:{'0' * 64}"}, "hash_mismatch"),
    ],
)
def test_options_beside_a_ref_of_a_chat(
    served: Application, beside: dict[str, Any], code: str
) -> None:
    answer = served.chat([{"url": served.engine.ref(ONE), **beside}])
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{code}: ")


def repeats(text: str, ref: str) -> bool:
    """True if any piece of a ref stands in an answer."""
    return any(ref[start : start + 16] in text for start in range(len(ref) - 16))


def test_generate(served: Application) -> None:
    """Its body has images in each of the forms that JSON can have."""
    prompt, url, ref = served.engine.prompt(1), data_url(ONE), served.engine.ref(ONE)
    expected = served.engine.processed(url)
    forms = (ref, [ref], {"url": ref}, [{"url": ref}], [{"url": ref, "detail": "auto"}])
    for images in (url, [url], *forms):
        answer = served.post("/generate", text=prompt, image_data=images)
        assert answer.status_code == 200, answer.text
        assert answer.json()["text"] == WORD
        assert same(served.sent.pop(), expected)


def test_a_batch_of_generate(served: Application) -> None:
    """Prompts with lists of images, and a batch that one ref ends."""
    refs = [served.engine.ref(data) for data in (ONE, TWO)]
    prompts = [served.engine.prompt(2), served.engine.prompt(1)]
    answer = served.post("/generate", text=prompts, image_data=[refs, refs[:1]])
    assert [row["text"] for row in answer.json()] == [WORD, WORD]
    assert same(served.sent.pop(), served.engine.processed(data_url(ONE)))
    assert same(served.sent.pop(), served.engine.processed(data_url(ONE), data_url(TWO)))
    bad = served.engine.ref(TWO, run_id="another")
    answer = served.post("/generate", text=prompts, image_data=[refs, [bad]])
    served.sent.clear()
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("run_mismatch: ")


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_ref_in_generate(served: Application, stream: bool) -> None:
    bad = served.engine.ref(ONE, mm_hash="0" * 32)
    body = {"text": served.engine.prompt(1), "image_data": [bad], "stream": stream}
    answer = served.post("/generate", **body)
    assert answer.status_code == (200 if stream else 400)
    error = json.loads(answer.text.splitlines()[0].removeprefix("data: "))["error"]
    assert error["message"].startswith("hash_mismatch: ")
    assert error.get("code", 400) == 400
    assert not repeats(answer.text, bad)


def test_other_routes_with_images(served: Application) -> None:
    """Anthropic's messages and OpenAI's responses."""
    question = {"type": "text", "text": "What is this?"}
    for url in (data_url(ONE), served.engine.ref(ONE)):
        image = {"type": "image", "source": {"type": "url", "url": url}}
        turn = {"role": "user", "content": [image, question]}
        answer = served.post("/v1/messages", model="m", max_tokens=4, messages=[turn])
        assert answer.status_code == 200, answer.text
        parts = [{"type": "input_image", "image_url": url}, {**question, "type": "input_text"}]
        turn = {"type": "message", "role": "user", "content": parts}
        answer = served.post("/v1/responses", model=served.model, input=[turn])
        assert answer.status_code == 200, answer.text
    expected = served.sent_by_chat([data_url(ONE), "What is this?"])
    assert len(served.sent) == 4
    while served.sent:
        assert same(served.sent.pop(), expected)


def test_a_server_of_refs_only_needs_skip_server_warmup(
    served: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SGLang warms up with an image of its own, and ends the server if that is refused."""
    from sglang.srt.entrypoints import http_server

    picture = http_server._get_vlm_warmup_image_base64({})
    turn = [f"data:image/png;base64,{picture}", "Describe the image."]
    assert served.sent_by_chat(turn)
    images = images_of(served.engine.manager)
    strict = msgspec.structs.replace(images.settings, refs_only=True)
    monkeypatch.setattr(images, "settings", strict)
    assert served.chat(turn).json()["message"].startswith("not_a_ref: ")


@pytest.mark.parametrize("route", ["/generate", CHAT])
@pytest.mark.parametrize("stream", [False, True])
def test_trouble_of_the_store(
    served: Application, route: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, as far as SGLang lets a status pass; a stream of /generate has begun with 200."""

    def fails(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the store does not answer")

    monkeypatch.setattr(LocalStore, "get", fails)
    ref = served.engine.ref(encode(picture(93, 94, seed=int(stream)), "PNG"))
    if route == CHAT:
        answer = served.chat([ref], stream=stream)
    else:
        body = {"text": served.engine.prompt(1), "image_data": [ref], "stream": stream}
        answer = served.post(route, **body)
    assert "store_unavailable: " in answer.text
    if route == CHAT or not stream:
        assert answer.status_code == 503
    else:
        assert '"code":503' in answer.text
