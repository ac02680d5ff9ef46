"""docs/renderers.md runs as it stands, with a tiny tokenizer and a server on the loopback."""

from pathlib import Path
from typing import Any

import pytest
import test_docs
import tiny
from loopback import ANSWER, answers, running_in_a_thread

PAGE = test_docs.DOCS / "renderers.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tiny.tokenizer().encode("a red square<|im_end|>", add_special_tokens=False)
    choice: dict[str, Any] = {"token_ids": tokens, "finish_reason": "stop"}
    tiny.tokenizer().save_pretrained(tmp_path / "checkpoint")
    monkeypatch.setenv("CHECKPOINT", str(tmp_path / "checkpoint"))
    with running_in_a_thread(*[answers({**ANSWER, "choices": [choice]})] * 2) as server:
        monkeypatch.setenv("SERVER", server.url)
        test_docs.test_a_page_runs_as_it_stands(PAGE, tmp_path, monkeypatch)
    assert [len(r["features"]["mm_hashes"]["image"]) for r in server.requests] == [1, 2]
