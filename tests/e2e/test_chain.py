"""The whole way: released renderers, mmraw, stock vLLM, and the tensors of the trainer."""

# pyright: reportMissingImports=false

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from conftest import token_id
from exchange import RUN, TOKENS, Messages, chat_tokens, render, rendered_items, user
from pictures import KINDS, picture
from PIL import Image

from mmraw_protocol import build_features
from mmraw_protocol.families import Adapter
from mmraw_protocol.integrations.client import Completion, GenerateClient
from mmraw_protocol.integrations.renderers import LayoutProcessor, RawRenderer
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.stores import LocalStore

ROOT = Path(__file__).resolve().parent.parent.parent
ONE, TWO = (KINDS["jpeg"](picture(w, h, 31)) for w, h in ((640, 480), (300, 500)))
SAMPLING = {"temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}


def renderer_of(model: Path, adapter: Adapter, store: LocalStore) -> Any:
    """The released renderer of Qwen3-VL, without processor and pixels."""
    import renderers
    from transformers import AutoTokenizer

    inner = renderers.Qwen3VLRenderer(
        AutoTokenizer.from_pretrained(model),
        renderers.Qwen3VLRendererConfig(),
        processor=LayoutProcessor(adapter),
    )
    return RawRenderer(inner, adapter, store=store)


def trainer_tensors(answer: Completion, store: LocalStore, model: Path, pad_id: int) -> Any:
    """pixel_values and image_grid_thw by the checkpoint's own image processor."""
    from transformers import AutoImageProcessor

    make = TensorMaker(AutoImageProcessor.from_pretrained(model), store=store)
    return make(
        build_features(answer.multi_modal_data, run_id=RUN),
        token_ids=answer.prompt_ids,
        pad_token_id=pad_id,
    )


def test_a_rollout_of_two_turns_from_messages_to_tensors(
    qwen: Any, qwen_adapter: Adapter, store: LocalStore
) -> None:
    renderer = renderer_of(qwen.model, qwen_adapter, store)
    turns: Messages = [user(ONE, "what is it?")]

    async def rollout() -> tuple[Completion, Completion]:
        async with GenerateClient(qwen.url, "tiny", run_id=RUN) as client:
            prompt = renderer.render(turns, add_generation_prompt=True)
            first = await client.generate(
                prompt.token_ids, prompt_attribution=prompt, sampling_params=SAMPLING
            )
            bridged = renderer.bridge_to_next_turn(
                first.prompt_ids,
                first.token_ids,
                [user(TWO, "and this?")],
                previous_multi_modal_data=first.multi_modal_data,
            )
            second = await client.generate(
                bridged.token_ids, prompt_attribution=bridged, sampling_params=SAMPLING
            )
            return first, second

    first, second = asyncio.run(rollout())
    # The first turn as stock chat has it, prompt and answer.
    assert first.prompt_ids == render(qwen, turns)["token_ids"]
    assert first.token_ids == chat_tokens(qwen, turns)
    # The second turn carries both images, and its prompt begins with the first.
    assert second.prompt_ids[: len(first.prompt_ids)] == first.prompt_ids
    assert len(second.multi_modal_data.mm_items["image"]) == 2
    # The trainer learns from the numbers that the engine saw.
    pad_id = token_id(qwen.model, qwen_adapter.pad_token)
    tensors = trainer_tensors(second, store, qwen.model, pad_id)
    stock = rendered_items(render(qwen, [user(ONE, TWO, "tensors")]), "image")
    start = 0
    for item, grid in zip(stock, tensors["image_grid_thw"], strict=True):
        assert item["image_grid_thw"].data.flatten().tolist() == grid.tolist()
        patches = int(grid.prod())
        seen = item["pixel_values"].data
        values = tensors["pixel_values"][start : start + patches]
        # From 0.32 on vLLM carries bytes and normalises inside the model; mean and std are a half.
        if not seen.is_floating_point():
            values = (values * 127.5 + 127.5).round()
        assert seen.equal(values.to(seen.dtype))
        start += patches
    assert start == len(tensors["pixel_values"])


def test_the_example_of_the_documentation_runs(
    qwen: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = (ROOT / "docs" / "vllm.md").read_text("utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    buffer = io.BytesIO()
    Image.new("RGB", (320, 200), "red").save(buffer, "PNG")
    path = qwen.log.parent / "picture.png"
    path.write_bytes(buffer.getvalue())
    for name, value in (
        ("MODEL", str(qwen.model)),
        ("NAME", "tiny"),
        ("URL", qwen.url),
        ("STORE", str(store.root)),
        ("RUN", RUN),
        ("PICTURE", str(path)),
    ):
        monkeypatch.setenv(name, value)
    exec(compile(code, "docs/vllm.md", "exec"), {"__name__": "__main__"})
    assert "tokens:" in capsys.readouterr().out
