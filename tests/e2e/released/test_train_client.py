"""Refs in the released verifiers: its TrainClient, its traces, and on to the trainer's tensors."""

# pyright: reportMissingImports=false

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from rollouts import CLOSE, decoded, tensors_are_the_processors
from train_clients import message, new_trace, train_client, turn
from urls import GREEDY, ONE, THREE, TWO, Urls, broken, data_url
from verifiers.v1.errors import ProviderError

from mmraw_protocol import mm_refs, ref_messages

RENDERERS = {"qwen_vl": "qwen3-vl", "kimi_k25": "kimi-k2.5"}
REQUESTS = 64

#: Messages of the environment, turn by turn: each is answered before the next.
SHOWN = [
    [message(data_url(ONE), "and", data_url(TWO), "differ how?")],
    [message("no image")],
    [message(data_url(THREE), tool=True), message("and this, beside", data_url(ONE))],
]


def connected(urls: Urls) -> AbstractAsyncContextManager[Any]:
    return train_client(urls.server.url, urls.server.model, RENDERERS[urls.adapter.family])


async def rollout(urls: Urls, *, refs: bool) -> tuple[Any, list[Any]]:
    """The trace of a rollout, and its answers."""
    trace = new_trace()
    prompt: list[Any] = []
    answers: list[Any] = []
    async with connected(urls) as client:
        for shown in SHOWN:
            prompt += shown
            if refs:
                prompt = ref_messages(prompt, urls.adapter, store=urls.store)  # the line
            answers.append(await turn(client, trace, prompt))
            prompt.append(answers[-1].message)
    return trace, answers


def test_a_rollout_of_refs_is_that_of_data_urls_and_gives_the_trainers_tensors(urls: Urls) -> None:
    stock, _ = asyncio.run(rollout(urls, refs=False))
    trace, answers = asyncio.run(rollout(urls, refs=True))
    assert len(trace.branches) == len(stock.branches)
    for branch, same in zip(trace.branches, stock.branches, strict=True):
        assert branch.token_ids == same.token_ids
        assert branch.sampled_mask == same.sampled_mask
        assert branch.logprobs == pytest.approx(same.logprobs, abs=CLOSE)
    branch, tokens = trace.branches[-1], answers[-1].tokens
    assert branch.token_ids == [*tokens.prompt_ids, *tokens.completion_ids]
    assert len(tokens.completion_ids) == GREEDY["max_tokens"]
    spans = [{"offset": offset, "length": length} for offset, length in tokens.mm_placeholders]
    carried = mm_refs(branch.messages, {urls.adapter.feature_modality: spans}, form="array")
    pictures = [decoded(data_url(data)) for data in (ONE, TWO, THREE, ONE)]
    tensors_are_the_processors(urls, carried, branch.token_ids, pictures)


def asked(url: str) -> list[Any]:
    return [message(url, "what is it?")]


async def send_all(urls: Urls, prompts: list[list[Any]]) -> list[Any]:
    """The answers or errors of rollouts that all begin at once."""
    async with connected(urls) as client:
        turns = [turn(client, new_trace(), prompt) for prompt in prompts]
        return await asyncio.gather(*turns, return_exceptions=True)


def test_a_bad_ref_is_the_providers_refusal_with_its_code(urls: Urls) -> None:
    bad = broken(urls)
    prompts = [[message(urls.ref(ONE), "and", ref, "differ how?")] for ref in bad.values()]
    for code, found in zip(bad, asyncio.run(send_all(urls, prompts)), strict=True):
        assert isinstance(found, ProviderError)
        assert found.status_code == 400
        assert f"{code}: " in str(found)
    assert urls.server.is_healthy()


def test_64_rollouts_at_once_good_and_bad(urls: Urls) -> None:
    good = [urls.ref(data) for data in (ONE, TWO, THREE)]
    bad = list(broken(urls).values())
    alone = [asyncio.run(send_all(urls, [asked(url)]))[0].tokens for url in good]
    sent = [good[i % 3] if i % 4 != 3 else bad[i // 4 % len(bad)] for i in range(REQUESTS)]
    found = asyncio.run(send_all(urls, [asked(url) for url in sent]))
    for index, answer in enumerate(found):
        if index % 4 == 3:
            assert isinstance(answer, ProviderError), answer
            assert answer.status_code == 400
        else:
            # Greedy tokens may hang on what else is in the engine's batch; prompts do not.
            assert answer.tokens.prompt_ids == alone[index % 3].prompt_ids
            assert answer.tokens.mm_placeholders == alone[index % 3].mm_placeholders
    assert urls.server.is_healthy()
