"""The released verifiers' client for training, and its traces."""

# pyright: reportMissingImports=false

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conftest import KEY
from rollouts import TOOL
from urls import GREEDY
from verifiers.v1 import graph, types
from verifiers.v1.clients.train import TrainClient
from verifiers.v1.configs.client import TrainClientConfig
from verifiers.v1.dialects import ChatDialect
from verifiers.v1.trace import WireTrace

_SAMPLING = types.SamplingConfig(**GREEDY)
_TOOLS = [types.Tool(**TOOL)]


@asynccontextmanager
async def train_client(url: str, model: Path, renderer: str) -> AsyncIterator[TrainClient]:
    """A client as a training run configures it."""
    config = TrainClientConfig(
        base_url=f"{url}/v1",
        headers={"Authorization": f"Bearer {KEY}"},
        api_key_var="NOT_SET",
        renderer={"name": renderer},
        renderer_model_name=str(model),
    )
    client = TrainClient(config)
    try:
        yield client
    finally:
        await client.close()


def message(*parts: str, tool: bool = False) -> Any:
    """A message of images (their URLs) and text."""
    content: list[Any] = [
        types.ImageUrlContentPart(image_url=types.ImageUrlSource(url=part))
        if part.startswith(("data:", "mmraw:"))
        else types.TextContentPart(text=part)
        for part in parts
    ]
    if tool:
        return types.ToolMessage(tool_call_id="c1", content=content)
    return types.UserMessage(content=content)


def new_trace() -> WireTrace:
    """A rollout that has not begun."""
    task = {"type": "Look", "data": {"idx": 0, "prompt": "look"}}
    return WireTrace(task=task, agent={"config": {}}, ok=True)


async def turn(client: TrainClient, trace: WireTrace, prompt: Sequence[Any]) -> types.Response:
    """One answer, committed to the trace."""
    pending = graph.prepare_turn(trace, list(prompt), _TOOLS)
    body = {"model": "tiny"}
    response = await client.get_response(ChatDialect(), body, _SAMPLING, turn=pending)
    pending.commit(response)
    return response
