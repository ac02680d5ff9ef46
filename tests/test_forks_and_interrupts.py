"""A fork or an interrupt at any instruction: the next call gets the answer, and nobody waits.

`make test-instructions` stops at every instruction of every call; here some calls are sampled.
"""

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import process_programs
import pytest

if not hasattr(os, "fork"):
    pytest.skip("the system has no fork", allow_module_level=True)

_EVERY = "MMRAW_EVERY_INSTRUCTION" in os.environ
#: Each call, and at which of its instructions it is stopped: every one, or every n-th.
#: The longest come early, so that two workers end at about the same time.
INTERRUPTED = {
    "decode": 61,
    "cache": 1,
    "unkept": 1,
    "put": 1,
    "get": 1,
    "cached": 1,
    "materialized": 17,
    "materialize": 61,
}
FORKED = {
    "decode": 61,
    "cache": 2,
    "materialize": 151,
    "unkept": 2,
    "put": 11,
    "get": 11,
    "cached": 11,
    "materialized": 41,
}


@pytest.mark.parametrize(("call", "step"), INTERRUPTED.items())
def test_an_interrupt_at_any_instruction_leaves_nothing_that_waits(call: str, step: int) -> None:
    seen = process_programs.run("fork_programs.interrupts", call, str(1 if _EVERY else step))
    assert seen["points"] >= 10
    assert (seen["wrong"], seen["left"]) == ([], [])


@pytest.mark.parametrize(("call", "step"), FORKED.items())
def test_the_child_of_a_fork_at_any_instruction_gets_the_answer(call: str, step: int) -> None:
    seen = process_programs.run("fork_programs.forks", call, str(1 if _EVERY else step))
    assert seen["points"] >= 10
    assert seen["wrong"] == []


@pytest.mark.parametrize("kind", ["many", "async"])
def test_the_child_of_a_fork_has_threads_of_its_own(kind: str) -> None:
    seen = process_programs.run("fork_programs.fork_with_threads", kind)
    assert seen["seen"] == seen["expected"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_start_method_of_multiprocessing_can_use_a_materializer(method: str) -> None:
    assert process_programs.run("fork_programs.started", method) == [True, True, True]


def test_a_call_within_the_call_that_makes_a_value_does_not_wait_for_it() -> None:
    from mmraw_protocol.materialize.cache import SingleFlightCache

    cache: SingleFlightCache[int] = SingleFlightCache(100)

    def size(_: Any) -> int:
        return 1

    assert cache.get("key", lambda: cache.get("key", lambda: 1, size) + 1, size) == 2


def test_a_stack_that_changes_while_it_is_walked_still_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A context manager of the call yields between the look at its thread and the walk upwards."""
    from mmraw_protocol.system.claims import Claim, own_frame

    inside, go_on, outside, end = (threading.Event() for _ in range(4))
    claims: list[Claim] = []
    snapshots: list[Any] = []

    def steps() -> Iterator[None]:
        inside.set()
        assert go_on.wait(10)
        yield

    def call() -> None:
        claims.append(Claim(own_frame()))
        next(steps())
        outside.set()
        assert end.wait(10)

    def look() -> Any:
        frames = current()
        snapshots.append(frames)
        if len(snapshots) == 1:
            # The generator itself, not the wait within it, is what the first look finds on top.
            ident = thread.ident or 0
            frames = {ident: own_generator(frames[ident])}
            go_on.set()
            assert outside.wait(10)
        return frames

    def own_generator(frame: Any) -> Any:
        while frame.f_code is not steps.__code__:
            frame = frame.f_back
        return frame

    current = sys._current_frames
    thread = threading.Thread(target=call)
    thread.start()
    assert inside.wait(10)
    monkeypatch.setattr(sys, "_current_frames", look)
    try:
        assert claims[0].is_held()
        assert len(snapshots) == 2
    finally:
        end.set()
        thread.join()


def test_a_call_that_ended_without_a_word_holds_nothing() -> None:
    """As after two interrupts, of which the second comes into the cleaning up after the first."""
    from mmraw_protocol.materialize.cache import SingleFlightCache, _Flight
    from mmraw_protocol.system.claims import Claim, hold_one_of, own_frame

    def ended() -> Any:
        return own_frame()

    frame = ended()
    assert not Claim(frame).is_held()
    assert Claim(own_frame()).is_held()
    claims = {0: Claim(frame), 1: Claim(frame)}
    hold_one_of(2, claims, own_frame())()
    cache: SingleFlightCache[int] = SingleFlightCache(100)
    found: list[int] = []

    def ask() -> None:
        found.append(cache.get("key", lambda: 7, lambda _: 1))

    cache._flights["key"] = _Flight(frame)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(60)
    assert found == [7]


def test_forks_are_told_of_in_one_place() -> None:
    from pathlib import Path

    package = Path(sys.modules["mmraw_protocol"].__file__ or "").parent
    told = [path.name for path in package.rglob("*.py") if "register_at_fork" in path.read_text()]
    assert told == ["forks.py"]
