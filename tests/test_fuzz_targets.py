"""The fuzzers' targets over what they start from and what they once found, without a fuzzer."""

import sys
from pathlib import Path

import pytest
from promises import broken_promise

from mmraw_protocol import MMRawError

FUZZ = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

from targets import TARGETS, seeds  # noqa: E402


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_keeps_its_promises_on_its_seeds(target: str) -> None:
    tried = 0
    found = sorted((FUZZ / "found" / target).glob("*"))
    for data in [*seeds(target), *(path.read_bytes() for path in found)]:
        TARGETS[target](data)
        TARGETS[target](data[: len(data) // 2])
        tried += 1
    assert tried >= 4


def test_a_broken_promise_is_seen() -> None:
    given = "some secret that was in the input"
    kept = MMRawError("invalid_value", "a plain sentence")
    assert broken_promise(kept, given) is None
    assert broken_promise(KeyError("x"), given) == "another class: KeyError"
    assert broken_promise(MMRawError("invalid_value", f"bad: {given}"), given) is not None
    assert broken_promise(MMRawError("invalid_value", "x" * 201), given) is not None
    assert broken_promise(MMRawError("invalid_value", "ÿ"), given) is not None
    assert broken_promise(MMRawError("invalid_value", "ok", f"$.{given}"), given) is not None
    named = MMRawError("missing_field", "required field layout_fingerprint is absent")
    assert broken_promise(named, '{"layout_fingerprint": 1}') is None
    with_context = MMRawError("invalid_value", "a plain sentence")
    with_context.__context__ = KeyError("x")
    assert broken_promise(with_context, given) is not None
