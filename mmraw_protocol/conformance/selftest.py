"""The vectors against this very installation, in its own process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from .answers import judge
from .harness import answer
from .vectors import Vector, expand, read_vectors, workspace

Verdict = Literal["passed", "failed", "skipped"]


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the vectors.

    Attributes:
        passed: How many hold.
        skipped: How many need an extra that is not installed.
        failed: The ids of those that do not hold.
    """

    passed: int
    skipped: int
    failed: list[str]


def self_test(vectors: Iterable[Vector] | None = None, folder: Path | None = None) -> SelfTest:
    """Answers every vector and compares; takes about a second."""
    passed = skipped = 0
    failed: list[str] = []
    # A copy, since some vectors write: a self-test changes nothing that is installed.
    with workspace(folder) as files:
        for vector in read_vectors(folder) if vectors is None else vectors:
            verdict = check(vector, files)
            passed += verdict == "passed"
            skipped += verdict == "skipped"
            if verdict == "failed":
                failed.append(vector.id)
    return SelfTest(passed=passed, skipped=skipped, failed=failed)


def check(vector: Vector, folder: Path) -> Verdict:
    """Compares this package's answer to one vector with the expected one."""
    given = expand(vector.input, folder)
    reply: dict[str, Any] = answer({"cmd": "run", "seq": 0, "op": vector.op, "input": given}) or {}
    if reply.get("error", {}).get("code") == "missing_dependency":
        return "skipped"
    return "passed" if judge(vector, reply, strict_codes=True).status == "passed" else "failed"
