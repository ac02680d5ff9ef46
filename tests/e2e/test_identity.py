"""Names that a client chooses never reach the picture of a ref, on any route of a stock server."""

# pyright: reportMissingImports=false

import copy
from typing import Any

import pytest
from exchange import GENERATE, Route, chat_tokens, generate_tokens, render
from pictures import KINDS, picture
from urls import CHAT, GREEDY, Urls, data_url, user

from mmraw_protocol.wire.hashes import sha256_hex

Names = dict[str, str]
SALTS = (None, "a salt")


@pytest.fixture
def urls(qwen_route: Route) -> Urls:
    """A client that sends refs as URLs, too."""
    return Urls(qwen_route.server, qwen_route.adapter, qwen_route.pad_id, qwen_route.store)


def hash_of(urls: Urls, url: str) -> str:
    """Returns the name under which the render route files an image."""
    rendered = render(urls.server, [user(url, "what is it?")])
    return rendered["features"]["mm_hashes"]["image"][0]


def known_names(urls: Urls, data: bytes) -> Names:
    """All that a client can know of what a picture may be filed under."""
    digest = sha256_hex(data)
    found = {"mm_hash": digest[:32], "sha256": digest}
    found["render of the ref"] = hash_of(urls, urls.ref(data))
    found["render of the file"] = hash_of(urls, data_url(data))
    return found


def with_name(url: str, name: str, question: str) -> dict[str, Any]:
    """A message with an image under a name of the client's."""
    message = user(url, question)
    message["content"][0]["uuid"] = name
    return message


def poison(urls: Urls, name: str, other: bytes, salt: str | None) -> list[int]:
    """Sends another picture under a name, by each way; gives the statuses."""
    salted = {} if salt is None else {"cache_salt": salt}
    plain = [user(data_url(other), "what is it?")]
    tensors = render(urls.server, plain)
    features = copy.deepcopy(tensors["features"])
    features["mm_hashes"]["image"] = [name]
    part = {"type": "image_url", "url": data_url(other), "uuid": name}
    body = {"model": "tiny", "sampling_params": GREEDY, **salted}
    compact = {"token_ids": urls.compact(plain), "content_parts": [part]}
    requests = [
        (CHAT, {"model": "tiny", "max_tokens": 1, **salted, "messages": [message]})
        for message in (
            with_name(data_url(other), name, "what is it?"),
            with_name(data_url(other), name, "another question"),
        )
    ]
    requests.append((GENERATE, body | compact))
    requests.append((GENERATE, body | {"token_ids": tensors["token_ids"], "features": features}))
    return [urls.server.post(path, request).status_code for path, request in requests]


@pytest.mark.parametrize("salt", SALTS)
@pytest.mark.parametrize(("size", "known"), [((320, 200), False), ((96, 64), True)])
def test_no_name_puts_another_picture_in_a_refs_place(
    urls: Urls, qwen_route: Route, salt: str | None, size: tuple[int, int], known: bool
) -> None:
    seed = 100 * len(str(salt)) + 2 * known
    data, other = KINDS["png"](picture(320, 200, seed)), KINDS["png"](picture(*size, seed + 1))
    salted = {} if salt is None else {"cache_salt": salt}
    question = "what is it, after all?"
    expected = chat_tokens(urls.server, [user(data_url(data), question)])
    if known:
        urls.chat([user(urls.ref(data), "what is it?")], **salted)
    for name in known_names(urls, data).values():
        assert poison(urls, name, other, salt) == [200] * 4
    by_url = urls.chat([user(urls.ref(data), question)], **salted)
    assert by_url.json()["choices"][0]["token_ids"] == expected
    messages = [user(data_url(data), question)]
    request = qwen_route.request(messages, render(urls.server, messages)["token_ids"])
    assert generate_tokens(urls.server, request | salted) == expected


def test_what_render_returned_can_be_sent_to_generate(urls: Urls) -> None:
    """vLLM's own exchange, of a file and of a ref."""
    data = KINDS["jpeg"](picture(300, 200, 31))
    expected = chat_tokens(urls.server, [user(data_url(data), "what is it?")])
    for url in (data_url(data), urls.ref(data)):
        rendered = render(urls.server, [user(url, "what is it?")])
        body = {"model": "tiny", "sampling_params": GREEDY, "token_ids": rendered["token_ids"]}
        for _ in range(2):
            assert (
                generate_tokens(urls.server, body | {"features": rendered["features"]}) == expected
            )


def test_a_name_of_a_clients_still_names_the_clients_own_picture(urls: Urls) -> None:
    """A picture that was sent under a name may be asked for by that name alone."""
    data = KINDS["jpeg"](picture(300, 200, 32))
    named = with_name(data_url(data), "holiday", "what is it?")
    expected = chat_tokens(urls.server, [named])
    named["content"][0]["image_url"] = None
    assert chat_tokens(urls.server, [named]) == expected


def test_the_refs_own_hash_may_stand_beside_it(urls: Urls) -> None:
    data = KINDS["jpeg"](picture(300, 200, 33))
    own = with_name(urls.ref(data), sha256_hex(data)[:32], "what is it?")
    assert chat_tokens(urls.server, [own]) == urls.chat_tokens(
        [user(urls.ref(data), "what is it?")]
    )
    other = urls.chat([with_name(urls.ref(data), "0" * 32, "what is it?")])
    assert other.status_code == 400
    assert other.json()["error"]["message"].startswith("hash_mismatch: ")
