"""Refs in the released client of renderers, unmodified, to a released vLLM that it can read."""

# pyright: reportMissingImports=false

import asyncio
from typing import Any

import openai
import pytest
from pictures import KINDS, encode, picture, rotated, with_alpha
from rollouts import (
    CONVERSATIONS,
    decoded,
    own_client,
    refs_and_urls_agree,
    released_client,
    tensors_are_the_processors,
)
from urls import ONE, Urls, broken, data_url, user

from mmraw_protocol import mm_refs, ref_messages

CLIENTS = {"released": released_client, "own": own_client}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_refs_give_what_data_urls_give(urls: Urls, name: str, client: str) -> None:
    ask = CLIENTS[client](urls)
    answer = asyncio.run(refs_and_urls_agree(urls, ask, CONVERSATIONS[name]))
    assert len(answer.token_ids) == 16


def test_another_picture_gives_other_tokens(urls: Urls) -> None:
    ask = released_client(urls)
    found = {
        tuple(asyncio.run(ask([user(urls.ref(encode(picture(320, 200, i), "PNG")))])).token_ids)
        for i in range(4)
    }
    assert len(found) >= 3


@pytest.mark.parametrize("make", [rotated, with_alpha])
def test_turned_and_transparent_pictures_differ_by_what_a_ref_means(urls: Urls, make: Any) -> None:
    """A ref means the stored pixels; vLLM turns those of a data: URL, and puts them on white."""
    ask = released_client(urls)
    url = data_url(make(seed=21))
    stored = data_url(encode(decoded(url), "PNG"))
    by_url, by_pixels = ([user(source, "what is it?")] for source in (url, stored))
    by_ref = ref_messages(by_url, urls.adapter, store=urls.store, alpha="drop")
    answer = asyncio.run(ask(by_ref))
    assert answer.is_like(asyncio.run(ask(by_pixels)))
    assert not answer.is_like(asyncio.run(ask(by_url)))
    rollout = mm_refs(by_ref, answer.mm_placeholders)
    tensors_are_the_processors(urls, rollout, answer.prompt_ids, [decoded(url)])


def test_every_class_of_bad_ref_is_a_bad_request_with_its_code(urls: Urls) -> None:
    ask = released_client(urls)
    for code, bad in broken(urls).items():
        with pytest.raises(openai.BadRequestError) as caught:
            asyncio.run(ask([user(urls.ref(ONE), "and", bad, "differ how?")]))
        message = caught.value.body["message"]
        assert (message.partition(":")[0], message[-9:]) == (code, "(image 1)")
    assert urls.server.is_healthy()


def test_repeated_pictures_come_from_vllms_own_cache(urls: Urls) -> None:
    ask = released_client(urls)
    messages = [user(urls.ref(KINDS["png"](picture(400, 300, 78))), "what is it?")]
    names = ("vllm:mm_cache_queries_total", "vllm:mm_cache_hits_total")
    before = [urls.server.metric(name) for name in names]
    first = asyncio.run(ask(messages))
    assert all(asyncio.run(ask(messages)).is_like(first) for _ in range(4))
    asked, hits = (urls.server.metric(n) - b for n, b in zip(names, before, strict=True))
    assert (asked, hits) == (5, 4)
