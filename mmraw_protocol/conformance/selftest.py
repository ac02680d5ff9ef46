"""The vectors against this very installation, in its own process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from .harness import answer
from .vectors import Vector, expand, read_vectors, same, vectors_folder

Verdict = Literal["passed", "failed", "skipped"]

#: Vectors that write are left to the tests: a self-test changes nothing.
_WRITES = frozenset({"offload"})


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """What the vectors said.

    Attributes:
        passed: How many hold.
        skipped: How many need an extra that is not installed, or would write.
        failed: The ids of those that do not hold.
    """

    passed: int
    skipped: int
    failed: list[str]


def self_test(vectors: Iterable[Vector] | None = None, folder: Path | None = None) -> SelfTest:
    """Answers every vector and compares; takes about a second."""
    place = folder or vectors_folder()
    passed = skipped = 0
    failed: list[str] = []
    for vector in read_vectors(place) if vectors is None else vectors:
        verdict = check(vector, place)
        passed += verdict == "passed"
        skipped += verdict == "skipped"
        if verdict == "failed":
            failed.append(vector.id)
    return SelfTest(passed=passed, skipped=skipped, failed=failed)


def check(vector: Vector, folder: Path) -> Verdict:
    """Whether one vector holds here."""
    if vector.op in _WRITES:
        return "skipped"
    given = expand(vector.input, folder)
    reply: dict[str, Any] = answer({"cmd": "run", "seq": 0, "op": vector.op, "input": given}) or {}
    error = reply.get("error", {})
    if error.get("code") == "missing_dependency":
        return "skipped"
    if vector.error is not None:
        return "passed" if error.get("code") == vector.error["code"] else "failed"
    good = reply.get("ok") is True and same(reply["result"], vector.result)
    return "passed" if good else "failed"
