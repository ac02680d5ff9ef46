"""A stand-in for SGLang's scheduler and model: it keeps what it gets, and answers with a word."""

# pyright: reportMissingImports=false

import asyncio
from typing import Any

import msgspec
import pytest

#: Text, token id and log probability of the answer.
WORD, TOKEN, LOGPROB = "yes", 1, -0.5


def answering(manager: Any, patch: pytest.MonkeyPatch) -> list[Any]:
    """Records what a manager sends to its scheduler; each request is answered when it waits."""
    from sglang.srt.managers.io_struct import BatchStrOutput

    sent, tasks = list[Any](), set[Any]()
    required = [field.name for field in msgspec.structs.fields(BatchStrOutput) if field.required]

    async def send(tokenized: Any) -> None:
        sent.append(tokenized)
        given: dict[str, Any] = {
            "rids": [tokenized.rid],
            "finished_reasons": [{"type": "stop", "matched": None}],
            "output_strs": [WORD],
            "output_ids": [[TOKEN]],
            "output_token_logprobs_val": [[LOGPROB]],
            "output_token_logprobs_idx": [[TOKEN]],
            "prompt_tokens": [len(tokenized.input_ids)],
            "completion_tokens": [1],
            "reasoning_tokens": [0],
            "cached_tokens": [0],
            "retraction_counts": [0],
        }
        answer = BatchStrOutput(**(dict.fromkeys(required) | given))
        tasks.add(asyncio.create_task(give(manager.rid_to_state[tokenized.rid], answer)))

    async def give(state: Any, answer: Any) -> None:
        while not state.event._waiters:
            await asyncio.sleep(0)
        await manager._handle_batch_output(answer)

    # Nothing comes from the other side of its sockets.
    patch.setattr(manager, "auto_create_handle_loop", lambda: None)
    patch.setattr(manager, "_send_one_request", send)
    # After a stream it waits for two seconds whether there is something to abort.
    patch.setattr(manager, "create_abort_task", lambda _: None)
    return sent
