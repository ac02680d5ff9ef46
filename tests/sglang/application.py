"""SGLang's own HTTP application of an engine, started as its server starts it."""

# pyright: reportMissingImports=false

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from engine import Engine
from scheduler import WORD, answering

CHAT = "/v1/chat/completions"


class Application:
    """SGLang's application of one engine.

    Attributes:
        model: The name of its model.
        sent: What its scheduler got.
        app: FastAPI's.
    """

    def __init__(self, engine: Engine, client: Any, sent: list[Any]) -> None:
        self.engine, self.sent = engine, sent
        self.model = engine.manager.served_model_name
        self._client, self.app = client, client.app

    def post(self, route: str, **body: Any) -> Any:
        """The response to a body in JSON."""
        return self._client.post(route, json=body)

    def chat(self, *turns: list[Any], **fields: Any) -> Any:
        """The response to a chat of texts and images."""
        messages = [{"role": "user", "content": [*map(part, turn)]} for turn in turns]
        return self.post(CHAT, model=self.model, messages=messages, **fields)

    def sent_by_chat(self, *turns: list[Any], **fields: Any) -> Any:
        """Returns what the scheduler gets of a chat."""
        answer = self.chat(*turns, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == WORD
        return self.sent.pop()


def part(value: Any) -> Any:
    """A part of a message: an image by its URL, or the object that has it, or a text."""
    if isinstance(value, str) and not value.startswith(("mmraw:", "data:")):
        return {"type": "text", "text": value}
    image = {"url": value} if isinstance(value, str) else value
    return {"type": "image_url", "image_url": image}


@contextmanager
def started(engine: Engine) -> Iterator[Application]:
    """Starts it, with a stand-in for the scheduler; nothing is to be warmed."""
    from fastapi.testclient import TestClient
    from sglang.srt.entrypoints import http_server
    from sglang.srt.parser.template_manager import TemplateManager

    templates = TemplateManager()
    templates.initialize_templates(engine.manager, str(engine.folder))
    http_server.set_global_state(http_server._GlobalState(engine.manager, templates, {}))
    app: Any = http_server.app
    app.is_single_tokenizer_mode, app.server_args = True, engine.manager.server_args
    app.warmup_thread_kwargs = {
        "server_args": app.server_args,
        "execute_warmup_func": lambda _: False,
    }
    with pytest.MonkeyPatch.context() as patch, TestClient(app) as client:
        yield Application(engine, client, answering(engine.manager, patch))
