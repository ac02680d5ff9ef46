"""Asks this implementation and another one the same, and makes a difference small."""

from __future__ import annotations

import atexit
import base64
import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, AnyStr, cast

from mmraw_protocol.conformance import answer
from mmraw_protocol.conformance.answers import Outcome
from mmraw_protocol.conformance.runner import Options, run
from mmraw_protocol.conformance.vectors import Vector

from .cases import Case

BATCH = 5000


@dataclass(frozen=True)
class Difference:
    """A case that the two answer differently, and how."""

    op: str
    input: dict[str, Any]
    reason: str
    detail: str

    def __str__(self) -> str:
        request = json.dumps({"op": self.op, "input": self.input})
        return f"{self.reason}: {self.detail}\n  {request}"


def expected(name: str, case: Case) -> Vector:
    """A case with this implementation's answer as the one that is right."""
    op, given = case
    # The input arrives as JSON carries it: one text, read again.
    given = json.loads(json.dumps(given))
    here = {**given, "directory": _directory()} if "directory" in given else given
    try:
        reply = answer({"cmd": "run", "seq": name, "op": op, "input": here})
    except Exception as error:  # noqa: BLE001
        # Any other exception differs from every implementation: no code is the right one.
        reply = {"ok": False, "error": {"code": f"escaped: {error!r}"[:200], "path": ""}}
    assert reply is not None
    if reply["ok"]:
        return Vector(id=name, op=op, input=given, result=reply["result"], spec="Conformance")
    error = {name: reply["error"][name] for name in ("code", "path")}
    return Vector(id=name, op=op, input=given, error=error, spec="Conformance")


@cache
def _directory() -> str:
    """A store for this implementation; the other one gets its own from the runner."""
    name = tempfile.mkdtemp(prefix="mmraw-differential-")
    atexit.register(shutil.rmtree, name, ignore_errors=True)
    return name


def batches(cases: Iterable[Case]) -> Iterator[list[Vector]]:
    """The cases with their expected answers, a bounded number at a time."""
    rows = iter(cases)
    count = 0
    while batch := list(islice(rows, BATCH)):
        yield [expected(f"{case[0]}/{count + index}", case) for index, case in enumerate(batch)]
        count += len(batch)


def ask(command: Sequence[str], vectors: Sequence[Vector]) -> tuple[Outcome, ...]:
    """Returns the outcome of each vector; another error code is a difference too."""
    report = run(command, vectors, Options(strict_codes=True, timeout=30.0))
    if report.faults:
        raise AssertionError(f"the run as a whole is at fault: {report.faults}")
    return report.outcomes


def differences(
    command: Sequence[str],
    cases: Iterable[Case],
    told: Callable[[Sequence[Vector], Sequence[Outcome]], None] | None = None,
) -> Iterator[Difference]:
    """Every case that is answered differently: by verdict, result, code or path of an error."""
    for vectors in batches(cases):
        outcomes = ask(command, vectors)
        if told is not None:
            told(vectors, outcomes)
        for vector, outcome in zip(vectors, outcomes, strict=True):
            if outcome.status in ("failed", "errored"):
                yield Difference(vector.op, vector.input, outcome.reason, outcome.detail)


def minimise(command: Sequence[str], found: Difference, rounds: int = 40) -> Difference:
    """The smallest difference of the same kind that greedy cutting finds."""
    for _ in range(rounds):
        smaller = [case for case in _smaller(found.input) if _size(case) < _size(found.input)]
        tried = [expected(str(index), (found.op, case)) for index, case in enumerate(smaller[:500])]
        if not tried:
            return found
        outcomes = ask(command, tried)
        kept = [
            Difference(vector.op, vector.input, outcome.reason, outcome.detail)
            for vector, outcome in zip(tried, outcomes, strict=True)
            if outcome.status in ("failed", "errored") and outcome.reason == found.reason
        ]
        if not kept:
            return found
        found = min(kept, key=lambda one: _size(one.input))
    return found


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _cut(value: AnyStr) -> Iterator[AnyStr]:
    """`value` without its halves, its quarters, and so on."""
    step = max(1, len(value) // 2)
    while step >= 1:
        for at in range(0, len(value), step):
            yield value[:at] + value[at + step :]
        step //= 2


def _smaller(value: Any) -> Iterator[Any]:
    """Copies of `value` with something taken out of it."""
    if isinstance(value, str):
        head, comma, body = value.partition(";base64,")
        if comma and (data := _decoded(body)):
            for cut in _cut(data):
                yield f"{head};base64,{base64.b64encode(cut).decode('ascii')}"
        yield from _cut(value)
    elif isinstance(value, list):
        rows = cast("list[Any]", value)
        for index, row in enumerate(rows):
            yield rows[:index] + rows[index + 1 :]
            for child in _smaller(row):
                yield [*rows[:index], child, *rows[index + 1 :]]
    elif isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        for name in fields:
            yield {key: child for key, child in fields.items() if key != name}
        for name, item in fields.items():
            for child in _smaller(item):
                yield {**copy.copy(fields), name: child}
