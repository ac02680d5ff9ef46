"""SGLang's `Engine` class without a scheduler: what its generate() would send."""

# pyright: reportMissingImports=false

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from engine import Engine, data_url
from pictures import encode, picture
from test_processors import same

ONE = encode(picture(300, 200), "PNG")
TWO = encode(picture(64, 200), "JPEG")


class SentError(Exception):
    """The request is on its way to the scheduler."""


@pytest.fixture
def generate(qwen: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`Engine.generate`, which gives what goes to the scheduler."""
    from sglang.srt.entrypoints.engine import Engine as SglangEngine

    sent: list[Any] = []

    async def send(tokenized: Any, *_: Any) -> None:
        sent.append(tokenized)
        raise SentError

    # No scheduler sends anything back.
    monkeypatch.setattr(qwen.manager, "auto_create_handle_loop", lambda: None)
    monkeypatch.setattr(qwen.manager, "_send_one_request", send)
    engine: Any = object.__new__(SglangEngine)
    engine.tokenizer_manager, engine.loop = qwen.manager, asyncio.new_event_loop()

    def generate(*images: Any, **given: Any) -> Any:
        prompt = given or {"prompt": qwen.prompt(len(images))}
        with pytest.raises(SentError):
            engine.generate(image_data=list(images), sampling_params={}, **prompt)
        return sent.pop()

    generate.engine = engine  # type: ignore[attr-defined]
    yield generate
    engine.loop.close()


def test_refs_go_through_the_engine_as_their_files(qwen: Engine, generate: Any) -> None:
    expected = generate(data_url(ONE), data_url(TWO))
    refs = qwen.ref(ONE), qwen.ref(TWO, inline=True)
    assert same(generate(*refs), expected)
    assert same(generate(*refs, input_ids=list(expected.input_ids)), expected)


def test_a_refused_ref_is_an_error_of_the_call(qwen: Engine, generate: Any) -> None:
    bad = qwen.ref(ONE, mm_hash="0" * 32)
    with pytest.raises(ValueError, match=r"^hash_mismatch: .* \(image 0\)$"):
        generate.engine.generate(prompt=qwen.prompt(1), image_data=[bad], sampling_params={})
    assert qwen.manager.rid_to_state == {}
