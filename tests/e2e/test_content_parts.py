"""Refs as content parts, by the client of this package; what the released one says of vLLM 0.32.

The released client reads the answers of vLLM 0.31: tests/e2e/released/ has the same exchange.
"""

# pyright: reportMissingImports=false

import asyncio
from importlib import metadata

import pytest
from renderers.client import MalformedGenerateResponseError
from rollouts import CONVERSATIONS, own_client, refs_and_urls_agree, released_client
from urls import ONE, Urls, broken, user

from mmraw_protocol import MMRawError

VLLM = tuple(map(int, metadata.version("vllm").split(".")[:2]))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_refs_give_what_data_urls_give(urls: Urls, name: str) -> None:
    answer = asyncio.run(refs_and_urls_agree(urls, own_client(urls), CONVERSATIONS[name]))
    assert len(answer.token_ids) == 16


def test_every_class_of_bad_ref_is_refused_with_its_code(urls: Urls) -> None:
    ask = own_client(urls)
    for code, bad in broken(urls).items():
        with pytest.raises(MMRawError) as caught:
            asyncio.run(ask([user(urls.ref(ONE), "and", bad, "differ how?")]))
        assert caught.value.code == code
        # A fault that shows in the ref itself is rejected before the ref is sent.
        assert getattr(caught.value, "status", 400) == 400


@pytest.mark.skipif(VLLM < (0, 32), reason="the released client reads what this vLLM answers")
@pytest.mark.parametrize("kind", ["refs", "data URLs"])
def test_the_released_client_cannot_read_the_answers(urls: Urls, kind: str) -> None:
    """Not of refs and not of data: URLs: when this fails, tests/e2e/released/ can move to 0.32."""
    conversation = CONVERSATIONS["one"] if kind == "data URLs" else [user(urls.ref(ONE), "what?")]
    with pytest.raises(MalformedGenerateResponseError, match=r"token must be 'token_id:\d+'"):
        asyncio.run(released_client(urls)(conversation))
