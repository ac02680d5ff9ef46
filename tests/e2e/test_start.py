"""A real server's start: its log, and its refusal to start if it could not serve."""

import pytest
from conftest import Start
from server import VllmServer


def test_one_line_says_what_is_served(qwen: VllmServer) -> None:
    lines = qwen.log.read_text(errors="replace").splitlines()
    (line,) = [text for text in lines if "takes refs in vLLM" in text]
    for said in ("family qwen_vl", "exp42", f"cache_bytes {32 << 20}", "features on"):
        assert said in line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MMRAW_RUNID", "exp42", "did you mean MMRAW_RUN_ID?"),
        ("MMRAW_FAMILIES", "kimi_k25", "leaves out the model's family, qwen_vl"),
    ],
)
def test_what_cannot_serve_does_not_start(start: Start, name: str, value: str, said: str) -> None:
    """Both a setting that is looked at before the model is known, and one that is behind it."""
    with pytest.raises(RuntimeError, match="ended while starting") as caught:
        start("qwen", **{name: value})
    assert said in str(caught.value)
